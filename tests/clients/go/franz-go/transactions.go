package main

import (
	"errors"

	"klamm/clients/matrix"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func transactional() error {
	topic, ctx := topic("transactional", 1), within(matrix.Bound)
	producer := client(kgo.TransactionalID(name + "-transactional"))
	defer producer.Close()
	step := func(client *kgo.Client, values []string, end kgo.TransactionEndTry) error {
		must(client.BeginTransaction())
		must(client.ProduceSync(ctx, records(topic, values)...).FirstErr())
		return client.EndTransaction(ctx, end)
	}
	must(step(producer, values("first", 10), kgo.TryCommit))
	must(step(producer, values("aborted", 10), kgo.TryAbort))
	must(step(producer, values("last", 10), kgo.TryCommit))
	// A second holder of the id ends the open transaction of the first, which can do nothing any more.
	must(producer.BeginTransaction())
	must(producer.ProduceSync(ctx, records(topic, values("zombie", 1))...).FirstErr())
	second := client(kgo.TransactionalID(name + "-transactional"))
	defer second.Close()
	must(step(second, values("second", 1), kgo.TryCommit))
	err := producer.EndTransaction(ctx, kgo.TryCommit)
	for _, fenced := range []error{kerr.ProducerFenced, kerr.InvalidProducerEpoch, kerr.InvalidProducerIDMapping} {
		if errors.Is(err, fenced) {
			return nil
		}
	}
	if err == nil {
		return errors.New("a fenced producer committed")
	}
	return err
}

func readCommitted() error {
	topic, none := name+"-transactional", values("second", 1)
	same(join(values("first", 10), values("last", 10), none), values0(topic, kgo.ReadCommitted()), "read_committed")
	everything := join(values("first", 10), values("aborted", 10), values("last", 10), values("zombie", 1), none)
	same(everything, values0(topic, kgo.ReadUncommitted()), "read_uncommitted")
	return nil
}

// transform copies 20 records in transactions of at most five; the second is aborted, which rewinds the session.
func transform(protocol string) error {
	from, to := topic("transform-from-"+protocol, 1), topic("transform-to-"+protocol, 1)
	fill(from, values("v", 20))
	base := []kgo.Opt{
		kgo.SeedBrokers(bootstrap), kgo.TransactionalID(name + "-transform-" + protocol), kgo.RequireStableFetchOffsets(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.RecordPartitioner(kgo.ManualPartitioner()),
	}
	session := matrix.Get(kgo.NewGroupTransactSession(append(base, groupOptions("transform", protocol, from)...)...))
	defer session.Close()
	transactions, done := 0, 0
	matrix.Until("all transformed", func() bool {
		var copies []string
		session.PollRecords(within(200e6), 5).EachRecord(func(record *kgo.Record) {
			copies = append(copies, "copy of "+string(record.Value))
		})
		if len(copies) == 0 {
			return false
		}
		must(session.Begin())
		must(session.ProduceSync(within(matrix.Bound), records(to, copies)...).FirstErr())
		transactions++
		end := kgo.TryCommit
		if transactions == 2 {
			end = kgo.TryAbort
		}
		if matrix.Get(session.End(within(matrix.Bound), end)) {
			done += len(copies)
		}
		return done >= 20
	})
	same(values("copy of v", 20), values0(to, kgo.ReadCommitted()), "what was written")
	same(true, len(values0(to, kgo.ReadUncommitted())) > 20, "the aborted copies are in the log")
	committed, _ := matrix.Get(admin.FetchOffsets(within(matrix.Bound), name+"-transform-"+protocol)).Lookup(from, 0)
	same(int64(20), committed.At, "the committed offset")
	return nil
}
