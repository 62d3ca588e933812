import java.time.Duration;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** What a transcript needs besides the tools: records, members of groups, open transactions. */
final class Steps implements AutoCloseable {
    private final String bootstrap;
    private final Map<String, KafkaConsumer<String, String>> members = new HashMap<>();
    private final Map<String, KafkaProducer<String, String>> transactions = new HashMap<>();

    Steps(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    int run(String[] words) {
        try {
            switch (words[0]) {
                case "produce" -> produce(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3]));
                case "commit" -> commit(words[1], words[2], Long.parseLong(words[3]));
                case "join" -> join(words[1], words[2], words[3]);
                case "leave" -> members.remove(words[1]).close();
                case "begin" -> begin(words[1], words[2]);
                case "end" -> end(words[1]);
                default -> throw new IllegalArgumentException(words[0]);
            }
            return 0;
        } catch (Exception error) {
            System.out.println(error);
            return 1;
        }
    }

    @Override
    public void close() {
        members.values().forEach(KafkaConsumer::close);
        transactions.values().forEach(producer -> producer.close(Duration.ZERO));
    }

    private KafkaProducer<String, String> producer(Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(Map.of("bootstrap.servers", bootstrap, "max.block.ms", 20_000));
        all.putAll(settings);
        return new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
    }

    private KafkaConsumer<String, String> consumer(String group, String protocol) {
        Map<String, Object> settings = Map.of(
                "bootstrap.servers", bootstrap, "group.id", group, "group.protocol", protocol, "client.id", "steps",
                "enable.auto.commit", false, "auto.offset.reset", "earliest", "default.api.timeout.ms", 20_000);
        return new KafkaConsumer<>(settings, new StringDeserializer(), new StringDeserializer());
    }

    /** At one time each second of the year 2001, so that offsets by time are the same in every run. */
    private void produce(String topic, int partition, int count) throws Exception {
        try (KafkaProducer<String, String> producer = producer(Map.of())) {
            for (int i = 0; i < count; i++) {
                producer.send(new ProducerRecord<>(topic, partition, 1_000_000_000_000L + 1000L * i, null, "v" + i)).get();
            }
        }
    }

    private void commit(String group, String topic, long offset) {
        try (KafkaConsumer<String, String> consumer = consumer(group, "classic")) {
            TopicPartition partition = new TopicPartition(topic, 0);
            consumer.assign(List.of(partition));
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(offset)));
        }
    }

    private void join(String group, String topic, String protocol) {
        KafkaConsumer<String, String> consumer = consumer(group, protocol);
        members.put(group, consumer);
        consumer.subscribe(List.of(topic));
        long end = System.nanoTime() + 30_000_000_000L;
        while (consumer.assignment().isEmpty() || !atEnd(consumer)) {
            if (System.nanoTime() > end) {
                throw new IllegalStateException("no assignment, or not read to its end");
            }
            consumer.poll(Duration.ofMillis(100));
        }
        consumer.commitSync();
    }

    private static boolean atEnd(KafkaConsumer<String, String> consumer) {
        Map<TopicPartition, Long> ends = consumer.endOffsets(consumer.assignment());
        return ends.entrySet().stream().allMatch(end -> consumer.position(end.getKey()) >= end.getValue());
    }

    private void begin(String id, String topic) throws Exception {
        KafkaProducer<String, String> producer = producer(Map.of("transactional.id", id));
        transactions.put(id, producer);
        producer.initTransactions();
        producer.beginTransaction();
        producer.send(new ProducerRecord<>(topic, 0, null, "v")).get();
    }

    private void end(String id) {
        try (KafkaProducer<String, String> producer = transactions.remove(id)) {
            producer.commitTransaction();
        }
    }
}
