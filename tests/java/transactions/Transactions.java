import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Transactions with any version of the clients from 0.11. Compiled against 0.11; methods that came later or went are
 * called by reflection. Arguments: the broker's address and a prefix for names. Prints one line for each error that a
 * fenced or timed-out producer gets, for the caller to compare.
 */
public final class Transactions {
    private static final int COUNT = 60;
    private static final int BATCH = 20;

    private final String bootstrap;
    private final String prefix;

    private Transactions(String bootstrap, String prefix) {
        this.bootstrap = bootstrap;
        this.prefix = prefix;
    }

    public static void main(String[] args) throws Exception {
        Transactions run = new Transactions(args[0], args[1]);
        run.copyInTransactions();
        run.fenceZombies();
        run.timeOut();
        // Threads of a producer with a fatal error must not keep the process alive.
        System.exit(0);
    }

    /** Reads, processes and writes in transactions: each batch is aborted first, then committed. */
    private void copyInTransactions() throws Exception {
        String in = prefix + "-in";
        String out = prefix + "-out";
        KafkaProducer<String, String> plain = new KafkaProducer<String, String>(Clients.producer(bootstrap, null));
        for (int number = 0; number < COUNT; number++) {
            plain.send(new ProducerRecord<String, String>(in, "key " + number, Integer.toString(number)));
        }
        plain.close();

        KafkaProducer<String, String> producer = transactional("copy", "60000");
        producer.initTransactions();
        Properties settings = Clients.consumer(bootstrap, prefix + "-copiers", "read_committed");
        settings.put("max.poll.records", Integer.toString(BATCH));
        KafkaConsumer<String, String> consumer = new KafkaConsumer<String, String>(settings);
        consumer.subscribe(Collections.singletonList(in));
        List<String> aborted = new ArrayList<String>();
        int copied = 0;
        long deadline = Clients.deadline();
        while (copied < COUNT) {
            Clients.check(System.nanoTime() < deadline, "only " + copied + " records were copied");
            List<ConsumerRecord<String, String>> records = Clients.poll(consumer, 100);
            if (records.isEmpty()) {
                continue;
            }
            for (boolean commit : new boolean[] {false, true}) {
                producer.beginTransaction();
                Map<TopicPartition, OffsetAndMetadata> offsets = new HashMap<TopicPartition, OffsetAndMetadata>();
                for (ConsumerRecord<String, String> record : records) {
                    String value = commit ? record.value() : "aborted " + record.value();
                    producer.send(new ProducerRecord<String, String>(out, record.key(), value));
                    TopicPartition partition = new TopicPartition(record.topic(), record.partition());
                    offsets.put(partition, new OffsetAndMetadata(record.offset() + 1));
                }
                Clients.sendOffsets(producer, offsets, consumer, prefix + "-copiers");
                if (commit) {
                    producer.commitTransaction();
                } else {
                    producer.flush();
                    producer.abortTransaction();
                }
            }
            copied += records.size();
        }
        producer.close();
        consumer.close();

        Set<String> committed = new HashSet<String>(read(out, "read_committed", COUNT));
        for (int number = 0; number < COUNT; number++) {
            Clients.check(committed.contains(Integer.toString(number)), "record " + number + " is missing");
        }
        read(out, "read_uncommitted", 2 * COUNT);
        checkCommittedOffsets(in);
    }

    /** The group's offsets are those of the committed transactions: all of the topic. */
    private void checkCommittedOffsets(String topic) {
        KafkaConsumer<String, String> consumer =
                new KafkaConsumer<String, String>(Clients.consumer(bootstrap, prefix + "-copiers", "read_committed"));
        List<TopicPartition> partitions = assignAll(consumer, topic);
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        for (TopicPartition partition : partitions) {
            long position = consumer.position(partition);
            Clients.check(position == ends.get(partition), "offset " + position + " is committed of " + partition);
        }
        consumer.close();
    }

