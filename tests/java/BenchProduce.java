import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
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
 * go first and do not count. Prints one line of JSON.
 *
 * <p>{@code BenchProduce --bootstrap A --topic T --records N --size BYTES --compression lz4 --linger-ms 5}
 */
public final class BenchProduce {
    private static final int KEYS = 100_000;
    private static final int WARM_UP_AT_LEAST = 50_000;

    private BenchProduce() {}

    public static void main(String[] args) throws Exception {
        Map<String, String> options = new HashMap<>();
        for (int index = 0; index + 1 < args.length; index += 2) {
            options.put(args[index], args[index + 1]);
        }
        String topic = options.get("--topic");
        int records = Integer.parseInt(options.get("--records"));
        byte[] value = value(Integer.parseInt(options.get("--size")));

        Properties config = new Properties();
        config.put("bootstrap.servers", options.get("--bootstrap"));
        config.put("compression.type", options.get("--compression"));
        config.put("linger.ms", options.get("--linger-ms"));
        config.put("acks", "all");
        config.put("enable.idempotence", "true");
        try (var producer = new KafkaProducer<>(config, new ByteArraySerializer(), new ByteArraySerializer())) {
            send(producer, topic, Math.max(records / 5, WARM_UP_AT_LEAST), value);
            long cpu = cpuNanos();
            long start = System.nanoTime();
            send(producer, topic, records, value);
            double seconds = (System.nanoTime() - start) / 1e9;
            double cpuSeconds = (cpuNanos() - cpu) / 1e9;
            System.out.printf("{\"records\":%d,\"seconds\":%.6f,\"cpu_seconds\":%.6f}%n", records, seconds, cpuSeconds);
        }
    }

    private static void send(KafkaProducer<byte[], byte[]> producer, String topic, int records, byte[] value) {
        AtomicLong failed = new AtomicLong();
        for (int index = 0; index < records; index++) {
            byte[] key = ByteBuffer.allocate(8).putLong(index % KEYS).array();
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

    /** Half of it random, so that compression has about the work of real events. */
    private static byte[] value(int size) {
        byte[] value = new byte[size];
        byte[] noise = new byte[size / 2];
        new Random(7).nextBytes(noise);
        System.arraycopy(noise, 0, value, 0, noise.length);
        return value;
    }

    private static long cpuNanos() {
        var system = (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        return system.getProcessCpuTime();
    }
}
