import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Set;
import java.util.concurrent.Future;
import java.util.stream.Collectors;
import org.apache.kafka.clients.consumer.ConsumerConfig;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.CooperativeStickyAssignor;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * The newest producer and consumer with their defaults: idempotent, acks=all, an auto-created topic, every codec; groups
 * with the default assignors and with the cooperative one, with isolation.level=read_committed.
 */
public final class ProduceAndConsume {
    private static final String TOPIC = "java-orders";
    private static final int PER_CODEC = 200;
    private static final List<String> CODECS = List.of("none", "gzip", "snappy", "lz4", "zstd");
    private static final long FIRST_TIMESTAMP = System.currentTimeMillis() - 1_000_000;

    private final String bootstrap;
    private final Map<TopicPartition, Long> ends = new HashMap<>();

    private ProduceAndConsume(String bootstrap) {
        this.bootstrap = bootstrap;
    }

    public static void main(String[] args) throws Exception {
        ProduceAndConsume run = new ProduceAndConsume(args[0]);
        for (int index = 0; index < CODECS.size(); index++) {
            run.produce(CODECS.get(index), index * PER_CODEC);
        }
        run.consumeAlone();
        run.consumeInCooperativeGroup();
        run.listAndSeek();
    }

    private void produce(String codec, int first) throws Exception {
        Properties properties = common();
        if (!codec.equals("none")) {
            properties.put(ProducerConfig.COMPRESSION_TYPE_CONFIG, codec);
        }
        List<Future<RecordMetadata>> sent = new ArrayList<>();
        try (var producer = new KafkaProducer<>(properties, new StringSerializer(), new StringSerializer())) {
            for (int number = first; number < first + PER_CODEC; number++) {
                sent.add(producer.send(record(number)));
            }
            producer.flush();
        }
        for (int number = first; number < first + PER_CODEC; number++) {
            RecordMetadata metadata = Check.get(sent.get(number - first));
            TopicPartition partition = new TopicPartition(metadata.topic(), metadata.partition());
            long expected = ends.getOrDefault(partition, 0L);
            Check.equal(expected, metadata.offset(), "offset of record " + number + " by " + codec);
            Check.equal(FIRST_TIMESTAMP + number, metadata.timestamp(), "timestamp of record " + number);
            ends.put(partition, expected + 1);
        }
    }

    private static ProducerRecord<String, String> record(int number) {
        var record = new ProducerRecord<>(TOPIC, null, FIRST_TIMESTAMP + number, "key " + number % 17, "order " + number);
        record.headers().add("number", Integer.toString(number).getBytes());
        return record;
    }

    /** Every record arrives once, unchanged, and in order per key. */
    private void consumeAlone() {
        try (var consumer = consumer("alone", Map.of())) {
            consumer.subscribe(List.of(TOPIC));
            List<ConsumerRecord<String, String>> records = read(consumer, total());
            Map<String, Integer> last = new HashMap<>();
            Set<Integer> numbers = new HashSet<>();
            for (var record : records) {
                int number = Integer.parseInt(record.value().substring("order ".length()));
                Check.that(numbers.add(number), "record " + number + " arrived twice");
                Check.equal("key " + number % 17, record.key(), "key of record " + number);
                Check.equal(FIRST_TIMESTAMP + number, record.timestamp(), "timestamp of record " + number);
                String header = new String(record.headers().lastHeader("number").value());
                Check.equal(Integer.toString(number), header, "header of record " + number);
                Integer before = last.put(record.key(), number);
                Check.that(before == null || before < number, "records of one key are in order");
            }
            consumer.commitSync();
            Set<TopicPartition> partitions = ends.keySet();
            Map<TopicPartition, OffsetAndMetadata> committed = consumer.committed(partitions);
            for (TopicPartition partition : partitions) {
                Check.equal(ends.get(partition), committed.get(partition).offset(), "committed of " + partition);
            }
        }
        // A later member of the group finds no new records.
        try (var consumer = consumer("alone", Map.of())) {
            consumer.subscribe(List.of(TOPIC));
            Check.eventually("an assignment", () -> {
                Check.that(consumer.poll(Duration.ofMillis(100)).isEmpty(), "a committed record arrived again");
                return !consumer.assignment().isEmpty();
            });
            for (TopicPartition partition : consumer.assignment()) {
                Check.equal(ends.getOrDefault(partition, 0L), consumer.position(partition), "position in " + partition);
            }
        }
    }

