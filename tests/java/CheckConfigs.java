import java.io.Reader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.HashSet;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.TreeSet;
import org.apache.kafka.clients.admin.AdminClientConfig;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.common.config.TopicConfig;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.connect.connector.Connector;
import org.apache.kafka.connect.mirror.MirrorCheckpointConnector;
import org.apache.kafka.connect.mirror.MirrorHeartbeatConnector;
import org.apache.kafka.connect.mirror.MirrorMakerConfig;
import org.apache.kafka.connect.mirror.MirrorSourceConnector;
import org.apache.kafka.connect.mirror.SourceAndTarget;
import org.apache.kafka.connect.runtime.distributed.DistributedConfig;
import org.apache.kafka.metadata.authorizer.StandardAuthorizer;
import org.apache.kafka.streams.StreamsConfig;

/**
 * Reads properties files as the programs that they are for and refuses keys that those do not know. Files are told apart by
 * their names. Prints one line of JSON with the number of keys that were taken.
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
            String name = Path.of(file).getFileName().toString();
            if (name.startsWith("producer-")) {
                known(file, properties.stringPropertyNames(), ProducerConfig.configNames());
                properties.put("key.serializer", ByteArraySerializer.class.getName());
                properties.put("value.serializer", ByteArraySerializer.class.getName());
                new ProducerConfig(properties);
            } else if (name.startsWith("consumer-")) {
                known(file, properties.stringPropertyNames(), ConsumerConfig.configNames());
                properties.put("key.deserializer", ByteArrayDeserializer.class.getName());
                properties.put("value.deserializer", ByteArrayDeserializer.class.getName());
                new ConsumerConfig(properties);
            } else if (name.startsWith("streams-")) {
                streams(file, properties);
            } else if (name.equals("mm2.properties")) {
                mirror(file, properties);
            } else {
                known(file, properties.stringPropertyNames(), brokers());
            }
            keys += properties.size();
        }
        System.out.printf("{\"keys\":%d}%n", keys);
    }

    private static void known(String file, Set<String> keys, Set<String> known) {
        TreeSet<String> unknown = new TreeSet<>(keys);
        unknown.removeAll(known);
        // What config providers are told is read by the providers.
        unknown.removeIf(key -> key.startsWith("config.providers"));
        if (!unknown.isEmpty()) {
            throw new IllegalArgumentException(file + ": unknown keys " + unknown);
        }
    }

    /** Settings of topics that Streams makes stand behind "topic.". */
    private static void streams(String file, Properties properties) throws Exception {
        Set<String> own = new HashSet<>();
        Set<String> topics = new HashSet<>();
        for (String key : properties.stringPropertyNames()) {
            if (key.startsWith("topic.")) {
                topics.add(key.substring("topic.".length()));
            } else {
                own.add(key);
            }
        }
        Set<String> known = new HashSet<>(StreamsConfig.configDef().names());
        // Without a prefix they go to the clients that it makes.
        known.addAll(ConsumerConfig.configNames());
        known(file, own, known);
        Set<String> names = new HashSet<>();
        for (var field : TopicConfig.class.getFields()) {
            if (field.getName().endsWith("_CONFIG")) {
                names.add((String) field.get(null));
            }
        }
        known(file, topics, names);
        new StreamsConfig(properties);
    }

    /** Settings of a flow are those of the three connectors, those of a cluster are clients'. */
    private static void mirror(String file, Properties properties) {
        Map<String, String> map = new HashMap<>();
        properties.stringPropertyNames().forEach(key -> map.put(key, properties.getProperty(key)));
        MirrorMakerConfig config = new MirrorMakerConfig(map);
        Set<String> connectors = new HashSet<>();
        for (Connector connector : new Connector[] {
            new MirrorSourceConnector(), new MirrorCheckpointConnector(), new MirrorHeartbeatConnector()}) {
            connectors.addAll(connector.config().names());
        }
        Set<String> own = new HashSet<>(properties.stringPropertyNames());
        for (SourceAndTarget flow : config.clusterPairs()) {
            String prefix = flow.source() + "->" + flow.target() + ".";
            own.removeIf(key -> key.startsWith(prefix)
                && (connectors.contains(key.substring(prefix.length())) || key.equals(prefix + "enabled")));
            // Each connector's own reading of it.
            config.connectorBaseConfig(flow, MirrorSourceConnector.class);
        }
        for (String cluster : config.clusters()) {
            own.remove(cluster + ".bootstrap.servers");
            own.removeIf(key -> part(key, cluster + ".consumer.", ConsumerConfig.configNames())
                || part(key, cluster + ".producer.", ProducerConfig.configNames())
                || part(key, cluster + ".admin.", AdminClientConfig.configNames()));
            own.removeIf(key -> key.endsWith("->" + cluster + ".enabled"));
        }
        own.remove("clusters");
        own.removeIf(connectors::contains);
        Set<String> workers = new HashSet<>();
        // Storage topics of the workers that MirrorMaker runs.
        for (String key : own) {
            if (key.endsWith(".storage.replication.factor")) {
                workers.add(key);
            }
        }
        known(file, workers, Set.of(
            DistributedConfig.CONFIG_STORAGE_REPLICATION_FACTOR_CONFIG,
            DistributedConfig.OFFSET_STORAGE_REPLICATION_FACTOR_CONFIG,
            DistributedConfig.STATUS_STORAGE_REPLICATION_FACTOR_CONFIG));
        own.removeAll(workers);
        known(file, own, Set.of());
    }

    private static boolean part(String key, String prefix, Set<String> known) {
        return key.startsWith(prefix) && known.contains(key.substring(prefix.length()));
    }

    /** Names of the broker, and those of its authorizer, which reads its own. */
    private static Set<String> brokers() {
        Set<String> names = new HashSet<>(kafka.server.KafkaConfig.configDef().names());
        names.add(StandardAuthorizer.SUPER_USERS_CONFIG);
        names.add(StandardAuthorizer.ALLOW_EVERYONE_IF_NO_ACL_IS_FOUND_CONFIG);
        return names;
    }
}
