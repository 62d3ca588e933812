package main

import (
	"errors"
	"fmt"

	"klamm/clients/matrix"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// rebalance: two members share four partitions until one leaves; every record comes.
func rebalance(protocol string) error {
	topic := topic("rebalance-"+protocol, 4)
	producer := client()
	for partition := range int32(4) {
		record := &kgo.Record{Topic: topic, Partition: partition, Value: fmt.Append(nil, "p", partition)}
		must(producer.ProduceSync(within(matrix.Bound), record).FirstErr())
	}
	producer.Close()
	first := joined("rebalance", protocol, topic)
	defer first.client.Close()
	matrix.Until("the first member has all", func() bool { return first.poll() == 4 })
	second := joined("rebalance", protocol, topic)
	matrix.Until("two members share", func() bool {
		one, other := first.poll(), second.poll()
		return one == 2 && other == 2
	})
	for partition := range int32(4) {
		same(true, first.owns[partition] != second.owns[partition], "exactly one has the partition")
	}
	second.client.Close()
	matrix.Until("the first member has all again", func() bool { return first.poll() == 4 })
	matrix.Until("every record came", func() bool {
		first.poll()
		return len(first.seen)+len(second.seen) >= 4
	})
	return nil
}

// resume: what was committed with its metadata is where the next member begins.
func resume(protocol string) error {
	topic, ctx := topic("resume-"+protocol, 1), within(matrix.Bound)
	fill(topic, values("v", 20))
	reader := joined("resume", protocol, topic)
	matrix.Until("20 records", func() bool { return reader.poll() == 1 && len(reader.seen) == 20 })
	half := map[string]map[int32]kgo.EpochOffset{topic: {0: {Epoch: -1, Offset: 10}}}
	var failure error
	reader.client.CommitOffsetsSync(ctx, half, func(_ *kgo.Client, _ *kmsg.OffsetCommitRequest, answer *kmsg.OffsetCommitResponse, err error) {
		failure = err
		if err == nil {
			failure = kerr.ErrorForCode(answer.Topics[0].Partitions[0].ErrorCode)
		}
	})
	must(failure)
	reader.client.Close()
	committed := matrix.Get(admin.FetchOffsets(ctx, name+"-resume-"+protocol))
	found, _ := committed.Lookup(topic, 0)
	same(int64(10), found.At, "committed")
	reader = joined("resume", protocol, topic)
	defer reader.client.Close()
	matrix.Until("the other ten", func() bool { return reader.poll() == 1 && len(reader.seen) >= 10 })
	same(true, reader.seen["v10"] && !reader.seen["v9"], "resumed behind what was committed")
	return nil
}

func state(group, protocol string) (state string, members int, assigned kadm.TopicsSet, err error) {
	if protocol == "consumer" {
		described := matrix.Get(admin.DescribeConsumerGroups(within(matrix.Bound), group))[group]
		return described.State, len(described.Members), described.AssignedPartitions(), described.Err
	}
	described := matrix.Get(admin.DescribeGroups(within(matrix.Bound), group))[group]
	return described.State, len(described.Members), described.AssignedPartitions(), described.Err
}

func described(protocol string) error {
	topic, group := topic("described-"+protocol, 2), name+"-described-"+protocol
	reader := joined("described", protocol, topic)
	matrix.Until("assigned", func() bool { return reader.poll() == 2 })
	found, members, assigned, err := state(group, protocol)
	must(err)
	same([]any{"Stable", 1, true, true},
		[]any{found, members, assigned.Lookup(topic, 0), assigned.Lookup(topic, 1)}, "described")
	listed := matrix.Get(admin.ListGroupsByType(within(matrix.Bound), []string{protocol}))
	same("Stable", listed[group].State, "listed as")
	reader.client.Close()
	found, members, _, err = state(group, protocol)
	must(err)
	same([]any{"Empty", 0}, []any{found, members}, "described when all left")
	must(matrix.Get(admin.DeleteGroup(within(matrix.Bound), group)).Err)
	if found, _, _, err = state(group, protocol); !errors.Is(err, kerr.GroupIDNotFound) && found != "Dead" {
		return fmt.Errorf("a deleted group is %s, %w", found, err)
	}
	return nil
}
