package shop

import org.apache.kafka.clients.producer.KafkaProducer
import org.apache.kafka.clients.producer.ProducerRecord
import java.util.Properties

class Writer(given: Properties) {
    private val producer = KafkaProducer<String, String>(given)

    fun place(order: Order) {
        producer.send(ProducerRecord("orders", "order", order.json()))
    }
}
