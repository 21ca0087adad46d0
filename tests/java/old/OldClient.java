import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Properties;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;

/**
 * A producer and a consumer with the API of versions 0.9 to 2.8, for each codec. Arguments: the broker's address and
 * the name of an empty topic.
 */
public final class OldClient {
    private static final int COUNT = 100;
    private static final String STRINGS = "org.apache.kafka.common.serialization.String";

    public static void main(String[] args) throws Exception {
        long end = 0;
        for (String codec : new String[] {"none", "gzip", "snappy", "lz4"}) {
            produce(args[0], args[1], codec, end);
            end += COUNT;
            consume(args[0], args[1], codec, end);
        }
    }

    private static void produce(String bootstrap, String topic, String codec, long end) throws Exception {
        Properties settings = common(bootstrap);
        settings.put("acks", "all");
        settings.put("compression.type", codec);
        settings.put("linger.ms", "20");
        settings.put("key.serializer", STRINGS + "Serializer");
        settings.put("value.serializer", STRINGS + "Serializer");
        List<Future<RecordMetadata>> sent = new ArrayList<Future<RecordMetadata>>();
        KafkaProducer<String, String> producer = new KafkaProducer<String, String>(settings);
        for (int number = 0; number < COUNT; number++) {
            sent.add(producer.send(new ProducerRecord<String, String>(topic, "key", codec + " " + number)));
        }
        for (int number = 0; number < COUNT; number++) {
            long offset = sent.get(number).get(60, TimeUnit.SECONDS).offset();
            check(offset == end + number, "record " + number + " by " + codec + " is at " + offset);
        }
        producer.close();
    }

    /** Reads the whole topic and checks the last records, which have this codec. */
    private static void consume(String bootstrap, String topic, String codec, long end) {
        Properties settings = common(bootstrap);
        settings.put("group.id", "readers of " + codec + " to " + end);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("heartbeat.interval.ms", "200");
        settings.put("key.deserializer", STRINGS + "Deserializer");
        settings.put("value.deserializer", STRINGS + "Deserializer");
        KafkaConsumer<String, String> consumer = new KafkaConsumer<String, String>(settings);
        consumer.subscribe(Collections.singletonList(topic));
        long next = 0;
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
        while (next < end) {
            check(System.nanoTime() < deadline, "only " + next + " of " + end + " records arrived");
            ConsumerRecords<String, String> records = consumer.poll(100);
            for (ConsumerRecord<String, String> record : records) {
                check(record.offset() == next, "record " + record.offset() + " arrived where " + next + " was expected");
                check("key".equals(record.key()), "the key is " + record.key());
                if (next >= end - COUNT) {
                    String expected = codec + " " + (next - (end - COUNT));
                    check(expected.equals(record.value()), record.value() + " arrived where " + expected + " was expected");
                }
                next++;
            }
        }
        consumer.commitSync();
        consumer.close();
    }

    private static Properties common(String bootstrap) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        return settings;
    }

    private static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
