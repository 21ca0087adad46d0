import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.errors.TopicAuthorizationException;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;
import org.testcontainers.containers.Network;
import org.testcontainers.redpanda.RedpandaContainer;
import org.testcontainers.utility.DockerImageName;

/** Testcontainers' RedpandaContainer, unmodified, with the image in the first argument in place of its own. */
public final class Redpanda {
    private static final Duration TIMEOUT = Duration.ofSeconds(60);

    public static void main(String[] args) throws Exception {
        DockerImageName image = DockerImageName.parse(args[0]).asCompatibleSubstituteFor("redpandadata/redpanda");
        check("RedpandaContainer in Java", new RedpandaContainer(image), Redpanda::checkWithoutSecurity);
        try (Network network = Network.newNetwork()) {
            var secured = new RedpandaContainer(image)
                .enableAuthorization()
                .enableSasl()
                .enableSchemaRegistryHttpBasicAuth()
                .withSuperuser("ann")
                .withListener("my-panda:29092")
                .withNetwork(network);
            check("RedpandaContainer in Java with SASL", secured, Redpanda::checkWithSecurity);
        }
    }

    interface Check {
        void of(RedpandaContainer container) throws Exception;
    }

    private static void check(String what, RedpandaContainer container, Check check) throws Exception {
        try (container) {
            long began = System.nanoTime();
            container.start();
            long ready = System.nanoTime();
            check.of(container);
            System.out.printf("%s: ready in %d ms%n", what, (ready - began) / 1_000_000);
        } catch (Throwable failure) {
            throw new AssertionError(what + " wrote:\n" + container.getLogs(), failure);
        }
    }

    private static void checkWithoutSecurity(RedpandaContainer container) throws Exception {
        var created = container.execInContainer("rpk", "topic", "create", "orders", "-p", "3");
        expect(0, created.getExitCode(), created.getStdout() + created.getStderr());
        expect(true, container.execInContainer("rpk", "cluster", "health").getStdout().contains("true"), "health");
        produceAndConsume(Map.of("bootstrap.servers", container.getBootstrapServers()));
        String schemas = container.getSchemaRegistryAddress() + "/subjects";
        expect(200, send("POST", schemas + "/orders-value/versions", null, "{\"schema\": \"\\\"string\\\"\"}").statusCode(), schemas);
        expect("[\"orders-value\"]", send("GET", schemas, null, "").body().strip(), schemas);
        String topics = send("GET", container.getRestProxyAddress() + "/topics", null, "").body();
        expect(true, topics.contains("\"orders\""), topics);
    }

    private static void checkWithSecurity(RedpandaContainer container) throws Exception {
        for (String user : List.of("ann", "bob")) {
            String body = "{\"username\": \"" + user + "\", \"password\": \"secret\", \"algorithm\": \"SCRAM-SHA-256\"}";
            var response = send("POST", container.getAdminAddress() + "/v1/security/users", null, body);
            expect(200, response.statusCode(), response.body());
        }
        produceAndConsume(login(container, "ann"));
        try (Admin admin = Admin.create(login(container, "bob"))) {
            admin.createTopics(List.of(new NewTopic("others", 1, (short) 1))).all().get();
            throw new AssertionError("bob created a topic");
        } catch (ExecutionException refused) {
            expect(TopicAuthorizationException.class, refused.getCause().getClass(), refused.toString());
        }
        String subjects = container.getSchemaRegistryAddress() + "/subjects";
        expect(401, send("GET", subjects, null, "").statusCode(), subjects);
        expect(401, send("GET", subjects, "ann:wrong", "").statusCode(), subjects);
        expect(200, send("GET", subjects, "ann:secret", "").statusCode(), subjects);
    }

    private static Map<String, Object> login(RedpandaContainer container, String user) {
        return Map.of(
            "bootstrap.servers", container.getBootstrapServers().replace("PLAINTEXT://", ""),
            "security.protocol", "SASL_PLAINTEXT",
            "sasl.mechanism", "SCRAM-SHA-256",
            "sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required username=\"" + user + "\" password=\"secret\";"
        );
    }

    private static void produceAndConsume(Map<String, Object> client) throws Exception {
        Map<String, Object> all = new HashMap<>(client);
        try (var producer = new KafkaProducer<>(all, new StringSerializer(), new StringSerializer())) {
            producer.send(new ProducerRecord<>("orders", "key", "value")).get();
        }
        all.putAll(Map.of("group.id", "readers", "auto.offset.reset", "earliest"));
        try (var consumer = new KafkaConsumer<>(all, new StringDeserializer(), new StringDeserializer())) {
            consumer.subscribe(List.of("orders"));
            for (long began = System.nanoTime(); System.nanoTime() - began < TIMEOUT.toNanos();) {
                for (var record : consumer.poll(Duration.ofMillis(100))) {
                    expect("value", record.value(), "record");
                    return;
                }
            }
        }
        throw new AssertionError("the record was not consumed");
    }

    private static HttpResponse<String> send(String method, String url, String login, String body) throws Exception {
        var request = HttpRequest.newBuilder(URI.create(url)).timeout(TIMEOUT).header("Content-Type", "application/json");
        if (login != null) {
            request.header("Authorization", "Basic " + Base64.getEncoder().encodeToString(login.getBytes()));
        }
        request.method(method, HttpRequest.BodyPublishers.ofString(body));
        return HttpClient.newHttpClient().send(request.build(), HttpResponse.BodyHandlers.ofString());
    }

    private static void expect(Object expected, Object found, String what) {
        if (!expected.equals(found)) {
            throw new AssertionError(what + ": " + found + " in place of " + expected);
        }
    }
}
