package shop

import org.springframework.kafka.annotation.KafkaListener
import org.springframework.kafka.core.KafkaTemplate
import org.springframework.kafka.support.Acknowledgment
import org.springframework.stereotype.Component

@Component
class Listener(private val template: KafkaTemplate<String, String>, private val stock: Stock) {
    @KafkaListener(topics = ["orders"], groupId = "stock")
    fun on(order: Order, ack: Acknowledgment) {
        stock.take(order)
        ack.acknowledge()
    }

    fun moved(id: String, text: String) {
        template.send("stock-moves", id, text).get()
    }
}
