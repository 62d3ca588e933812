import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BooleanSupplier;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/** What every check needs: an admin client, producers and consumers with bounded waits, names of its own. */
final class Session implements AutoCloseable {
    static final Duration BOUND = Duration.ofSeconds(40);

    final String bootstrap;
    final String name;
    final Admin admin;

    Session(String bootstrap, String name) {
        this.bootstrap = bootstrap;
        this.name = name;
        admin = Admin.create(Map.of("bootstrap.servers", bootstrap, "default.api.timeout.ms", "30000", "request.timeout.ms", "10000"));
    }

    @Override
    public void close() {
        admin.close(Duration.ofSeconds(5));
    }

    String topic(String what, int partitions) throws Exception {
        String topic = name + "-" + what;
        admin.createTopics(List.of(new NewTopic(topic, partitions, (short) 1))).all().get();
        return topic;
    }

    KafkaProducer<String, String> producer(Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(Map.of(
                "bootstrap.servers", bootstrap,
                "max.block.ms", "30000",
                "request.timeout.ms", "10000",
                "delivery.timeout.ms", "30000"));
        all.putAll(settings);
        return new KafkaProducer<>(all, new StringSerializer(), new StringSerializer());
    }

    KafkaConsumer<String, String> consumer(Map<String, Object> settings) {
        Map<String, Object> all = new HashMap<>(Map.of(
                "bootstrap.servers", bootstrap,
                "auto.offset.reset", "earliest",
                "enable.auto.commit", false,
                "default.api.timeout.ms", "30000"));
        all.putAll(settings);
        return new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer());
    }

    KafkaConsumer<String, String> member(String group, String protocol) {
        return consumer(Map.of("group.id", group, "group.protocol", protocol));
    }

    /** Sends {@code prefix0}, {@code prefix1} … to partition 0 and waits for each acknowledgement. */
    void send(KafkaProducer<String, String> producer, String topic, String prefix, int count) throws Exception {
        for (String value : values(prefix, count)) {
            producer.send(new ProducerRecord<>(topic, 0, value, value)).get();
        }
    }

    void fill(String topic, String prefix, int count) throws Exception {
        try (KafkaProducer<String, String> producer = producer(Map.of())) {
            send(producer, topic, prefix, count);
        }
    }

    static List<String> values(String prefix, int count) {
        List<String> values = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            values.add(prefix + i);
        }
        return values;
    }

    /** The values of partition 0 from its start to its end, which for a read_committed reader is the last stable offset. */
    List<String> all(String topic, String isolation) {
        List<String> values = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = consumer(Map.of("isolation.level", isolation))) {
            read(consumer, List.of(new TopicPartition(topic, 0))).forEach(record -> values.add(record.value()));
        }
        return values;
    }

    static List<ConsumerRecord<String, String>> read(KafkaConsumer<String, String> consumer, Collection<TopicPartition> partitions) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        until("reading to the end", () -> {
            consumer.poll(Duration.ofMillis(200)).forEach(records::add);
            return partitions.stream().allMatch(partition -> consumer.position(partition) >= ends.get(partition));
        });
        return records;
    }

    static void until(String what, BooleanSupplier condition) {
        long end = System.nanoTime() + BOUND.toNanos();
        while (!condition.getAsBoolean()) {
            if (System.nanoTime() > end) {
                throw new AssertionError(what + ": not within " + BOUND.toSeconds() + " s");
            }
        }
    }
}
