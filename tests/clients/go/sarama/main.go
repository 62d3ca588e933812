// The list of checks with sarama.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"slices"
	"time"

	"klamm/clients/matrix"

	"github.com/IBM/sarama"
)

var (
	bootstrap, name, only = matrix.Arguments()
	brokers               = []string{bootstrap}
	admin                 = matrix.Get(sarama.NewClusterAdmin(brokers, config(nil)))
	must                  = matrix.Must
	same                  = matrix.Same
	values                = matrix.Values
)

func config(change func(*sarama.Config)) *sarama.Config {
	config := sarama.NewConfig()
	config.Version = sarama.MaxVersion
	config.Producer.Return.Successes = true
	config.Producer.RequiredAcks = sarama.WaitForAll
	config.Producer.Partitioner = sarama.NewManualPartitioner
	config.Producer.Retry.Max = 20
	config.Consumer.Offsets.Initial = sarama.OffsetOldest
	config.Consumer.Offsets.AutoCommit.Enable = false
	config.Consumer.MaxWaitTime = 200 * time.Millisecond
	config.Consumer.Group.Heartbeat.Interval = 500 * time.Millisecond
	if change != nil {
		change(config)
	}
	return config
}

func topic(what string, partitions int32) string {
	topic := name + "-" + what
	must(admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: partitions, ReplicationFactor: 1}, false))
	// A broker learns of a new topic a moment after the controller has acknowledged it.
	matrix.Until("listed", func() bool {
		_, listed := matrix.Get(admin.ListTopics())[topic]
		return listed
	})
	return topic
}

func message(topic string, partition int32, value string) *sarama.ProducerMessage {
	return &sarama.ProducerMessage{Topic: topic, Partition: partition, Value: sarama.StringEncoder(value)}
}

func send(producer sarama.SyncProducer, topic string, values []string) {
	var all []*sarama.ProducerMessage
	for _, value := range values {
		all = append(all, message(topic, 0, value))
	}
	must(producer.SendMessages(all))
}

func fill(topic string, values []string) {
	producer := matrix.Get(sarama.NewSyncProducer(brokers, config(nil)))
	defer producer.Close()
	send(producer, topic, values)
}

// read is the values of a partition until the condition holds for them.
func read(topic string, partition int32, isolation sarama.IsolationLevel, enough func([]string) bool) []string {
	consumer := matrix.Get(sarama.NewConsumer(brokers, config(func(config *sarama.Config) { config.Consumer.IsolationLevel = isolation })))
	defer consumer.Close()
	reader := matrix.Get(consumer.ConsumePartition(topic, partition, sarama.OffsetOldest))
	defer reader.Close()
	var found []string
	matrix.Until("reading to the end", func() bool {
		select {
		case message := <-reader.Messages():
			found = append(found, string(message.Value))
		case <-time.After(time.Second):
		}
		return enough(found)
	})
	return found
}

func readTo(topic, last string, isolation sarama.IsolationLevel) []string {
	return read(topic, 0, isolation, func(found []string) bool { return slices.Contains(found, last) })
}

func createTopic() error {
	topic := topic("created", 3)
	described := matrix.Get(admin.DescribeTopics([]string{topic}))
	same(3, len(described[0].Partitions), "partitions")
	err := admin.CreateTopic(topic, &sarama.TopicDetail{NumPartitions: 3, ReplicationFactor: 1}, false)
	if !errors.Is(err, sarama.ErrTopicAlreadyExists) {
		return fmt.Errorf("created twice: %w", err)
	}
	return nil
}

func produce(codec string) error {
	topic := topic(codec, 1)
	producer := matrix.Get(sarama.NewSyncProducer(brokers, config(func(config *sarama.Config) {
		must(config.Producer.Compression.UnmarshalText([]byte(codec)))
	})))
	defer producer.Close()
	texts := values(matrix.Long, 100)
	send(producer, topic, texts)
	same(texts, readTo(topic, texts[99], sarama.ReadUncommitted), "what was read")
	return nil
}

func idempotent() error {
	topic := topic("idempotent", 3)
	producer := matrix.Get(sarama.NewSyncProducer(brokers, config(func(config *sarama.Config) {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
		config.Producer.Flush.MaxMessages = 20
	})))
	defer producer.Close()
	expected := [3][]string{}
	var all []*sarama.ProducerMessage
	for number := range 600 {
		value := fmt.Sprint(number)
		expected[number%3] = append(expected[number%3], value)
		all = append(all, message(topic, int32(number%3), value))
	}
	must(producer.SendMessages(all))
	for partition := range expected {
		found := read(topic, int32(partition), sarama.ReadUncommitted, func(found []string) bool { return len(found) >= 200 })
		same(expected[partition], found, fmt.Sprint("partition ", partition))
	}
	return nil
}

