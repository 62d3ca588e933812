import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.UnknownTopicOrPartitionException;

/**
 * Creates many topics, or looks at them (partitions and configuration), with Java's Admin as its users have it: as many
 * topics a request as the controller takes. The JVM's start does not count. Prints one line of JSON.
 *
 * <p>{@code BenchAdmin --bootstrap A --what create|look|delete --prefix P --topics N --partitions P}
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
