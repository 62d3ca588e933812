package shop.images;

import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;

public class ImageWriter {
    private final KafkaProducer<String, byte[]> producer;

    public ImageWriter(String brokers) {
        Properties config = new Properties();
        config.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, brokers);
        config.put(ProducerConfig.ACKS_CONFIG, "all");
        config.put(ProducerConfig.ENABLE_IDEMPOTENCE_CONFIG, "true");
        config.put(ProducerConfig.MAX_REQUEST_SIZE_CONFIG, 5242880);
        config.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, "zstd");
        producer = new KafkaProducer<>(config);
    }

    public void write(String orderId, byte[] image) throws Exception {
        producer.send(new ProducerRecord<>("orders", orderId, image)).get();
    }
}
