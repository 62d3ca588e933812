package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"klamm/clients/matrix"

	"github.com/IBM/sarama"
)

// member consumes in a group, and tells what it has and what it has seen.
type member struct {
	group  sarama.ConsumerGroup
	cancel context.CancelFunc
	ended  chan struct{}
	topic  string
	handle func(sarama.ConsumerGroupSession, *sarama.ConsumerMessage)

	lock    sync.Mutex
	session sarama.ConsumerGroupSession
	owns    []int32
	seen    map[string]bool
}

func groupID(what string) string { return name + "-" + what + "-classic" }

func join(what, topic string, handle func(sarama.ConsumerGroupSession, *sarama.ConsumerMessage)) *member {
	ctx, cancel := context.WithCancel(context.Background())
	m := &member{cancel: cancel, ended: make(chan struct{}), topic: topic, handle: handle, seen: map[string]bool{}}
	m.group = matrix.Get(sarama.NewConsumerGroup(brokers, groupID(what), config(func(config *sarama.Config) {
		config.Consumer.IsolationLevel = sarama.ReadCommitted
	})))
	go func() {
		defer close(m.ended)
		for ctx.Err() == nil {
			// What goes wrong in one generation shows in what the member does not have.
			if err := m.group.Consume(ctx, []string{topic}, m); errors.Is(err, sarama.ErrClosedConsumerGroup) {
				return
			}
		}
	}()
	return m
}

func (m *member) Setup(session sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session, m.owns = session, session.Claims()[m.topic]
	return nil
}

func (m *member) Cleanup(sarama.ConsumerGroupSession) error {
	m.lock.Lock()
	defer m.lock.Unlock()
	m.session, m.owns = nil, nil
	return nil
}

func (m *member) ConsumeClaim(session sarama.ConsumerGroupSession, claim sarama.ConsumerGroupClaim) error {
	for {
		select {
		case message, open := <-claim.Messages():
			if !open {
				return nil
			}
			m.lock.Lock()
			m.seen[string(message.Value)] = true
			m.lock.Unlock()
			if m.handle != nil {
				m.handle(session, message)
			}
		case <-session.Context().Done():
			return nil
		}
	}
}

// state is how many partitions and how many values, after a short wait.
func (m *member) state() (owns, seen int) {
	time.Sleep(20 * time.Millisecond)
	m.lock.Lock()
	defer m.lock.Unlock()
	return len(m.owns), len(m.seen)
}

func (m *member) leave() {
	m.cancel()
	<-m.ended
	must(m.group.Close())
}

func (m *member) until(what string, owns, seen int) {
	matrix.Until(what, func() bool {
		o, s := m.state()
		return o == owns && s >= seen
	})
}

func rebalance() error {
	topic := topic("rebalance", 4)
	producer := matrix.Get(sarama.NewSyncProducer(brokers, config(nil)))
	for partition := range int32(4) {
		must(producer.SendMessages([]*sarama.ProducerMessage{message(topic, partition, fmt.Sprint("p", partition))}))
	}
	must(producer.Close())
	first := join("rebalance", topic, nil)
	first.until("the first member has all", 4, 0)
	second := join("rebalance", topic, nil)
	matrix.Until("two members share", func() bool {
		one, _ := first.state()
		other, _ := second.state()
		return one == 2 && other == 2
	})
	second.leave()
	first.until("the first member has all again", 4, 4)
	first.leave()
	return nil
}

func resume() error {
	topic := topic("resume", 1)
	fill(topic, values("v", 20))
	first := join("resume", topic, nil)
	first.until("20 records", 1, 20)
	first.session.MarkOffset(topic, 0, 10, "half")
	first.session.Commit()
	first.leave()
	answer := matrix.Get(admin.ListConsumerGroupOffsets(groupID("resume"), map[string][]int32{topic: {0}}))
	committed := answer.GetBlock(topic, 0)
	same([]any{int64(10), "half"}, []any{committed.Offset, committed.Metadata}, "committed")
	second := join("resume", topic, nil)
	second.until("the other ten", 1, 10)
	second.leave()
	same(true, second.seen["v10"] && !second.seen["v9"], "resumed behind what was committed")
	return nil
}

func described() error {
	topic, group := topic("described", 2), groupID("described")
	reader := join("described", topic, nil)
	reader.until("assigned", 2, 0)
	described := func() []any {
		found := matrix.Get(admin.DescribeConsumerGroups([]string{group}))[0]
		return []any{found.State, len(found.Members)}
	}
	listed := func() bool {
		_, listed := matrix.Get(admin.ListConsumerGroups())[group]
		return listed
	}
	same([]any{"Stable", 1}, described(), "described")
	same(true, listed(), "listed")
	reader.session.MarkOffset(topic, 0, 0, "")
	reader.leave()
	same([]any{"Empty", 0}, described(), "described when all left")
	must(admin.DeleteConsumerGroup(group))
	same(false, listed(), "still listed")
	return nil
}
