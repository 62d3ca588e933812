import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.dataformat.yaml.YAMLFactory;
import io.strimzi.api.kafka.model.common.UnknownPropertyPreserving;
import io.strimzi.api.kafka.model.kafka.Kafka;
import io.strimzi.api.kafka.model.nodepool.KafkaNodePool;
import io.strimzi.api.kafka.model.topic.KafkaTopic;
import io.strimzi.api.kafka.model.user.KafkaUser;
import java.lang.reflect.Method;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Collection;
import java.util.Map;

/** Reads resources with Strimzi's own model and refuses what that does not know. Prints how many there were. */
public final class CheckStrimzi {
    private static final Map<String, Class<?>> KINDS = Map.of(
        "Kafka", Kafka.class, "KafkaNodePool", KafkaNodePool.class, "KafkaTopic", KafkaTopic.class, "KafkaUser", KafkaUser.class);

    private CheckStrimzi() {}

    public static void main(String[] files) throws Exception {
        ObjectMapper mapper = new ObjectMapper(new YAMLFactory()).enable(DeserializationFeature.FAIL_ON_UNKNOWN_PROPERTIES);
        int resources = 0;
        for (String file : files) {
            try (var documents = mapper.getFactory().createParser(Files.readString(Path.of(file)))) {
                var values = mapper.readValues(documents, JsonNode.class);
                while (values.hasNext()) {
                    JsonNode node = values.next();
                    String kind = node.path("kind").asText();
                    if (!node.path("apiVersion").asText().equals("kafka.strimzi.io/v1") || !KINDS.containsKey(kind)) {
                        throw new IllegalArgumentException(file + ": " + node.path("apiVersion") + " " + kind);
                    }
                    strict(file + " " + kind, mapper.treeToValue(node, KINDS.get(kind)));
                    resources++;
                }
            }
        }
        System.out.printf("{\"resources\":%d}%n", resources);
    }

    /** The model keeps fields that it does not know: none may be kept, at any depth. */
    private static void strict(String place, Object value) throws Exception {
        if (value instanceof Collection<?> items) {
            for (Object item : items) {
                strict(place, item);
            }
        }
        if (!(value instanceof UnknownPropertyPreserving model)) {
            return;
        }
        if (model.getAdditionalProperties() != null && !model.getAdditionalProperties().isEmpty()) {
            throw new IllegalArgumentException(place + ": unknown fields " + model.getAdditionalProperties().keySet());
        }
        for (Method method : value.getClass().getMethods()) {
            boolean getter = method.getName().startsWith("get") && method.getParameterCount() == 0;
            if (getter && !method.getName().equals("getAdditionalProperties")) {
                strict(place + "." + method.getName().substring(3), method.invoke(value));
            }
        }
    }
}
