import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;

/** {@link WordCount} in a process of its own, killed in the middle and started again: each word's counts are 1, 2, 3 … without a gap. */
final class StreamsCheck {
    private static final int LINES = 2000;
    private static final String[] WORDS = {"log", "offset", "epoch", "leader", "marker"};

    private final Session session;
    private String from;
    private String to;
    private Path state;

    StreamsCheck(Session session) {
        this.session = session;
    }

    void run() throws Exception {
        try {
            Class.forName("org.apache.kafka.streams.KafkaStreams");
        } catch (ClassNotFoundException absent) {
            throw new Matrix.Skipped("only run with the newest Kafka Streams");
        }
        from = session.topic("words", 2);
        to = session.topic("counts", 1);
        state = Files.createTempDirectory("word-count");
        fill(LINES);
        Process process = start();
        try {
            Session.until("the first counts", () -> end() > 0 || ended(process));
            process.destroyForcibly().waitFor();
            fill(LINES);
            again();
        } finally {
            process.destroyForcibly();
            try (Stream<Path> files = Files.walk(state)) {
                files.sorted(Comparator.reverseOrder()).map(Path::toFile).forEach(File::delete);
            }
        }
    }

    private void again() throws Exception {
        Process process = start();
        try {
            Map<String, Integer> expected = new HashMap<>();
            for (int i = 0; i < 2 * LINES; i++) {
                for (String word : line(i % LINES).split(" ")) {
                    expected.merge(word, 1, Integer::sum);
                }
            }
            int total = expected.values().stream().mapToInt(Integer::intValue).sum();
            Map<String, Integer> found = new HashMap<>();
            List<String> wrong = new ArrayList<>();
            try (KafkaConsumer<String, String> consumer = session.consumer(Map.of("isolation.level", "read_committed"))) {
                consumer.assign(List.of(new TopicPartition(to, 0)));
                consumer.seekToBeginning(consumer.assignment());
                Session.until("all words counted", () -> {
                    for (ConsumerRecord<String, String> record : consumer.poll(java.time.Duration.ofMillis(200))) {
                        int count = found.merge(record.key(), 1, Integer::sum);
                        if (!record.value().equals(String.valueOf(count))) {
                            wrong.add(record.key() + " " + record.value() + " instead of " + count);
                        }
                    }
                    return !wrong.isEmpty() || found.values().stream().mapToInt(Integer::intValue).sum() >= total || ended(process);
                });
            }
            Matrix.ensure(wrong.isEmpty(), "counts are not 1, 2, 3 …: " + wrong.stream().limit(3).toList());
            Matrix.same(expected, found, "totals");
        } finally {
            process.destroyForcibly().waitFor();
        }
    }

    private static boolean ended(Process process) {
        Matrix.ensure(process.isAlive(), "the application ended by itself: see standard error");
        return false;
    }

    private long end() {
        try (KafkaConsumer<String, String> consumer = session.consumer(Map.of("isolation.level", "read_committed"))) {
            TopicPartition partition = new TopicPartition(to, 0);
            return consumer.endOffsets(List.of(partition)).get(partition);
        }
    }

    private Process start() throws Exception {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        List<String> command = List.of(
                java, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error",
                "-cp", System.getProperty("java.class.path"),
                "WordCount", session.bootstrap, session.name + "-streams", from, to, state.toString());
        return new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.INHERIT)
                .redirectOutput(ProcessBuilder.Redirect.DISCARD).start();
    }

    private static String line(int number) {
        return WORDS[number % 5] + " " + WORDS[number % 3] + " " + WORDS[number % 2];
    }

    private void fill(int lines) {
        try (KafkaProducer<String, String> producer = session.producer(Map.of())) {
            for (int i = 0; i < lines; i++) {
                producer.send(new ProducerRecord<>(from, i % 2, null, line(i)));
            }
            producer.flush();
        }
    }
}