    /** Two members share the partitions; when one leaves, the other continues from the committed offsets. */
    private void consumeInCooperativeGroup() throws Exception {
        Map<String, String> settings = Map.of(
                ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG, CooperativeStickyAssignor.class.getName(),
                ConsumerConfig.ISOLATION_LEVEL_CONFIG, "read_committed");
        int partitions;
        try (var first = consumer("shared", settings)) {
            first.subscribe(List.of(TOPIC));
            read(first, total());
            first.commitSync();
            partitions = first.assignment().size();
            Check.that(partitions > 1, "the topic has partitions to share");
            try (var second = consumer("shared", settings)) {
                second.subscribe(List.of(TOPIC));
                Check.eventually("two halves", () -> {
                    int arrived = first.poll(Duration.ofMillis(50)).count() + second.poll(Duration.ofMillis(50)).count();
                    Check.equal(0, arrived, "committed records that arrived again");
                    int ofFirst = first.assignment().size();
                    return ofFirst > 0 && ofFirst < partitions && ofFirst + second.assignment().size() == partitions;
                });
            }
            Check.eventually("all partitions again", () -> {
                first.poll(Duration.ofMillis(50));
                return first.assignment().size() == partitions;
            });
            int before = total();
            produce("zstd", CODECS.size() * PER_CODEC);
            read(first, total() - before);
        }
    }

    /** The consumer's other requests: metadata, offsets by time, seeks. */
    private void listAndSeek() {
        try (var consumer = consumer("seeking", Map.of())) {
            List<PartitionInfo> known = consumer.partitionsFor(TOPIC);
            Check.that(consumer.listTopics().containsKey(TOPIC), "the topic is listed");
            Set<TopicPartition> partitions =
                    known.stream().map(info -> new TopicPartition(TOPIC, info.partition())).collect(Collectors.toSet());
            var endOffsets = consumer.endOffsets(partitions);
            var beginnings = consumer.beginningOffsets(partitions);
            var since = consumer.offsetsForTimes(
                    partitions.stream().collect(Collectors.toMap(partition -> partition, partition -> FIRST_TIMESTAMP)));
            for (TopicPartition partition : partitions) {
                long end = ends.getOrDefault(partition, 0L);
                Check.equal(end, endOffsets.get(partition), "end of " + partition);
                Check.equal(0L, beginnings.get(partition), "beginning of " + partition);
                if (end > 0) {
                    Check.equal(0L, since.get(partition).offset(), "offset by time in " + partition);
                }
            }
            consumer.assign(partitions);
            consumer.seekToEnd(partitions);
            partitions.forEach(partition -> consumer.seek(partition, endOffsets.get(partition) - 1));
            read(consumer, partitions.size());
        }
    }

    /** Reads this many records, and asserts that no more arrive. */
    private static List<ConsumerRecord<String, String>> read(KafkaConsumer<String, String> consumer, int count) {
        List<ConsumerRecord<String, String>> records = new ArrayList<>();
        Check.eventually(count + " records", () -> {
            consumer.poll(Duration.ofMillis(100)).forEach(records::add);
            return records.size() >= count;
        });
        consumer.poll(Duration.ofMillis(100)).forEach(records::add);
        Check.equal(count, records.size(), "records read");
        return records;
    }

    private KafkaConsumer<String, String> consumer(String group, Map<String, String> settings) {
        Properties properties = common();
        properties.put(ConsumerConfig.GROUP_ID_CONFIG, group);
        properties.put(ConsumerConfig.AUTO_OFFSET_RESET_CONFIG, "earliest");
        properties.put(ConsumerConfig.HEARTBEAT_INTERVAL_MS_CONFIG, "200");
        properties.putAll(settings);
        return new KafkaConsumer<>(properties, new StringDeserializer(), new StringDeserializer());
    }

    private Properties common() {
        Properties properties = new Properties();
        properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrap);
        return properties;
    }

    private int total() {
        return ends.values().stream().mapToInt(Long::intValue).sum();
    }
}
