import java.time.Duration;
import java.util.List;
import java.util.Map;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.springframework.mail.SimpleMailMessage;
import org.springframework.mail.javamail.JavaMailSender;

class Notify {
    private final JavaMailSender mail;
    private final WebSocketSession socket;

    Notify(JavaMailSender mail, WebSocketSession socket) {
        this.mail = mail;
        this.socket = socket;
    }

    void run(Map<String, Object> given) {
        try (var consumer = new KafkaConsumer<String, String>(given)) {
            consumer.subscribe(List.of("notifications"));
            while (!Thread.currentThread().isInterrupted()) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    var message = new SimpleMailMessage();
                    message.setTo(record.key());
                    message.setText(record.value());
                    mail.send(message);
                    socket.send(record.value());
                }
                consumer.commitSync();
            }
        }
    }
}
