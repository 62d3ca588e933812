import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** Codecs and idempotence. */
final class ProduceChecks {
    private final Session session;

    ProduceChecks(Session session) {
        this.session = session;
    }

    void codec(String codec) throws Exception {
        String topic = session.topic(codec, 1);
        String prefix = "the same words again and again ".repeat(20);
        try (KafkaProducer<String, String> producer = session.producer(Map.of("compression.type", codec, "linger.ms", "20"))) {
            for (String value : Session.values(prefix, 100)) {
                producer.send(new ProducerRecord<>(topic, "key", value));
            }
            producer.flush();
        }
        Matrix.same(Session.values(prefix, 100), session.all(topic, "read_uncommitted"), "what was read");
    }

    /** Small batches to three partitions with five requests in flight: nothing lost, nothing twice, nothing out of order. */
    void idempotent() throws Exception {
        String topic = session.topic("idempotent", 3);
        try (KafkaProducer<String, String> producer = session.producer(Map.of("enable.idempotence", true, "batch.size", "200"))) {
            for (int i = 0; i < 600; i++) {
                producer.send(new ProducerRecord<>(topic, i % 3, null, String.valueOf(i)));
                if (i == 2) {
                    // A broker that does not know the new topic yet may refuse the first batch of a producer and take the second.
                    producer.flush();
                }
            }
            producer.flush();
        }
        Map<Integer, Integer> next = new HashMap<>(Map.of(0, 0, 1, 1, 2, 2));
        List<TopicPartition> partitions = List.of(0, 1, 2).stream().map(index -> new TopicPartition(topic, index)).toList();
        try (KafkaConsumer<String, String> consumer = session.consumer(Map.of())) {
            for (ConsumerRecord<String, String> record : Session.read(consumer, partitions)) {
                Matrix.same(String.valueOf(next.get(record.partition())), record.value(), "the next value");
                next.merge(record.partition(), 3, Integer::sum);
            }
        }
        Matrix.same(Map.of(0, 600, 1, 601, 2, 602), next, "how far each partition goes");
    }
}
