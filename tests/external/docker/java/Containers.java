import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.testcontainers.containers.GenericContainer;
import org.testcontainers.containers.Network;
import org.testcontainers.kafka.ConfluentKafkaContainer;
import org.testcontainers.utility.DockerImageName;

/** Testcontainers' Kafka containers, unmodified, with the image in the first argument in place of each one's own. */
public final class Containers {
    private static final Duration TIMEOUT = Duration.ofSeconds(60);

    interface WithBroker {
        String bootstrapServers();
    }

    public static void main(String[] args) throws Exception {
        DockerImageName image = DockerImageName.parse(args[0]);
        var apache = new org.testcontainers.kafka.KafkaContainer(image.asCompatibleSubstituteFor("apache/kafka"));
        check("apache/kafka", apache, apache::getBootstrapServers);
        // With a listener for other containers, as its documentation shows.
        try (Network network = Network.newNetwork()) {
            var nativeImage =
                new org.testcontainers.kafka.KafkaContainer(image.asCompatibleSubstituteFor("apache/kafka-native"))
                    .withNetwork(network)
                    .withNetworkAliases("kafka")
                    .withListener("kafka:19092");
            check("apache/kafka-native", nativeImage, nativeImage::getBootstrapServers);
        }
        DockerImageName confluent = image.asCompatibleSubstituteFor("confluentinc/cp-kafka");
        var current = new ConfluentKafkaContainer(confluent);
        check("confluentinc/cp-kafka", current, current::getBootstrapServers);
        legacy(confluent);
    }

    @SuppressWarnings("deprecation")
    private static void legacy(DockerImageName confluent) throws Exception {
        var zooKeeper = new org.testcontainers.containers.KafkaContainer(confluent);
        check("the legacy container with ZooKeeper", zooKeeper, zooKeeper::getBootstrapServers);
        var kraft = new org.testcontainers.containers.KafkaContainer(confluent).withKraft();
        check("the legacy container with KRaft", kraft, kraft::getBootstrapServers);
    }

    /** Starts the container, sends a record and consumes it in a group. */
    private static void check(String what, GenericContainer<?> container, WithBroker broker) throws Exception {
        try (container) {
            long began = System.nanoTime();
            container.start();
            long ready = System.nanoTime();
            produceAndConsume(broker.bootstrapServers());
            System.out.printf("%s: ready in %d ms%n", what, (ready - began) / 1_000_000);
        } catch (Throwable failure) {
            throw new AssertionError(what + " wrote:\n" + container.getLogs(), failure);
        }
    }

    private static void produceAndConsume(String servers) throws Exception {
        Properties common = new Properties();
        common.putAll(Map.of("bootstrap.servers", servers, "group.id", "readers", "auto.offset.reset", "earliest"));
        try (var producer = new KafkaProducer<>(common, new StringSerializer(), new StringSerializer())) {
            producer.send(new ProducerRecord<>("orders", "key", "value")).get();
        }
        try (var consumer = new KafkaConsumer<>(common, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of("orders"));
            for (long began = System.nanoTime(); System.nanoTime() - began < TIMEOUT.toNanos();) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                    if (record.value().equals("value")) {
                        return;
                    }
                }
            }
        }
        throw new AssertionError("the record was not consumed");
    }
}
