import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.TreeMap;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Sends keys with exported settings and reads them back: FOLDER TOPIC GROUP BOOTSTRAP KEYS. Prints one line of JSON: the
 * partition of each key, and how many were read.
 */
public final class RoundTrip {
    private RoundTrip() {}

    private static Properties read(Path file, String bootstrap) throws Exception {
        Properties properties = new Properties();
        try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
            properties.load(reader);
        }
        properties.put("bootstrap.servers", bootstrap);
        return properties;
    }

    public static void main(String[] args) throws Exception {
        Path folder = Path.of(args[0]);
        String topic = args[1];
        int count = Integer.parseInt(args[4]);
        TreeMap<String, Integer> partitions = new TreeMap<>();
        Properties producing = read(folder.resolve("producer-" + topic + ".properties"), args[3]);
        try (KafkaProducer<String, String> producer =
                new KafkaProducer<>(producing, new StringSerializer(), new StringSerializer())) {
            List<Future<RecordMetadata>> sent = new ArrayList<>();
            for (int number = 0; number < count; number++) {
                sent.add(producer.send(new ProducerRecord<>(topic, "key-" + number, "value")));
            }
            for (int number = 0; number < count; number++) {
                partitions.put("key-" + number, sent.get(number).get().partition());
            }
        }
        int read = 0;
        Properties consuming = read(folder.resolve("consumer-" + args[2] + ".properties"), args[3]);
        long until = System.nanoTime() + Duration.ofSeconds(60).toNanos();
        try (KafkaConsumer<String, String> consumer =
                new KafkaConsumer<>(consuming, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of(topic));
            while (read < count && System.nanoTime() < until) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofSeconds(1))) {
                    if (!partitions.get(record.key()).equals(record.partition())) {
                        throw new IllegalStateException(record.key() + " is on " + record.partition());
                    }
                    read++;
                }
                consumer.commitSync();
            }
        }
        StringBuilder pairs = new StringBuilder();
        partitions.forEach((key, partition) ->
            pairs.append(pairs.isEmpty() ? "" : ",").append('"').append(key).append("\":").append(partition));
        System.out.printf("{\"partitions\":{%s},\"read\":%d}%n", pairs, read);
    }
}
