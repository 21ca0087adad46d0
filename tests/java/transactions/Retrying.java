import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * An idempotent and a transactional producer that write until stdin ends, while the caller kills the broker again and
 * again; with any version of the clients from 0.11. No send may fail, and afterwards every record must be there once
 * and in order. Arguments: the broker's address and a prefix for names. Prints {@code writing} when both have written.
 */
public final class Retrying {
    private static final int ROUND = 20;
    private static final String VERSION = AppInfoParser.getVersion();

    public static void main(String[] args) throws Exception {
        Thread untilEnd = new Thread(() -> {
            try {
                while (System.in.read() >= 0) {
                    continue;
                }
            } catch (java.io.IOException ended) {
                return;
            }
        });
        untilEnd.start();
        KafkaProducer<String, String> idempotent = producer(args[0], null);
        KafkaProducer<String, String> transactional = producer(args[0], args[1]);
        List<String> topics = new ArrayList<String>(Collections.singletonList(args[1] + "-idempotent"));
        // 0.11 forgets a transactional request, after a NullPointerException of its own, when no broker is there.
        boolean hasTransactions = !VERSION.startsWith("0.11");
        if (hasTransactions) {
            topics.add(args[1] + "-transactional");
            transactional.initTransactions();
        }
        int written = 0;
        while (untilEnd.isAlive()) {
            List<Future<RecordMetadata>> sent = new ArrayList<Future<RecordMetadata>>();
            if (hasTransactions) {
                transactional.beginTransaction();
            }
            for (int number = written; number < written + ROUND; number++) {
                String value = Integer.toString(number);
                sent.add(idempotent.send(new ProducerRecord<String, String>(topics.get(0), value)));
                if (hasTransactions) {
                    sent.add(transactional.send(new ProducerRecord<String, String>(topics.get(1), value)));
                }
            }
            if (hasTransactions) {
                transactional.commitTransaction();
            }
            for (Future<RecordMetadata> future : sent) {
                future.get(60, TimeUnit.SECONDS);
            }
            if (written == 0) {
                System.out.println("writing");
            }
            written += ROUND;
        }
        idempotent.close();
        transactional.close();
        for (String topic : topics) {
            check(args[0], topic, written);
        }
        System.out.println(written + " records");
    }

    private static KafkaProducer<String, String> producer(String bootstrap, String transactionalId) {
        Properties settings = Clients.producer(bootstrap, transactionalId);
        // Small batches, so that several are in flight when the connection breaks. 0.11 allows only one.
        settings.put("batch.size", "100");
        settings.put("max.in.flight.requests.per.connection", VERSION.startsWith("0.11") ? "1" : "5");
        // Versions to 2.0 do not notice a broken connection as long as they wait for their sockets, if several answers
        // arrived before: they must not wait for 30 s, or records expire.
        settings.put("metadata.max.age.ms", "500");
        settings.put("retries", Integer.toString(Integer.MAX_VALUE));
        return new KafkaProducer<String, String>(settings);
    }

    private static void check(String bootstrap, String topic, int written) {
        KafkaConsumer<String, String> consumer =
                new KafkaConsumer<String, String>(Clients.consumer(bootstrap, null, "read_committed"));
        List<TopicPartition> partitions = Collections.singletonList(new TopicPartition(topic, 0));
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        long end = consumer.endOffsets(partitions).get(partitions.get(0));
        int next = 0;
        long deadline = Clients.deadline();
        while (consumer.position(partitions.get(0)) < end) {
            Clients.check(System.nanoTime() < deadline, "the end of " + topic + " was not reached");
            for (ConsumerRecord<String, String> record : Clients.poll(consumer, 100)) {
                Clients.check(record.value().equals(Integer.toString(next)),
                        topic + " has " + record.value() + " where " + next + " was expected");
                next++;
            }
        }
        Clients.check(next == written, topic + " has " + next + " of " + written + " records");
        consumer.close();
    }
}
