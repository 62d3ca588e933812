import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;

/** Transactions: both outcomes, fencing, a reader of committed records, consume-transform-produce. */
final class TransactionChecks {
    private final Session session;

    TransactionChecks(Session session) {
        this.session = session;
    }

    private KafkaProducer<String, String> producer(String id) {
        KafkaProducer<String, String> producer = session.producer(Map.of("transactional.id", session.name + "-" + id));
        producer.initTransactions();
        return producer;
    }

    void transactional() throws Exception {
        String topic = session.topic("transactional", 1);
        try (KafkaProducer<String, String> producer = producer("transactional")) {
            producer.beginTransaction();
            session.send(producer, topic, "first", 10);
            producer.commitTransaction();
            producer.beginTransaction();
            session.send(producer, topic, "aborted", 10);
            producer.abortTransaction();
            producer.beginTransaction();
            session.send(producer, topic, "last", 10);
            producer.commitTransaction();
            fenced(topic, producer);
        }
    }

    /** A second holder of the transactional id ends the open transaction of the first, which can do nothing any more. */
    private void fenced(String topic, KafkaProducer<String, String> first) throws Exception {
        first.beginTransaction();
        session.send(first, topic, "zombie", 1);
        try (KafkaProducer<String, String> second = producer("transactional")) {
            second.beginTransaction();
            second.commitTransaction();
        }
        try {
            first.commitTransaction();
        } catch (ProducerFencedException | InvalidProducerEpochException expected) {
            return;
        } catch (KafkaException error) {
            if (error.getCause() instanceof ProducerFencedException || error.getCause() instanceof InvalidProducerEpochException) {
                return;
            }
            throw error;
        }
        throw new AssertionError("a fenced producer committed");
    }

    void readCommitted() {
        String topic = session.name + "-transactional";
        List<String> committed = Session.values("first", 10);
        committed.addAll(Session.values("last", 10));
        Matrix.same(committed, session.all(topic, "read_committed"), "read_committed");
        List<String> everything = Session.values("first", 10);
        everything.addAll(Session.values("aborted", 10));
        everything.addAll(Session.values("last", 10));
        everything.add("zombie0");
        Matrix.same(everything, session.all(topic, "read_uncommitted"), "read_uncommitted");
    }

    /** Copies 20 records in transactions of at most five; the second is aborted and done again. */
    void transform(String protocol) throws Exception {
        String from = session.topic("transform-from-" + protocol, 1);
        String to = session.topic("transform-to-" + protocol, 1);
        String group = session.name + "-transform-" + protocol;
        session.fill(from, "v", 20);
        Map<String, Object> settings = Map.of(
                "group.id", group, "group.protocol", protocol, "isolation.level", "read_committed", "max.poll.records", "5");
        List<Integer> done = new ArrayList<>(List.of(0, 0));
        TopicPartition source = new TopicPartition(from, 0);
        try (KafkaProducer<String, String> producer = producer("transform-" + protocol);
                KafkaConsumer<String, String> consumer = session.consumer(settings)) {
            consumer.subscribe(List.of(from));
            Session.until("all transformed", () -> {
                List<ConsumerRecord<String, String>> records = consumer.poll(Duration.ofMillis(200)).records(source);
                if (records.isEmpty()) {
                    return false;
                }
                producer.beginTransaction();
                records.forEach(record -> producer.send(new ProducerRecord<>(to, record.key(), "copy of " + record.value())));
                long next = records.get(records.size() - 1).offset() + 1;
                producer.sendOffsetsToTransaction(Map.of(source, new OffsetAndMetadata(next)), consumer.groupMetadata());
                done.set(0, done.get(0) + 1);
                if (done.get(0) == 2) {
                    producer.flush();
                    producer.abortTransaction();
                    consumer.seek(source, consumer.committed(java.util.Set.of(source)).get(source));
                    return false;
                }
                producer.commitTransaction();
                done.set(1, done.get(1) + records.size());
                return done.get(1) >= 20;
            });
        }
        Matrix.same(Session.values("copy of v", 20), session.all(to, "read_committed"), "what was written");
        Matrix.ensure(session.all(to, "read_uncommitted").size() > 20, "the aborted copies are in the log");
        OffsetAndMetadata committed =
                session.admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata().get().get(source);
        Matrix.same(20L, committed.offset(), "the committed offset");
    }
}
