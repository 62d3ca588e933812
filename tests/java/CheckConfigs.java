import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * Reads properties files as Java's clients do and refuses keys that they do not know. Files are told apart by their names:
 * producer-*.properties and consumer-*.properties. Prints one line of JSON with the number of keys that were taken.
 */
public final class CheckConfigs {
    private CheckConfigs() {}

    public static void main(String[] files) throws Exception {
        int keys = 0;
        for (String file : files) {
            Properties properties = new Properties();
            try (Reader reader = Files.newBufferedReader(Path.of(file), StandardCharsets.UTF_8)) {
                properties.load(reader);
            }
            boolean producer = Path.of(file).getFileName().toString().startsWith("producer-");
            Set<String> known = producer ? ProducerConfig.configNames() : ConsumerConfig.configNames();
            for (String key : properties.stringPropertyNames()) {
                if (!known.contains(key)) {
                    throw new IllegalArgumentException(file + ": unknown key " + key);
                }
                keys++;
            }
            if (producer) {
                properties.put("key.serializer", ByteArraySerializer.class.getName());
                properties.put("value.serializer", ByteArraySerializer.class.getName());
                new ProducerConfig(properties);
            } else {
                properties.put("key.deserializer", ByteArrayDeserializer.class.getName());
                properties.put("value.deserializer", ByteArrayDeserializer.class.getName());
                new ConsumerConfig(properties);
            }
        }
        System.out.printf("{\"keys\":%d}%n", keys);
    }
}
