import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import javax.security.auth.callback.Callback;
import javax.security.auth.login.AppConfigurationEntry;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.security.auth.AuthenticateCallbackHandler;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerToken;
import org.apache.kafka.common.security.oauthbearer.OAuthBearerTokenCallback;
import org.apache.kafka.common.security.token.delegation.DelegationToken;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * What Kafka's clients do over TLS and SASL: one line for each case, with the client, the case, and `ok` or the error. The
 * argument is a directory with certificates and the file `addresses`.
 */
public final class Security {
    private static final String SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule";
    private static final String[] MECHANISMS = {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"};
    private static final List<String> VALUES = List.of("one", "two", "three");
    private static final int ERROR_MS = 10_000;
    /** SHORT_SESSIONS end after 4 seconds, as these tokens do: between the second record and the third. */
    private static final long TOKEN_MS = 4_000;
    private static final long PAUSE_MS = 3_000;

    private static final Map<String, String> ADDRESSES = new HashMap<>();
    private static Path directory;

    private record Step(String name, Callable<String> run) {}

    public static void main(String[] args) throws Exception {
        directory = Path.of(args[0]);
        for (String line : Files.readAllLines(directory.resolve("addresses"))) {
            ADDRESSES.put(line.substring(0, line.indexOf('=')), line.substring(line.indexOf('=') + 1));
        }
        List<Step> steps = steps();
        ExecutorService pool = Executors.newFixedThreadPool(6);
        List<Future<String>> outcomes = new ArrayList<>();
        for (Step step : steps) {
            outcomes.add(pool.submit(() -> outcome(step.run())));
        }
        for (int index = 0; index < steps.size(); index++) {
            String client = "Java " + AppInfoParser.getVersion();
            System.out.println(client + "\t" + steps.get(index).name() + "\t" + outcomes.get(index).get());
        }
        pool.shutdown();
    }

    private static List<Step> steps() {
        List<Step> steps = new ArrayList<>();
        steps.add(new Step("SSL", () -> works(tls("SSL", null))));
        steps.add(new Step("SSL with a certificate", () -> works(tls("MTLS", "client"))));
        for (String listener : new String[] {"SASL_PLAINTEXT", "SASL_SSL"}) {
            for (String mechanism : MECHANISMS) {
                steps.add(new Step(listener + " " + mechanism, () -> works(alice(listener, mechanism))));
            }
        }
        for (String mechanism : new String[] {"PLAIN", "SCRAM-SHA-256"}) {
            steps.add(new Step("session that expires, " + mechanism,
                () -> works(alice("SHORT_SESSIONS", mechanism), PAUSE_MS)));
        }
        Map<String, Object> shortLived = alice("SASL_PLAINTEXT", "OAUTHBEARER");
        shortLived.put("sasl.login.callback.handler.class", ShortLivedToken.class.getName());
        steps.add(new Step("token that expires in the session", () -> works(shortLived, PAUSE_MS)));
        for (String mechanism : new String[] {"SCRAM-SHA-256", "SCRAM-SHA-512"}) {
            steps.add(new Step("delegation token, " + mechanism, () -> works(delegationToken(mechanism))));
        }
        for (String mechanism : new String[] {"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}) {
            steps.add(failing("wrong password, " + mechanism, sasl("SASL_PLAINTEXT", mechanism, "alice", "wrong", "")));
            steps.add(failing("unknown user, " + mechanism, sasl("SASL_SSL", mechanism, "nobody", "alice-secret", "")));
        }
        Map<String, Object> expired = alice("SASL_PLAINTEXT", "OAUTHBEARER");
        expired.put("sasl.login.callback.handler.class", ExpiredToken.class.getName());
        steps.add(failing("expired token", expired));
        steps.add(failing("mechanism that is not enabled", alice("SCRAM_ONLY", "PLAIN")));
        steps.add(failing("expired certificate of the broker", tls("EXPIRED", null)));
        Map<String, Object> untrusting = tls("SSL", null);
        untrusting.put("ssl.truststore.location", file("other-authority.pem"));
        steps.add(failing("untrusted authority", untrusting));
        Map<String, Object> elsewhere = tls("SSL", null);
        elsewhere.put("bootstrap.servers", ADDRESSES.get("SSL").replace("localhost", "127.0.0.1"));
        steps.add(failing("wrong host name", elsewhere));
        steps.add(failing("no certificate", tls("MTLS", null)));
        steps.add(failing("untrusted certificate", tls("MTLS", "untrusted")));
        steps.add(failing("expired certificate", tls("MTLS", "expired")));
        steps.add(failing("no TLS at a port with TLS", at("SSL", "PLAINTEXT")));
        steps.add(failing("TLS at a port without TLS", tls("PLAINTEXT", null)));
        steps.add(failing("no SASL at a port with SASL", at("SASL_PLAINTEXT", "PLAINTEXT")));
        return steps;
    }

    private static Step failing(String name, Map<String, Object> settings) {
        return new Step(name, () -> fails(settings));
    }

    private static String file(String name) {
        return directory.resolve(name).toString();
    }

    private static Map<String, Object> at(String listener, String protocol) {
        Map<String, Object> settings = new HashMap<>();
        settings.put("bootstrap.servers", ADDRESSES.get(listener));
        settings.put("security.protocol", protocol);
        if (protocol.endsWith("SSL")) {
            settings.put("ssl.truststore.type", "PEM");
            settings.put("ssl.truststore.location", file("authority.pem"));
        }
        return settings;
    }

    private static Map<String, Object> tls(String listener, String certificate) {
        Map<String, Object> settings = at(listener, "SSL");
        if (certificate != null) {
            try {
                settings.put("ssl.keystore.type", "PEM");
                settings.put("ssl.keystore.certificate.chain", Files.readString(directory.resolve(certificate + ".pem")));
                settings.put("ssl.keystore.key", Files.readString(directory.resolve(certificate + ".key")));
            } catch (java.io.IOException error) {
                throw new java.io.UncheckedIOException(error);
            }
        }
        return settings;
    }

    private static Map<String, Object> alice(String listener, String mechanism) {
        return sasl(listener, mechanism, "alice", "alice-secret", "");
    }

    private static Map<String, Object> sasl(String listener, String mechanism, String user, String password, String more) {
        Map<String, Object> settings = at(listener, listener.equals("SASL_SSL") ? "SASL_SSL" : "SASL_PLAINTEXT");
        settings.put("sasl.mechanism", mechanism);
        String login = " required username=\"" + user + "\" password=\"" + password + "\"" + more + ";";
        settings.put("sasl.jaas.config", switch (mechanism) {
            case "PLAIN" -> "org.apache.kafka.common.security.plain.PlainLoginModule" + login;
            case "OAUTHBEARER" -> "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required "
                + "unsecuredLoginStringClaim_sub=\"" + user + "\";";
            default -> SCRAM + login;
        });
        return settings;
    }

    /** Creates a token as alice, and returns settings that use it. */
    private static Map<String, Object> delegationToken(String mechanism) throws Exception {
        try (Admin admin = Admin.create(alice("SASL_PLAINTEXT", mechanism))) {
            DelegationToken token = admin.createDelegationToken().delegationToken().get(60, TimeUnit.SECONDS);
            String id = token.tokenInfo().tokenId();
            return sasl("SASL_SSL", mechanism, id, token.hmacAsBase64String(), " tokenauth=true");
        }
    }

    private static Map<String, Object> with(Map<String, Object> settings, String... more) {
        Map<String, Object> all = new HashMap<>(settings);
        for (int index = 0; index < more.length; index += 2) {
            all.put(more[index], more[index + 1]);
        }
        return all;
    }

    private static KafkaProducer<String, String> producer(Map<String, Object> settings, int maxBlockMs) {
        String serializer = "org.apache.kafka.common.serialization.StringSerializer";
        return new KafkaProducer<>(with(settings, "key.serializer", serializer, "value.serializer", serializer,
            "max.block.ms", Integer.toString(maxBlockMs)));
    }

    /** Produces and reads the records in a group. */
    private static String works(Map<String, Object> settings) throws Exception {
        return works(settings, 0);
    }

    private static String works(Map<String, Object> settings, long pauseMs) throws Exception {
        String topic = "security-" + System.nanoTime();
        try (KafkaProducer<String, String> producer = producer(settings, 60_000)) {
            for (String value : VALUES) {
                producer.send(new ProducerRecord<>(topic, value)).get(60, TimeUnit.SECONDS);
                Thread.sleep(pauseMs);
            }
        }
        String deserializer = "org.apache.kafka.common.serialization.StringDeserializer";
        Map<String, Object> consumers = with(settings, "key.deserializer", deserializer, "value.deserializer", deserializer,
            "group.id", topic, "auto.offset.reset", "earliest");
        List<String> read = new ArrayList<>();
        try (KafkaConsumer<String, String> consumer = new KafkaConsumer<>(consumers)) {
            consumer.subscribe(List.of(topic));
            long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
            while (read.size() < VALUES.size() && System.nanoTime() < deadline) {
                for (ConsumerRecord<String, String> record : consumer.poll(Duration.ofMillis(100))) {
                    read.add(record.value());
                }
            }
            consumer.commitSync();
        }
        return read.equals(VALUES) ? "ok" : "read " + read;
    }

    private static String fails(Map<String, Object> settings) {
        try (KafkaProducer<String, String> producer = producer(settings, ERROR_MS)) {
            producer.partitionsFor("security");
            return "no error";
        }
    }

    /** The classes and messages of an error and its causes. */
    private static String outcome(Callable<String> run) {
        StringBuilder text = new StringBuilder();
        try {
            return run.call();
        } catch (Throwable error) {
            for (Throwable cause = error; cause != null; cause = cause.getCause()) {
                text.append(text.length() == 0 ? "" : " < ").append(cause.getClass().getSimpleName());
                if (cause == error || cause.getCause() == null) {
                    text.append(": ").append(cause.getMessage());
                }
            }
        }
        return text.toString().replaceAll("\\s+", " ").replaceAll("after \\d+ ms", "after X ms").replaceAll("NotAfter: .*", "NotAfter: X");
    }

    /** Provides tokens that the broker finds expired. The client itself refuses a token that it knows to be expired. */
    public static class ExpiredToken implements AuthenticateCallbackHandler {
        OAuthBearerToken token() {
            return new Token(System.currentTimeMillis(), -60_000, 3_600_000);
        }

        @Override
        public void configure(Map<String, ?> settings, String mechanism, List<AppConfigurationEntry> entries) {}

        @Override
        public void close() {}

        @Override
        public void handle(Callback[] callbacks) {
            for (Callback callback : callbacks) {
                if (callback instanceof OAuthBearerTokenCallback) {
                    ((OAuthBearerTokenCallback) callback).token(token());
                }
            }
        }
    }

    /** Provides tokens that are valid for a short time. */
    public static final class ShortLivedToken extends ExpiredToken {
        @Override
        OAuthBearerToken token() {
            return new Token(System.currentTimeMillis(), TOKEN_MS, TOKEN_MS);
        }
    }

    /** An unsigned JSON Web Token that claims to last for a time, and for which the client knows another. */
    private record Token(long made, long claimedMs, long knownMs) implements OAuthBearerToken {
        @Override
        public String value() {
            String claims = "{\"sub\":\"alice\",\"iat\":" + (made / 1000 - 7200) + ",\"exp\":" + (made + claimedMs) / 1000 + "}";
            return base64("{\"alg\":\"none\"}") + "." + base64(claims) + ".";
        }

        private static String base64(String text) {
            return Base64.getUrlEncoder().withoutPadding().encodeToString(text.getBytes(StandardCharsets.UTF_8));
        }

        @Override
        public long lifetimeMs() {
            return made + knownMs;
        }

        @Override
        public Set<String> scope() {
            return Set.of();
        }

        @Override
        public String principalName() {
            return "alice";
        }

        @Override
        public Long startTimeMs() {
            return made;
        }
    }
}
