package shop;

import java.time.Duration;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

class Orders {
    void write(String brokers, String id, String order) {
        Properties p = new Properties();
        p.put("bootstrap.servers", brokers);
        p.put("acks", "1");
        p.put("key.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        p.put("value.serializer", "org.apache.kafka.common.serialization.StringSerializer");
        KafkaProducer<String, String> producer = new KafkaProducer<>(p);
        producer.send(new ProducerRecord<>("orders", id, order));
    }

    void read(String brokers, Billing billing) {
        Properties c = new Properties();
        c.put("bootstrap.servers", brokers);
        c.put("group.id", "billing");
        c.put("enable.auto.commit", "false");
        c.put("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        c.put("value.deserializer", "org.apache.kafka.common.serialization.StringDeserializer");
        KafkaConsumer<String, String> consumer = new KafkaConsumer<>(c);
        consumer.subscribe(List.of("orders"));
        while (true) {
            var records = consumer.poll(Duration.ofMillis(500));
            consumer.commitSync();
            for (var record : records) {
                try {
                    billing.charge(record.key(), record.value());
                } catch (Exception e) {
                    // next time
                }
            }
        }
    }
}
