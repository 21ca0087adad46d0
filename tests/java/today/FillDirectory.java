import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Fills a broker's data directory: batches of every codec and every kind of producer, compacted and trimmed logs,
 * groups of all kinds, an open transaction.
 *
 * <p>Arguments: the broker's address, the number of the broker's run (from 1), and {@code open-transaction} to leave a
 * transaction open, as a producer that crashed does. The timestamps of records decide when a segment is full: most
 * topics have a segment.ms of a minute, and timestamps grow by two minutes per round.
 */
public final class FillDirectory {
    private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    private static final long MINUTE = 60_000;
    private static final long DAY = 24 * 60 * MINUTE;
    private static final int ROUNDS = 4;
    private static final int KEYS = 20;
    /** The timestamps of each run cover a few hours, after those of the runs before it. */
    private static final long FIRST_TIMESTAMP = System.currentTimeMillis() - DAY / 2;
    private static final long RUN_MILLIS = DAY / 8;

    private static final Map<String, String> ROLLS = Map.of("segment.ms", "" + MINUTE, "index.interval.bytes", "100");
    /** Transaction markers have the current time. */
    private static final Map<String, String> ROLLS_BY_CLOCK = Map.of("segment.ms", "20", "index.interval.bytes", "100");
    private static final Map<String, String> COMPACTED =
            Map.of("cleanup.policy", "compact", "min.cleanable.dirty.ratio", "0.001", "delete.retention.ms", "" + DAY);

    private final String bootstrap;
    private final int run;
    private long time;

    private FillDirectory(String bootstrap, int run) {
        this.bootstrap = bootstrap;
        this.run = run;
        this.time = FIRST_TIMESTAMP + run * RUN_MILLIS;
    }

    public static void main(String[] args) throws Exception {
        FillDirectory fill = new FillDirectory(args[0], Integer.parseInt(args[1]));
        try (Admin admin = Admin.create(fill.properties())) {
            if (fill.run == 1) {
                createTopics(admin);
            }
            fill.produce();
            fill.transact();
            fill.trim(admin);
            fill.readInGroups(admin);
        }
        if (List.of(args).contains("open-transaction")) {
            fill.leaveTransactionOpen();
        }
    }

    private static void createTopics(Admin admin) throws Exception {
        List<NewTopic> topics = new ArrayList<>();
        topics.add(topic("codecs", 3, ROLLS));
        topics.add(topic("recompressed", 1, ROLLS, Map.of("compression.type", "zstd")));
        topics.add(topic("stamped", 1, Map.of("message.timestamp.type", "LogAppendTime")));
        topics.add(topic("transactions", 2, ROLLS_BY_CLOCK));
        topics.add(topic("compacted", 1, ROLLS, COMPACTED));
        topics.add(topic("compacted-transactions", 1, ROLLS_BY_CLOCK, COMPACTED));
        topics.add(topic("compacted-deleted", 1, ROLLS, COMPACTED, Map.of("cleanup.policy", "compact,delete")));
        topics.add(topic("without-tombstones", 1, ROLLS, COMPACTED, Map.of("delete.retention.ms", "0")));
        topics.add(topic("trimmed", 1, ROLLS));
        topics.add(topic("emptied", 1, ROLLS));
        topics.add(topic("expired", 1, ROLLS, Map.of("retention.ms", "" + 2 * DAY)));
        topics.add(topic("never-written", 2, Map.of("max.message.bytes", "12345")));
        Check.get(admin.createTopics(topics).all());
        var resource = new ConfigResource(ConfigResource.Type.TOPIC, "codecs");
        var altered = new AlterConfigOp(new ConfigEntry("max.message.bytes", "2000000"), AlterConfigOp.OpType.SET);
        Check.get(admin.incrementalAlterConfigs(Map.of(resource, List.of(altered))).all());
    }

