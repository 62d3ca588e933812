import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.ConfigDef;
import org.apache.kafka.common.config.ConfigDef.ConfigKey;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.utils.Utils;
import org.apache.kafka.server.config.ServerTopicConfigSynonyms;
import org.apache.kafka.storage.internals.log.LogConfig;

/** Writes what Kafka's own classes say, for klamm-kafka to be tested against: {@code GoldenFiles DIR VERSION}. */
public final class GoldenFiles {
    private GoldenFiles() {}

    public static void main(String[] args) throws IOException {
        Path dir = Path.of(args[0]);
        String suffix = "-" + args[1] + ".tsv";
        Files.writeString(dir.resolve("errors" + suffix), errors());
        Files.writeString(dir.resolve("topic-configs" + suffix), topicConfigs());
        Files.writeString(dir.resolve("producer-configs" + suffix), clientConfigs(ProducerConfig.configDef()));
        Files.writeString(dir.resolve("consumer-configs" + suffix), clientConfigs(ConsumerConfig.configDef()));
        Files.writeString(dir.resolve("murmur2.txt"), murmur2());
    }

    /** Code, name, and whether Java's clients may retry. */
    private static String errors() {
        StringBuilder out = new StringBuilder();
        for (Errors error : Errors.values()) {
            line(out, error.code(), error.name(), error.exception() instanceof RetriableException);
        }
        return out.toString();
    }

    /** Name, type, default, what is valid, and the broker settings that it falls back to. */
    private static String topicConfigs() {
        StringBuilder out = new StringBuilder();
        for (ConfigKey key : new TreeMap<>(LogConfig.configDefCopy().configKeys()).values()) {
            if (key.internalConfig) {
                continue;
            }
            var synonyms = ServerTopicConfigSynonyms.ALL_TOPIC_CONFIG_SYNONYMS.get(key.name);
            String fallback = synonyms == null ? "-" : String.join(",", synonyms.stream().map(it -> it.name()).toList());
            line(out, key.name, key.type, defaultOf(key), key.validator == null ? "-" : key.validator, fallback);
        }
        return out.toString();
    }

    /** Name, type and default, without what TLS and SASL add. */
    private static String clientConfigs(ConfigDef definition) {
        StringBuilder out = new StringBuilder();
        for (ConfigKey key : new TreeMap<>(definition.configKeys()).values()) {
            if (!key.internalConfig && !key.name.startsWith("ssl.") && !key.name.startsWith("sasl.")) {
                line(out, key.name, key.type, defaultOf(key));
            }
        }
        return out.toString();
    }

    private static String defaultOf(ConfigKey key) {
        if (!key.hasDefault() || key.defaultValue == null) {
            return "-";
        }
        String text = ConfigDef.convertToString(key.defaultValue, key.type);
        return text.isEmpty() ? "\"\"" : text;
    }

    /** Key in hexadecimal, its hash, and its partition of 6 and of 97. */
    private static String murmur2() {
        StringBuilder out = new StringBuilder();
        for (byte[] key : keys()) {
            int hash = Utils.murmur2(key);
            int positive = Utils.toPositive(hash);
            line(out, HexFormat.of().formatHex(key), hash, positive % 6, positive % 97);
        }
        return out.toString();
    }

    /** Every length up to 64, texts as people use them, and long keys; the same ones each time. */
    private static List<byte[]> keys() {
        Random random = new Random(42);
        List<byte[]> keys = new ArrayList<>();
        for (int length = 0; length <= 64; length++) {
            keys.add(bytes(random, length));
        }
        for (String text : List.of("21", "foobar", "abc", "order-1", "kunde-\u00e4\u00f6\u00fc", "\u0000")) {
            keys.add(text.getBytes(StandardCharsets.UTF_8));
        }
        for (int count = 0; count < 400; count++) {
            keys.add(("order-" + random.nextInt(1_000_000)).getBytes(StandardCharsets.UTF_8));
        }
        for (int count = 0; count < 30; count++) {
            keys.add(bytes(random, random.nextInt(300)));
        }
        return keys;
    }

    private static byte[] bytes(Random random, int length) {
        byte[] bytes = new byte[length];
        random.nextBytes(bytes);
        return bytes;
    }

    private static void line(StringBuilder out, Object... fields) {
        for (int index = 0; index < fields.length; index++) {
            out.append(index == 0 ? "" : "\t").append(fields[index]);
        }
        out.append('\n');
    }
}
