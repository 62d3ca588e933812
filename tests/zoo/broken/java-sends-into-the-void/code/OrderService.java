package shop;

import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

class OrderService {
    private final KafkaProducer<String, String> producer;

    OrderService(Properties config) {
        producer = new KafkaProducer<>(config);
    }

    void placed(String orderId, String json) {
        producer.send(new ProducerRecord<>("orders", orderId, json));
    }
}
