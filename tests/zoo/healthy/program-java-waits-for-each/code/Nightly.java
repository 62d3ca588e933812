import java.util.Properties;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;

class Nightly {
    static void write(Properties given, Iterable<Report> reports) throws ExecutionException, InterruptedException {
        try (var producer = new KafkaProducer<String, byte[]>(given)) {
            for (Report report : reports) {
                producer.send(new ProducerRecord<>("reports", report.shop(), report.bytes())).get();
            }
        }
    }
}
