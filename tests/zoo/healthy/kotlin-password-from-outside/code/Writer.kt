package shop

import java.util.Properties
import org.apache.kafka.clients.producer.KafkaProducer
import org.apache.kafka.clients.producer.ProducerRecord

class Writer(password: String = System.getenv("KAFKA_PASSWORD")) {
    private val config = Properties().apply {
        put("bootstrap.servers", "kafka-1:9093")
        put("acks", "all")
        put("enable.idempotence", "true")
        put("security.protocol", "SASL_SSL")
        put("sasl.mechanism", "SCRAM-SHA-512")
        put("sasl.jaas.config", "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"shop\" password=\"$password\";")
    }
    private val producer = KafkaProducer<String, String>(config)

    fun write(id: String, body: String) {
        producer.send(ProducerRecord("orders", id, body)).get()
    }
}
