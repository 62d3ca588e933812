// The list of checks with franz-go.
package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"klamm/clients/matrix"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

var (
	bootstrap, name, only = matrix.Arguments()
	admin                 = kadm.NewClient(client(kgo.RequestRetries(3)))
	must                  = matrix.Must
	same                  = matrix.Same
	values                = matrix.Values
	join                  = func(lists ...[]string) (all []string) {
		for _, list := range lists {
			all = append(all, list...)
		}
		return all
	}
)

func client(options ...kgo.Opt) *kgo.Client {
	base := []kgo.Opt{
		kgo.SeedBrokers(bootstrap),
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.RetryTimeout(30 * time.Second),
	}
	return matrix.Get(kgo.NewClient(append(base, options...)...))
}

func within(limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	// Whatever is called with it has returned by then; the check does not wait to release the timer.
	context.AfterFunc(ctx, cancel)
	return ctx
}

func topic(what string, partitions int32) string {
	created := matrix.Get(admin.CreateTopic(within(matrix.Bound), partitions, 1, nil, name+"-"+what))
	return created.Topic
}

func records(topic string, values []string) (all []*kgo.Record) {
	for _, value := range values {
		all = append(all, &kgo.Record{Topic: topic, Key: []byte("key"), Value: []byte(value)})
	}
	return all
}

func fill(topic string, values []string) {
	producer := client()
	defer producer.Close()
	must(producer.ProduceSync(within(matrix.Bound), records(topic, values)...).FirstErr())
}

// all is every value of each partition, up to where the isolation level ends.
func all(topic string, isolation kgo.IsolationLevel) map[int32][]string {
	list := admin.ListEndOffsets
	if isolation == kgo.ReadCommitted() {
		list = admin.ListCommittedOffsets
	}
	ends := matrix.Get(list(within(matrix.Bound), topic))
	must(ends.Error())
	reader := client(kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(isolation), kgo.KeepControlRecords(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(500*time.Millisecond))
	defer reader.Close()
	found, position := map[int32][]string{}, map[int32]int64{}
	matrix.Until("reading to the end", func() bool {
		fetches := reader.PollFetches(within(time.Second))
		fetches.EachRecord(func(record *kgo.Record) {
			position[record.Partition] = record.Offset + 1
			if !record.Attrs.IsControl() {
				found[record.Partition] = append(found[record.Partition], string(record.Value))
			}
		})
		done := true
		ends.Each(func(end kadm.ListedOffset) { done = done && position[end.Partition] >= end.Offset })
		return done
	})
	return found
}

func values0(topic string, isolation kgo.IsolationLevel) []string { return all(topic, isolation)[0] }

func createTopic() error {
	retention := "3600000"
	settings := map[string]*string{"retention.ms": &retention}
	created := matrix.Get(admin.CreateTopic(within(matrix.Bound), 3, 1, settings, name+"-created")).Topic
	// A broker learns of a new topic a moment after the controller has acknowledged it.
	matrix.Until("3 partitions", func() bool {
		return len(matrix.Get(admin.ListTopics(within(matrix.Bound), created))[created].Partitions) == 3
	})
	if _, err := admin.CreateTopic(within(matrix.Bound), 3, 1, settings, created); !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("created twice: %w", err)
	}
	return nil
}

func produce(codec string) error {
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	topic := topic(codec, 1)
	producer := client(kgo.ProducerBatchCompression(codecs[codec]))
	defer producer.Close()
	must(producer.ProduceSync(within(matrix.Bound), records(topic, values(matrix.Long, 100))...).FirstErr())
	same(values(matrix.Long, 100), values0(topic, kgo.ReadUncommitted()), "what was read")
	return nil
}

