import java.time.Duration;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.ListConsumerGroupsOptions;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.GroupIdNotFoundException;

/** Groups of one protocol: {@code classic} or {@code consumer} (KIP-848). */
final class GroupChecks {
    private final Session session;
    private final String protocol;

    GroupChecks(Session session, String protocol) {
        this.session = session;
        this.protocol = protocol;
    }

    /** Two members share four partitions until one leaves; every record comes. */
    void rebalance() throws Exception {
        String topic = session.topic("rebalance-" + protocol, 4);
        String group = session.name + "-rebalance-" + protocol;
        for (int partition = 0; partition < 4; partition++) {
            try (var producer = session.producer(Map.of())) {
                producer.send(new org.apache.kafka.clients.producer.ProducerRecord<>(topic, partition, null, "p" + partition)).get();
            }
        }
        Set<String> seen = new HashSet<>();
        try (KafkaConsumer<String, String> first = session.member(group, protocol)) {
            first.subscribe(List.of(topic));
            Session.until("the first member has all", () -> poll(first, seen) == 4);
            try (KafkaConsumer<String, String> second = session.member(group, protocol)) {
                second.subscribe(List.of(topic));
                Session.until("two members share", () -> poll(first, seen) == 2 & poll(second, seen) == 2);
                Set<TopicPartition> both = new HashSet<>(first.assignment());
                both.addAll(second.assignment());
                Matrix.same(4, both.size(), "partitions that somebody has");
            }
            Session.until("the first member has all again", () -> poll(first, seen) == 4);
            Session.until("every record came", () -> poll(first, seen) == 4 && seen.size() == 4);
        }
    }

    private static int poll(KafkaConsumer<String, String> consumer, Set<String> seen) {
        for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
            seen.add(record.value());
        }
        return consumer.assignment().size();
    }

    /** What was committed with its metadata is where the next member begins. */
    void resume() throws Exception {
        String topic = session.topic("resume-" + protocol, 1);
        String group = session.name + "-resume-" + protocol;
        TopicPartition partition = new TopicPartition(topic, 0);
        session.fill(topic, "v", 20);
        try (KafkaConsumer<String, String> consumer = session.member(group, protocol)) {
            consumer.subscribe(List.of(topic));
            Set<String> seen = new HashSet<>();
            Session.until("20 records", () -> poll(consumer, seen) == 1 && seen.size() == 20);
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(10, "half")));
        }
        try (KafkaConsumer<String, String> consumer = session.member(group, protocol)) {
            Matrix.same(new OffsetAndMetadata(10, "half"), withoutEpoch(consumer.committed(Set.of(partition)).get(partition)), "committed");
            consumer.subscribe(List.of(topic));
            Set<String> seen = new HashSet<>();
            Session.until("the other ten", () -> poll(consumer, seen) == 1 && seen.size() >= 10);
            Matrix.ensure(seen.contains("v10") && !seen.contains("v9"), "resumed with " + seen);
        }
    }

    private static OffsetAndMetadata withoutEpoch(OffsetAndMetadata offset) {
        return new OffsetAndMetadata(offset.offset(), offset.metadata());
    }

    @SuppressWarnings({"deprecation", "removal"}) // what 3.9 has as well
    void described() throws Exception {
        String topic = session.topic("described-" + protocol, 2);
        String group = session.name + "-described-" + protocol;
        try (KafkaConsumer<String, String> consumer = session.member(group, protocol)) {
            consumer.subscribe(List.of(topic));
            Session.until("assigned", () -> poll(consumer, new HashSet<>()) == 2);
            consumer.commitSync(Map.of(new TopicPartition(topic, 0), new OffsetAndMetadata(0)));
            ConsumerGroupDescription group1 = description(group);
            Matrix.same("Stable", group1.state().toString(), "state");
            Matrix.same(1, group1.members().size(), "members");
            Matrix.same(consumer.assignment(), group1.members().iterator().next().assignment().topicPartitions(), "assignment");
            Matrix.same(consumer.groupMetadata().memberId(), group1.members().iterator().next().consumerId(), "member id");
            Matrix.ensure(session.admin.listConsumerGroups(new ListConsumerGroupsOptions()).all().get().stream()
                            .anyMatch(listing -> listing.groupId().equals(group)
                                    && listing.type().map(type -> type.toString().equalsIgnoreCase(protocol)).orElse(false)),
                    "the group is not listed with its type");
        }
        Matrix.same("Empty", description(group).state().toString(), "state when all left");
        session.admin.deleteConsumerGroups(List.of(group)).all().get();
        try {
            ConsumerGroupDescription gone = description(group);
            Matrix.same("Dead", gone.state().toString(), "state of a deleted group");
        } catch (ExecutionException error) {
            Matrix.ensure(error.getCause() instanceof GroupIdNotFoundException, String.valueOf(error.getCause()));
        }
    }

    private ConsumerGroupDescription description(String group) throws Exception {
        return session.admin.describeConsumerGroups(List.of(group)).all().get().get(group);
    }
}
