import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.ListOffsetsOptions;
import org.apache.kafka.clients.admin.ListTopicsOptions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.common.IsolationLevel;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.TopicPartitionInfo;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/**
 * Creates many topics, or looks at them (partitions and configuration), with Java's Admin as its users have it: as many
 * topics a request as the controller takes. The JVM's start does not count. Prints one line of JSON.
 *
 * <p>{@code BenchAdmin --bootstrap A --what create|look|audit|delete --prefix P --topics N --partitions P}
 */
public final class BenchAdmin {
    /** Topics of one request: with five partitions and two configurations each well below 10,000 metadata records. */
    private static final int AT_ONCE = 1_000;

    private BenchAdmin() {}

    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int index = 0; index + 1 < args.length; index += 2) {
            options.put(args[index], args[index + 1]);
        }
        int topics = Integer.parseInt(options.get("--topics"));
        int partitions = Integer.parseInt(options.get("--partitions"));
        List<String> names = new ArrayList<>();
        for (int index = 0; index < topics; index++) {
            names.add(String.format("%s.%04d", options.get("--prefix"), index));
        }
        Map<String, Object> config = Map.of(
                "bootstrap.servers", options.get("--bootstrap"),
                "default.api.timeout.ms", 120_000,
                "request.timeout.ms", 110_000);
        try (Admin admin = Admin.create(config)) {
            admin.describeCluster().nodes().get();
            long start = System.nanoTime();
            if (options.get("--what").equals("audit")) {
                audit(admin);
                double seconds = (System.nanoTime() - start) / 1e9;
                System.out.printf("{\"records\":%d,\"seconds\":%.6f}%n", topics, seconds);
                return;
            }
            for (int from = 0; from < topics; from += AT_ONCE) {
                List<String> some = names.subList(from, Math.min(topics, from + AT_ONCE));
                switch (options.get("--what")) {
                    case "create" -> create(admin, some, partitions);
                    case "look" -> look(admin, some);
                    default -> admin.deleteTopics(some).all().get();
                }
            }
            if (options.get("--what").equals("create")) {
                untilShown(admin, names);
            }
            double seconds = (System.nanoTime() - start) / 1e9;
            System.out.printf("{\"records\":%d,\"seconds\":%.6f}%n", topics, seconds);
        }
    }

    private static void create(Admin admin, List<String> names, int partitions) throws Exception {
        Map<String, String> configs = Map.of("retention.ms", "7200000", "min.insync.replicas", "1");
        List<NewTopic> wanted = new ArrayList<>();
        for (String name : names) {
            wanted.add(new NewTopic(name, Optional.of(partitions), Optional.of((short) 1)).configs(configs));
        }
        admin.createTopics(wanted).all().get();
    }

    /** As klamm does: done when the broker shows what the controller has taken. */
    private static void untilShown(Admin admin, List<String> names) throws Exception {
        while (true) {
            try {
                look(admin, names);
                return;
            } catch (ExecutionException error) {
                if (!(error.getCause() instanceof UnknownTopicOrPartitionException)) {
                    throw error;
                }
                Thread.sleep(100);
            }
        }
    }

    /** What an audit asks a cluster for, with nothing made of it: no rule, no report. */
    private static void audit(Admin admin) throws Exception {
        Set<String> names = admin.listTopics(new ListTopicsOptions().listInternal(true)).names().get();
        Map<String, TopicDescription> topics = admin.describeTopics(names).allTopicNames().get();
        List<ConfigResource> resources = new ArrayList<>();
        List<Integer> brokers = new ArrayList<>();
        for (Node node : admin.describeCluster().nodes().get()) {
            brokers.add(node.id());
            resources.add(new ConfigResource(ConfigResource.Type.BROKER, node.idString()));
        }
        Map<TopicPartition, OffsetSpec> earliest = new HashMap<>();
        Map<TopicPartition, OffsetSpec> latest = new HashMap<>();
        for (TopicDescription topic : topics.values()) {
            resources.add(new ConfigResource(ConfigResource.Type.TOPIC, topic.name()));
            for (TopicPartitionInfo partition : topic.partitions()) {
                TopicPartition at = new TopicPartition(topic.name(), partition.partition());
                earliest.put(at, OffsetSpec.earliest());
                latest.put(at, OffsetSpec.latest());
            }
        }
        admin.describeConfigs(resources).all().get();
        admin.listOffsets(earliest).all().get();
        admin.listOffsets(latest).all().get();
        admin.listOffsets(latest, new ListOffsetsOptions(IsolationLevel.READ_COMMITTED)).all().get();
        admin.describeLogDirs(brokers).allDescriptions().get();
        admin.describeMetadataQuorum().quorumInfo().get();
        admin.describeFeatures().featureMetadata().get();
        admin.listPartitionReassignments().reassignments().get();
        admin.listTransactions().all().get();
        admin.listGroups().all().get();
        if (topics.isEmpty()) {
            throw new IllegalStateException("saw no topic");
        }
    }

    private static void look(Admin admin, List<String> names) throws Exception {
        List<ConfigResource> resources = new ArrayList<>();
        for (String name : names) {
            resources.add(new ConfigResource(ConfigResource.Type.TOPIC, name));
        }
        int seen = admin.describeTopics(names).allTopicNames().get().size();
        int described = admin.describeConfigs(resources).all().get().size();
        if (seen != names.size() || described != names.size()) {
            throw new IllegalStateException("saw " + seen + " topics and " + described + " configurations");
        }
    }
}