func idempotent() error {
	topic := topic("idempotent", 3)
	producer := client(kgo.ProducerBatchMaxBytes(512), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer producer.Close()
	expected := map[int32][]string{}
	var all []*kgo.Record
	for number := range 600 {
		partition := int32(number % 3)
		value := fmt.Sprint(number)
		expected[partition] = append(expected[partition], value)
		all = append(all, &kgo.Record{Topic: topic, Partition: partition, Value: []byte(value)})
	}
	must(producer.ProduceSync(within(matrix.Bound), all...).FirstErr())
	same(expected, everything(topic), "what was read")
	return nil
}

func everything(topic string) map[int32][]string { return all(topic, kgo.ReadUncommitted()) }

func offset(list kadm.ListedOffsets, err error) kadm.ListedOffset {
	must(err)
	must(list.Error())
	var found kadm.ListedOffset
	list.Each(func(offset kadm.ListedOffset) { found = offset })
	return found
}

func offsetsByTime() error {
	topic, base := topic("times", 1), time.Now().UnixMilli()-100_000
	ctx := within(matrix.Bound)
	producer := client()
	defer producer.Close()
	for number := range 10 {
		record := &kgo.Record{Topic: topic, Value: []byte("v"), Timestamp: time.UnixMilli(base + int64(number)*1000)}
		must(producer.ProduceSync(ctx, record).FirstErr())
	}
	same(int64(0), offset(admin.ListStartOffsets(ctx, topic)).Offset, "earliest")
	same(int64(10), offset(admin.ListEndOffsets(ctx, topic)).Offset, "latest")
	exact := offset(admin.ListOffsetsAfterMilli(ctx, base+5000, topic))
	same([]int64{5, base + 5000}, []int64{exact.Offset, exact.Timestamp}, "at an exact time")
	same(int64(6), offset(admin.ListOffsetsAfterMilli(ctx, base+5001, topic)).Offset, "between two times")
	// Where Kafka finds nothing, kadm answers the end.
	same(int64(10), offset(admin.ListOffsetsAfterMilli(ctx, base+60_000, topic)).Offset, "after all")
	same(int64(9), offset(admin.ListMaxTimestampOffsets(ctx, topic)).Offset, "the largest time")
	return nil
}

func configs() error {
	topic, ctx := topic("configs", 1), within(matrix.Bound)
	becomes := func(value, source string) {
		matrix.Until(value+" from "+source, func() bool {
			resource := matrix.Get(matrix.Get(admin.DescribeTopicConfigs(ctx, topic)).On(topic, nil))
			must(resource.Err)
			for _, config := range resource.Configs {
				if config.Key == "retention.ms" && *config.Value == value && config.Source.String() == source {
					return true
				}
			}
			return false
		})
	}
	alter := func(change kadm.AlterConfig) {
		answer := matrix.Get(admin.AlterTopicConfigs(ctx, []kadm.AlterConfig{change}, topic))
		must(matrix.Get(answer.On(topic, nil)).Err)
	}
	becomes("604800000", "DEFAULT_CONFIG")
	alter(kadm.AlterConfig{Op: kadm.SetConfig, Name: "retention.ms", Value: kadm.StringPtr("7200000")})
	becomes("7200000", "DYNAMIC_TOPIC_CONFIG")
	alter(kadm.AlterConfig{Op: kadm.DeleteConfig, Name: "retention.ms"})
	becomes("604800000", "DEFAULT_CONFIG")
	return nil
}

func deleteRecords() error {
	topic, ctx := topic("deleted", 1), within(matrix.Bound)
	fill(topic, values("v", 10))
	var until kadm.Offsets = map[string]map[int32]kadm.Offset{}
	until.AddOffset(topic, 0, 5, -1)
	answer := matrix.Get(matrix.Get(admin.DeleteRecords(ctx, until)).On(topic, 0, nil))
	must(answer.Err)
	same(int64(5), answer.LowWatermark, "low watermark")
	same(int64(5), offset(admin.ListStartOffsets(ctx, topic)).Offset, "earliest")
	same(values("v", 10)[5:], values0(topic, kgo.ReadUncommitted()), "what is left")
	return nil
}

// member is a consumer of a group that knows which partitions it has.
type member struct {
	client *kgo.Client
	lock   sync.Mutex
	owns   map[int32]bool
	seen   map[string]bool
}

func groupOptions(group, protocol, topic string) []kgo.Opt {
	options := []kgo.Opt{
		kgo.ConsumerGroup(name + "-" + group + "-" + protocol), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(500 * time.Millisecond),
	}
	if protocol == "consumer" {
		options = append(options, kgo.Balancers(kgo.StickyBalancer()), kgo.ServerSideBalancer())
	}
	return options
}

func joined(group, protocol, topic string) *member {
	m := &member{owns: map[int32]bool{}, seen: map[string]bool{}}
	change := func(owned bool) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, partitions map[string][]int32) {
			m.lock.Lock()
			defer m.lock.Unlock()
			for _, partition := range partitions[topic] {
				if owned {
					m.owns[partition] = true
				} else {
					delete(m.owns, partition)
				}
			}
		}
	}
	m.client = client(append(groupOptions(group, protocol, topic), kgo.OnPartitionsAssigned(change(true)),
		kgo.OnPartitionsRevoked(change(false)), kgo.OnPartitionsLost(change(false)))...)
	return m
}

// poll is how many partitions the member has after a short poll.
func (m *member) poll() int {
	m.client.PollFetches(within(200 * time.Millisecond)).EachRecord(func(record *kgo.Record) { m.seen[string(record.Value)] = true })
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.owns)
}

func main() {
	checks := []matrix.Check{{Name: "create_topic", Run: createTopic}}
	for _, codec := range matrix.Codecs {
		checks = append(checks, matrix.Check{Name: "produce_" + codec, Run: func() error { return produce(codec) }})
	}
	checks = append(checks, matrix.Check{Name: "idempotent", Run: idempotent},
		matrix.Check{Name: "transactional", Run: transactional}, matrix.Check{Name: "read_committed", Run: readCommitted})
	for _, protocol := range []string{"classic", "consumer"} {
		checks = append(checks,
			matrix.Check{Name: "group_rebalance_" + protocol, Run: func() error { return rebalance(protocol) }},
			matrix.Check{Name: "group_resume_" + protocol, Run: func() error { return resume(protocol) }},
			matrix.Check{Name: "groups_described_" + protocol, Run: func() error { return described(protocol) }},
			matrix.Check{Name: "transform_" + protocol, Run: func() error { return transform(protocol) }})
	}
	checks = append(checks, matrix.Check{Name: "offsets_by_time", Run: offsetsByTime},
		matrix.Check{Name: "configs", Run: configs}, matrix.Check{Name: "delete_records", Run: deleteRecords}, matrix.NoStreams)
	matrix.Run(checks, only)
}