    @SafeVarargs
    private static NewTopic topic(String name, int partitions, Map<String, String>... settings) {
        Map<String, String> all = new HashMap<>();
        List.of(settings).forEach(all::putAll);
        return new NewTopic(name, partitions, (short) 1).configs(all);
    }

    private void produce() throws Exception {
        for (String codec : CODECS) {
            for (boolean idempotent : new boolean[] {false, true}) {
                var settings = Map.of("compression.type", codec, "enable.idempotence", "" + idempotent);
                try (var producer = producer(settings)) {
                    for (int round = 0; round < ROUNDS; round++) {
                        writeRound(producer, round);
                    }
                }
            }
        }
    }

    private void writeRound(KafkaProducer<String, String> producer, int round) {
        time += 2 * MINUTE;
        for (int key = 0; key < KEYS; key++) {
            for (String topic : List.of("codecs", "recompressed", "stamped", "trimmed", "emptied")) {
                var record = new ProducerRecord<>(topic, null, time + key, "key " + key, value(round, key));
                record.headers().add("round", ("" + round).getBytes()).add("none", null);
                producer.send(record);
            }
            for (String topic : List.of("compacted", "compacted-deleted", "without-tombstones")) {
                producer.send(new ProducerRecord<>(topic, 0, time + key, "key " + key, key % 5 == 4 ? null : value(round, key)));
            }
            // Retention deletes what is older than two days.
            long old = round < ROUNDS - 1 ? 7 * DAY : 0;
            producer.send(new ProducerRecord<>("expired", 0, time - old, null, value(round, key)));
        }
        // No batch has records of two rounds.
        producer.flush();
    }

    /** Overlapping transactions of two producers, for each codec; every third one is aborted. */
    private void transact() throws Exception {
        for (int number = 0; number < CODECS.size(); number++) {
            String codec = CODECS.get(number);
            try (var one = transactional("one-" + codec, codec); var other = transactional("other-" + codec, codec)) {
                for (int round = 0; round < ROUNDS; round++) {
                    one.beginTransaction();
                    writeInTransaction(one, round);
                    other.beginTransaction();
                    writeInTransaction(other, round);
                    end(one, (number + round) % 3 == 0);
                    writeInTransaction(other, round);
                    end(other, (number + round) % 3 == 1);
                }
            }
        }
    }

    private void writeInTransaction(KafkaProducer<String, String> producer, int round) {
        for (int key = 0; key < KEYS; key++) {
            producer.send(new ProducerRecord<>("transactions", key % 2, "key " + key, value(round, key)));
            String value = key % 5 == 4 ? null : value(round, key);
            producer.send(new ProducerRecord<>("compacted-transactions", 0, "key " + key, value));
        }
        producer.flush();
    }

    private static void end(KafkaProducer<String, String> producer, boolean abort) {
        if (abort) {
            producer.abortTransaction();
        } else {
            producer.commitTransaction();
        }
    }

    /** Moves log start offsets: into the middle of a batch, to the end, and by retention. */
    private void trim(Admin admin) throws Exception {
        var trimmed = new TopicPartition("trimmed", 0);
        var emptied = new TopicPartition("emptied", 0);
        long end = Check.get(admin.listOffsets(Map.of(trimmed, OffsetSpec.latest())).all()).get(trimmed).offset();
        var middle = RecordsToDelete.beforeOffset(end / 2 + 7);
        Check.get(admin.deleteRecords(Map.of(trimmed, middle, emptied, RecordsToDelete.beforeOffset(-1))).all());
        var expired = new TopicPartition("expired", 0);
        Check.eventually("retention to move a log's start", () -> startOf(admin, expired) > 0);
    }

    private static long startOf(Admin admin, TopicPartition partition) {
        try {
            return Check.get(admin.listOffsets(Map.of(partition, OffsetSpec.earliest())).all()).get(partition).offset();
        } catch (Exception failure) {
            throw new AssertionError(failure);
        }
    }

