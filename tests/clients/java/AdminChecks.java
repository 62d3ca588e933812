import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ListOffsetsResult.ListOffsetsResultInfo;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.TopicDescription;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.errors.TopicExistsException;

/** Topics, offsets, settings, deleted records. */
final class AdminChecks {
    private final Session session;

    AdminChecks(Session session) {
        this.session = session;
    }

    void createTopic() throws Exception {
        String topic = session.name + "-created";
        NewTopic wanted = new NewTopic(topic, 3, (short) 1).configs(Map.of("retention.ms", "3600000"));
        session.admin.createTopics(List.of(wanted)).all().get();
        // A broker learns of a new topic a moment after the controller has acknowledged it.
        Session.until("listed", () -> listed(topic));
        TopicDescription found = session.admin.describeTopics(List.of(topic)).allTopicNames().get().get(topic);
        Matrix.same(3, found.partitions().size(), "partitions");
        try {
            session.admin.createTopics(List.of(wanted)).all().get();
        } catch (ExecutionException error) {
            Matrix.ensure(error.getCause() instanceof TopicExistsException, String.valueOf(error.getCause()));
            return;
        }
        throw new AssertionError("created twice");
    }

    private boolean listed(String topic) {
        try {
            return session.admin.listTopics().names().get().contains(topic);
        } catch (InterruptedException | ExecutionException error) {
            throw new AssertionError("cannot list topics", error);
        }
    }

    void offsetsByTime() throws Exception {
        String topic = session.topic("times", 1);
        long base = System.currentTimeMillis() - 100_000;
        try (KafkaProducer<String, String> producer = session.producer(Map.of())) {
            for (int i = 0; i < 10; i++) {
                producer.send(new ProducerRecord<>(topic, 0, base + i * 1000L, null, "v" + i)).get();
            }
        }
        Matrix.same(0L, offset(topic, OffsetSpec.earliest()).offset(), "earliest");
        Matrix.same(10L, offset(topic, OffsetSpec.latest()).offset(), "latest");
        ListOffsetsResultInfo exact = offset(topic, OffsetSpec.forTimestamp(base + 5000));
        Matrix.same(5L, exact.offset(), "at an exact time");
        Matrix.same(base + 5000, exact.timestamp(), "the time of what was found");
        Matrix.same(6L, offset(topic, OffsetSpec.forTimestamp(base + 5001)).offset(), "between two times");
        Matrix.same(-1L, offset(topic, OffsetSpec.forTimestamp(base + 60_000)).offset(), "after all");
        Matrix.same(9L, offset(topic, OffsetSpec.maxTimestamp()).offset(), "the largest time");
    }

    private ListOffsetsResultInfo offset(String topic, OffsetSpec spec) throws Exception {
        return session.admin.listOffsets(Map.of(new TopicPartition(topic, 0), spec)).all().get().get(new TopicPartition(topic, 0));
    }

    void configs() throws Exception {
        String topic = session.topic("configs", 1);
        ConfigResource resource = new ConfigResource(ConfigResource.Type.TOPIC, topic);
        becomes(resource, "604800000", ConfigEntry.ConfigSource.DEFAULT_CONFIG);
        alter(resource, AlterConfigOp.OpType.SET);
        becomes(resource, "7200000", ConfigEntry.ConfigSource.DYNAMIC_TOPIC_CONFIG);
        alter(resource, AlterConfigOp.OpType.DELETE);
        becomes(resource, "604800000", ConfigEntry.ConfigSource.DEFAULT_CONFIG);
    }

    private ConfigEntry entry(ConfigResource resource) throws Exception {
        return session.admin.describeConfigs(List.of(resource)).all().get().get(resource).get("retention.ms");
    }

    /** A broker learns of a change a moment after the controller has acknowledged it. */
    private void becomes(ConfigResource resource, String value, ConfigEntry.ConfigSource source) throws Exception {
        long end = System.nanoTime() + Session.BOUND.toNanos();
        ConfigEntry found = entry(resource);
        while (System.nanoTime() < end && !(found.value().equals(value) && found.source() == source)) {
            Thread.sleep(50);
            found = entry(resource);
        }
        Matrix.same(value, found.value(), "retention.ms");
        Matrix.same(source, found.source(), "its source");
    }

    private void alter(ConfigResource resource, AlterConfigOp.OpType operation) throws Exception {
        AlterConfigOp change = new AlterConfigOp(new ConfigEntry("retention.ms", "7200000"), operation);
        session.admin.incrementalAlterConfigs(Map.of(resource, List.of(change))).all().get();
    }

    void deleteRecords() throws Exception {
        String topic = session.topic("deleted", 1);
        TopicPartition partition = new TopicPartition(topic, 0);
        session.fill(topic, "v", 10);
        long low = session.admin.deleteRecords(Map.of(partition, RecordsToDelete.beforeOffset(5)))
                .lowWatermarks().get(partition).get().lowWatermark();
        Matrix.same(5L, low, "low watermark");
        Matrix.same(5L, offset(topic, OffsetSpec.earliest()).offset(), "earliest");
        Matrix.same(List.of("v5", "v6", "v7", "v8", "v9"), session.all(topic, "read_uncommitted"), "what is left");
    }
}