func offset(topic string, at int64) *sarama.OffsetResult {
	found := matrix.Get(admin.ListOffsets(map[string]map[int32]int64{topic: {0: at}}, nil))[topic][0]
	if found.Err != sarama.ErrNoError {
		panic(found.Err)
	}
	return found
}

func offsetsByTime() error {
	topic, base := topic("times", 1), time.Now().UnixMilli()-100_000
	producer := matrix.Get(sarama.NewSyncProducer(brokers, config(nil)))
	defer producer.Close()
	for number := range 10 {
		record := message(topic, 0, "v")
		record.Timestamp = time.UnixMilli(base + int64(number)*1000)
		must(producer.SendMessages([]*sarama.ProducerMessage{record}))
	}
	same(int64(0), offset(topic, sarama.OffsetOldest).Offset, "earliest")
	same(int64(10), offset(topic, sarama.OffsetNewest).Offset, "latest")
	exact := offset(topic, base+5000)
	same([]int64{5, base + 5000}, []int64{exact.Offset, exact.Timestamp}, "at an exact time")
	same(int64(6), offset(topic, base+5001).Offset, "between two times")
	same(int64(-1), offset(topic, base+60_000).Offset, "after all")
	return nil
}

func configs() error {
	topic := topic("configs", 1)
	becomes := func(value string, source sarama.ConfigSource) {
		matrix.Until(fmt.Sprint(value, " from ", source), func() bool {
			entries := matrix.Get(admin.DescribeConfig(sarama.ConfigResource{Type: sarama.TopicResource, Name: topic, ConfigNames: []string{"retention.ms"}}))
			return len(entries) == 1 && entries[0].Value == value && entries[0].Source == source
		})
	}
	alter := func(change sarama.IncrementalAlterConfigsEntry) {
		changes := map[string]sarama.IncrementalAlterConfigsEntry{"retention.ms": change}
		must(admin.IncrementalAlterConfig(sarama.TopicResource, topic, changes, false))
	}
	becomes("604800000", sarama.SourceDefault)
	value := "7200000"
	alter(sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationSet, Value: &value})
	becomes("7200000", sarama.SourceTopic)
	alter(sarama.IncrementalAlterConfigsEntry{Operation: sarama.IncrementalAlterConfigsOperationDelete})
	becomes("604800000", sarama.SourceDefault)
	return nil
}

func deleteRecords() error {
	topic := topic("deleted", 1)
	fill(topic, values("v", 10))
	must(admin.DeleteRecords(topic, map[int32]int64{0: 5}))
	same(int64(5), offset(topic, sarama.OffsetOldest).Offset, "earliest")
	same(values("v", 10)[5:], readTo(topic, "v9", sarama.ReadUncommitted), "what is left")
	return nil
}

// classicOnly is a check of one group protocol.
func classicOnly(protocol string, check func() error) func() error {
	if protocol == "classic" {
		return check
	}
	return func() error { return matrix.Skip("the client has only the classic group protocol") }
}

func main() {
	sarama.Logger = log.New(io.Discard, "", 0)
	checks := []matrix.Check{{Name: "create_topic", Run: createTopic}}
	for _, codec := range matrix.Codecs {
		checks = append(checks, matrix.Check{Name: "produce_" + codec, Run: func() error { return produce(codec) }})
	}
	checks = append(checks, matrix.Check{Name: "idempotent", Run: idempotent},
		matrix.Check{Name: "transactional", Run: transactional}, matrix.Check{Name: "read_committed", Run: readCommitted})
	for _, protocol := range []string{"classic", "consumer"} {
		checks = append(checks,
			matrix.Check{Name: "group_rebalance_" + protocol, Run: classicOnly(protocol, rebalance)},
			matrix.Check{Name: "group_resume_" + protocol, Run: classicOnly(protocol, resume)},
			matrix.Check{Name: "groups_described_" + protocol, Run: classicOnly(protocol, described)},
			matrix.Check{Name: "transform_" + protocol, Run: classicOnly(protocol, transform)})
	}
	checks = append(checks, matrix.Check{Name: "offsets_by_time", Run: offsetsByTime}, matrix.Check{Name: "configs", Run: configs},
		matrix.Check{Name: "delete_records", Run: deleteRecords}, matrix.NoStreams)
	matrix.Run(checks, only)
}