    /** A second producer with the same id fences the first and aborts its transaction. */
    private void fenceZombies() throws Exception {
        String topic = prefix + "-fenced";
        KafkaProducer<String, String> first = transactional("fenced", "60000");
        first.initTransactions();
        first.beginTransaction();
        first.send(new ProducerRecord<String, String>(topic, "by the first"));
        first.flush();
        KafkaProducer<String, String> second = transactional("fenced", "60000");
        second.initTransactions();
        report("commit of the fenced", Clients.error(() -> {
            first.commitTransaction();
            return null;
        }));
        second.beginTransaction();
        second.send(new ProducerRecord<String, String>(topic, "by the second")).get();
        second.commitTransaction();

        KafkaProducer<String, String> third = transactional("fenced", "60000");
        third.initTransactions();
        second.beginTransaction();
        report("send of the fenced", Clients.error(() ->
            second.send(new ProducerRecord<String, String>(topic, "by a zombie")).get(30, TimeUnit.SECONDS)));
        third.beginTransaction();
        third.send(new ProducerRecord<String, String>(topic, "by the third"));
        third.commitTransaction();
        third.close();
        List<String> values = read(topic, "read_committed", 2);
        Clients.check(values.containsAll(Arrays.asList("by the second", "by the third")), "found " + values);
    }

    /** The coordinator aborts a transaction that takes longer than its timeout, and fences its producer. */
    private void timeOut() throws Exception {
        String topic = prefix + "-late";
        KafkaProducer<String, String> late = transactional("late", "1000");
        late.initTransactions();
        late.beginTransaction();
        late.send(new ProducerRecord<String, String>(topic, "late"));
        late.flush();
        KafkaConsumer<String, String> consumer =
                new KafkaConsumer<String, String>(Clients.consumer(bootstrap, null, "read_committed"));
        List<TopicPartition> partitions = assignAll(consumer, topic);
        long deadline = Clients.deadline();
        // The record and the marker.
        for (long end = 0; end < 2; end = sum(consumer.endOffsets(partitions))) {
            Clients.check(System.nanoTime() < deadline, "the last stable offset did not move: " + end);
        }
        consumer.close();
        report("commit after the timeout", Clients.error(() -> {
            late.commitTransaction();
            return null;
        }));
        KafkaProducer<String, String> next = transactional("late", "60000");
        next.initTransactions();
        next.beginTransaction();
        next.send(new ProducerRecord<String, String>(topic, "in time"));
        next.commitTransaction();
        next.close();
        List<String> values = read(topic, "read_committed", 1);
        Clients.check(values.equals(Collections.singletonList("in time")), "found " + values);
    }

    private static long sum(Map<TopicPartition, Long> offsets) {
        long sum = 0;
        for (long offset : offsets.values()) {
            sum += offset;
        }
        return sum;
    }

    /** Reads all of a topic, which must be this many different records. */
    private List<String> read(String topic, String isolation, int count) {
        KafkaConsumer<String, String> consumer =
                new KafkaConsumer<String, String>(Clients.consumer(bootstrap, null, isolation));
        List<TopicPartition> partitions = assignAll(consumer, topic);
        Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
        consumer.seekToBeginning(partitions);
        List<String> values = new ArrayList<String>();
        long deadline = Clients.deadline();
        for (TopicPartition partition : partitions) {
            while (consumer.position(partition) < ends.get(partition)) {
                Clients.check(System.nanoTime() < deadline, "the end of " + partition + " was not reached");
                for (ConsumerRecord<String, String> record : Clients.poll(consumer, 100)) {
                    values.add(record.value());
                }
            }
        }
        consumer.close();
        Clients.check(values.size() == count, isolation + " of " + topic + " has " + values.size() + " records");
        Clients.check(new HashSet<String>(values).size() == count, "a record of " + topic + " arrived twice: " + values);
        return values;
    }

    private static List<TopicPartition> assignAll(KafkaConsumer<String, String> consumer, String topic) {
        List<TopicPartition> partitions = new ArrayList<TopicPartition>();
        for (PartitionInfo info : consumer.partitionsFor(topic)) {
            partitions.add(new TopicPartition(topic, info.partition()));
        }
        consumer.assign(partitions);
        return partitions;
    }

    private KafkaProducer<String, String> transactional(String name, String timeout) {
        Properties settings = Clients.producer(bootstrap, prefix + "-" + name);
        settings.put("transaction.timeout.ms", timeout);
        return new KafkaProducer<String, String>(settings);
    }

    private static void report(String what, String error) {
        System.out.println(what + ": " + error);
    }
}
