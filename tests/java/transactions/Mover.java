import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;

/**
 * Carries out the orders of one partition of {@code orders}, each in a transaction of its own: one record for the account
 * that pays, one for the account that receives, and the offset behind the order. Arguments: the broker's address, the
 * partition, and the number of partitions of {@code transfers}. Prints {@code moved ID} for each committed order. Ends
 * with code 3 after an error that only a new producer can repair, so that the caller starts it again.
 *
 * An order is {@code ID FROM TO AMOUNT}; an account's records are in the partition of its number.
 */
public final class Mover {
    private static final String GROUP = "movers";

    public static void main(String[] args) {
        int partitions = Integer.parseInt(args[2]);
        TopicPartition orders = new TopicPartition("orders", Integer.parseInt(args[1]));
        KafkaProducer<String, String> producer = producer(args[0], "mover-" + args[1]);
        try {
            // Ends what the run before left open. Only then are the committed offsets stable.
            producer.initTransactions();
            KafkaConsumer<String, String> consumer = new KafkaConsumer<String, String>(
                    Clients.consumer(args[0], GROUP, "read_committed"));
            consumer.assign(Collections.singletonList(orders));
            System.out.println("ready");
            while (true) {
                for (ConsumerRecord<String, String> order : Clients.poll(consumer, 100)) {
                    move(producer, consumer, partitions, order);
                }
            }
        } catch (KafkaException error) {
            error.printStackTrace();
            System.out.flush();
            // Without closing the producer, which would abort.
            Runtime.getRuntime().halt(3);
        }
    }

    private static KafkaProducer<String, String> producer(String bootstrap, String transactionalId) {
        Properties settings = Clients.producer(bootstrap, transactionalId);
        settings.put("transaction.timeout.ms", "5000");
        return new KafkaProducer<String, String>(settings);
    }

    private static void move(KafkaProducer<String, String> producer, KafkaConsumer<String, String> consumer,
            int partitions, ConsumerRecord<String, String> order) {
        List<String> fields = Arrays.asList(order.value().split(" "));
        producer.beginTransaction();
        for (int side = 1; side <= 2; side++) {
            String account = fields.get(side);
            String amount = side == 1 ? "-" + fields.get(3) : fields.get(3);
            producer.send(new ProducerRecord<String, String>("transfers", Integer.parseInt(account) % partitions, account,
                    fields.get(0) + " " + amount));
        }
        Map<TopicPartition, OffsetAndMetadata> next = new HashMap<TopicPartition, OffsetAndMetadata>();
        next.put(new TopicPartition(order.topic(), order.partition()), new OffsetAndMetadata(order.offset() + 1));
        Clients.sendOffsets(producer, next, consumer, GROUP);
        producer.commitTransaction();
        System.out.println("moved " + fields.get(0));
    }
}
