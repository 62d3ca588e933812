package shop;

import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

class OrderService {
    private final KafkaProducer<String, String> producer;
    private final FailedOrders failed;

    OrderService(Properties config, FailedOrders failed) {
        producer = new KafkaProducer<>(config);
        this.failed = failed;
    }

    void placed(String orderId, String json) {
        producer.send(new ProducerRecord<>("orders", orderId, json), (metadata, error) -> {
            if (error != null) {
                failed.add(orderId, error);
            }
        });
    }
}