    private void readInGroups(Admin admin) throws Exception {
        for (String protocol : List.of("classic", "consumer")) {
            var settings = Map.of("group.id", "by-" + protocol, "group.protocol", protocol);
            try (var consumer = new KafkaConsumer<String, String>(consumerProperties(settings))) {
                consumer.subscribe(List.of("codecs", "transactions"));
                readSome(consumer);
                consumer.commitSync();
            }
        }
        commitInTransaction();
        var offset = Map.of(new TopicPartition("stamped", 0), new OffsetAndMetadata(run * 3L, "set by an administrator"));
        Check.get(admin.alterConsumerGroupOffsets("by-administrator", offset).all());
        try (var consumer = new KafkaShareConsumer<String, String>(shareProperties())) {
            consumer.subscribe(List.of("stamped"));
            consumer.poll(Duration.ofSeconds(2));
        }
    }

    private static List<ConsumerRecord<String, String>> readSome(KafkaConsumer<String, String> consumer) {
        List<ConsumerRecord<String, String>> read = new ArrayList<>();
        Check.eventually("records", () -> {
            consumer.poll(Duration.ofMillis(200)).forEach(read::add);
            return !read.isEmpty();
        });
        return read;
    }

    private void commitInTransaction() {
        var settings = Map.of("group.id", "by-transaction", "enable.auto.commit", "false");
        try (var consumer = new KafkaConsumer<String, String>(consumerProperties(settings));
                var producer = transactional("reader", "none")) {
            consumer.subscribe(List.of("codecs"));
            readSome(consumer);
            for (boolean abort : new boolean[] {false, true}) {
                producer.beginTransaction();
                var offset = new OffsetAndMetadata(run * (abort ? 1000L : 10L));
                producer.sendOffsetsToTransaction(Map.of(new TopicPartition("codecs", 0), offset), consumer.groupMetadata());
                end(producer, abort);
            }
        }
    }

    /** Leaves a transaction open, as a producer that crashed does; complete transactions follow in the same log. */
    private void leaveTransactionOpen() throws Exception {
        var open = transactional("left-open-" + run, "lz4");
        open.beginTransaction();
        writeInTransaction(open, 0);
        try (var reader = new KafkaConsumer<String, String>(consumerProperties(Map.of("group.id", "by-transaction")))) {
            var offset = Map.of(new TopicPartition("codecs", 1), new OffsetAndMetadata(5));
            open.sendOffsetsToTransaction(offset, reader.groupMetadata());
        }
        transact();
        // Closing the producer would abort its transaction.
        Runtime.getRuntime().halt(0);
    }

    private String value(int round, int key) {
        return "run " + run + " round " + round + " " + ("" + (char) ('a' + key)).repeat(50);
    }

    private KafkaProducer<String, String> transactional(String id, String codec) {
        var producer = producer(
                Map.of("transactional.id", id, "compression.type", codec, "transaction.timeout.ms", "" + 15 * MINUTE));
        producer.initTransactions();
        return producer;
    }

    private KafkaProducer<String, String> producer(Map<String, String> settings) {
        Properties properties = properties();
        properties.put("linger.ms", "1000");
        properties.putAll(settings);
        return new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer());
    }

    private Properties shareProperties() {
        Properties properties = consumerProperties(Map.of("group.id", "by-share"));
        Set.of("auto.offset.reset", "enable.auto.commit").forEach(properties::remove);
        return properties;
    }

    private Properties consumerProperties(Map<String, String> settings) {
        Properties properties = properties();
        properties.put("auto.offset.reset", "earliest");
        properties.put("key.deserializer", StringDeserializer.class);
        properties.put("value.deserializer", StringDeserializer.class);
        properties.putAll(settings);
        return properties;
    }

    private Properties properties() {
        Properties properties = new Properties();
        properties.put("bootstrap.servers", bootstrap);
        return properties;
    }
}
