import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/**
 * A keyed producer as Java's users have it (acks=all, idempotent), measured when the JVM is warm: a fifth of the records
 * go first and do not count. Keys and values are those of klamm-client's example bench_produce. Prints one line of JSON.
 *
 * <p>{@code BenchProduce --bootstrap A --topic T --records N --size BYTES --compression lz4 --linger-ms 5 --batch-bytes 524288}
 */
public final class BenchProduce {
    private static final int WARM_UP_AT_LEAST = 50_000;

    private BenchProduce() {}

    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int index = 0; index + 1 < args.length; index += 2) {
            options.put(args[index], args[index + 1]);
        }
        String topic = options.get("--topic");
        int records = Integer.parseInt(options.get("--records"));
        byte[][] values = values(Integer.parseInt(options.get("--size")));

        Properties config = new Properties();
        config.put("bootstrap.servers", options.get("--bootstrap"));
        config.put("compression.type", options.get("--compression"));
        config.put("linger.ms", options.get("--linger-ms"));
        config.put("batch.size", options.get("--batch-bytes"));
        config.put("acks", "all");
        config.put("enable.idempotence", "true");
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            send(producer, topic, Math.max(records / 5, WARM_UP_AT_LEAST), values);
            long cpu = cpuNanos();
            long start = System.nanoTime();
            send(producer, topic, records, values);
            double seconds = (System.nanoTime() - start) / 1e9;
            double cpuSeconds = (cpuNanos() - cpu) / 1e9;
            System.out.printf("{\"records\":%d,\"seconds\":%.6f,\"cpu_seconds\":%.6f}%n", records, seconds, cpuSeconds);
        }
    }

    private static void send(KafkaProducer<byte[], byte[]> producer, String topic, int records, byte[][] values) {
        AtomicLong failed = new AtomicLong();
        for (int index = 0; index < records; index++) {
            byte[] key = Long.toString(index * 7_919L % 1_000_003).getBytes(StandardCharsets.UTF_8);
            byte[] value = values[index % values.length];
            producer.send(new ProducerRecord<>(topic, key, value), (metadata, error) -> {
                if (error != null) {
                    failed.incrementAndGet();
                }
            });
        }
        producer.flush();
        if (failed.get() > 0) {
            throw new IllegalStateException(failed + " records failed");
        }
    }

    /** Letters out of sixteen: they compress like JSON does, about to a half. */
    private static byte[][] values(int size) {
        Random random = new Random(7);
        byte[][] values = new byte[1_000][size];
        for (byte[] value : values) {
            for (int index = 0; index < size; index++) {
                value[index] = (byte) ('a' + random.nextInt(16));
            }
        }
        return values;
    }

    private static long cpuNanos() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime();
    }
}
