import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.PartitionInfo;
import org.apache.kafka.common.TopicPartition;

/**
 * Prints the committed records of topics from their beginning until it is killed, one line each: topic, partition,
 * offset, key and value with a tab between. Arguments: the broker's address and the topics.
 */
public final class ReadCommitted {
    public static void main(String[] args) {
        KafkaConsumer<String, String> consumer =
                new KafkaConsumer<String, String>(Clients.consumer(args[0], null, "read_committed"));
        List<TopicPartition> partitions = new ArrayList<TopicPartition>();
        for (String topic : Arrays.asList(args).subList(1, args.length)) {
            for (PartitionInfo info : consumer.partitionsFor(topic)) {
                partitions.add(new TopicPartition(topic, info.partition()));
            }
        }
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        while (true) {
            StringBuilder lines = new StringBuilder();
            for (ConsumerRecord<String, String> record : Clients.poll(consumer, 100)) {
                lines.append(record.topic()).append('\t').append(record.partition()).append('\t')
                        .append(record.offset()).append('\t').append(record.key()).append('\t')
                        .append(record.value()).append('\n');
            }
            System.out.print(lines);
            System.out.flush();
        }
    }
}
