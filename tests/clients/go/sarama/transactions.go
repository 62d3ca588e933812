package main

import (
	"errors"

	"klamm/clients/matrix"

	"github.com/IBM/sarama"
)

func transactionalProducer(id string) sarama.SyncProducer {
	return matrix.Get(sarama.NewSyncProducer(brokers, config(func(config *sarama.Config) {
		config.Producer.Idempotent = true
		config.Net.MaxOpenRequests = 1
		config.Producer.Transaction.ID = name + "-" + id
	})))
}

func transactional() error {
	topic := topic("transactional", 1)
	producer := transactionalProducer("transactional")
	defer producer.Close()
	step := func(values []string, end func() error) {
		must(producer.BeginTxn())
		send(producer, topic, values)
		must(end())
	}
	step(values("first", 10), producer.CommitTxn)
	step(values("aborted", 10), producer.AbortTxn)
	step(values("last", 10), producer.CommitTxn)
	// A second holder of the id ends the open transaction of the first, which can do nothing any more.
	must(producer.BeginTxn())
	send(producer, topic, values("zombie", 1))
	second := transactionalProducer("transactional")
	defer second.Close()
	err := producer.CommitTxn()
	if errors.Is(err, sarama.ErrInvalidProducerEpoch) || errors.Is(err, sarama.ErrProducerFenced) || errors.Is(err, sarama.ErrFencedInstancedId) {
		return nil
	}
	if err == nil {
		return errors.New("a fenced producer committed")
	}
	return err
}

func readCommitted() error {
	topic := name + "-transactional"
	committed := append(values("first", 10), values("last", 10)...)
	same(committed, readTo(topic, "last9", sarama.ReadCommitted), "read_committed")
	everything := append(append(values("first", 10), values("aborted", 10)...), append(values("last", 10), "zombie0")...)
	same(everything, readTo(topic, "zombie0", sarama.ReadUncommitted), "read_uncommitted")
	return nil
}

// transform copies 20 records, each in a transaction; the sixth is aborted once.
func transform() error {
	from, to := topic("transform-from", 1), topic("transform-to", 1)
	fill(from, values("v", 20))
	producer := transactionalProducer("transform")
	defer producer.Close()
	failure := make(chan error, 1)
	copies := 0
	once := func(record *sarama.ConsumerMessage, end func() error) error {
		if err := producer.BeginTxn(); err != nil {
			return err
		}
		if err := producer.SendMessages([]*sarama.ProducerMessage{message(to, 0, "copy of "+string(record.Value))}); err != nil {
			return err
		}
		if err := producer.AddMessageToTxn(record, groupID("transform"), nil); err != nil {
			return err
		}
		return end()
	}
	reader := join("transform", from, func(_ sarama.ConsumerGroupSession, record *sarama.ConsumerMessage) {
		var err error
		if copies == 5 {
			err = once(record, producer.AbortTxn)
		}
		if err == nil {
			err = once(record, producer.CommitTxn)
		}
		copies++
		if err != nil {
			select {
			case failure <- err:
			default:
			}
		}
	})
	same(values("copy of v", 20), readTo(to, "copy of v19", sarama.ReadCommitted), "what was written")
	reader.leave()
	select {
	case err := <-failure:
		return err
	default:
	}
	same(21, len(readTo(to, "copy of v19", sarama.ReadUncommitted)), "with the aborted copy")
	matrix.Until("the committed offset is 20", func() bool {
		answer := matrix.Get(admin.ListConsumerGroupOffsets(groupID("transform"), map[string][]int32{from: {0}}))
		return answer.GetBlock(from, 0).Offset == 20
	})
	return nil
}
