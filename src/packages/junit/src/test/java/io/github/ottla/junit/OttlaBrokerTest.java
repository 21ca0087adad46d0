package io.github.ottla.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNotEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

@Timeout(120)
class OttlaBrokerTest {
    @TempDir
    Path directory;

    private Path script(String name, String text) throws IOException {
        Path script = Files.writeString(directory.resolve(name), "#!/bin/sh\n" + text + "\n");
        assertTrue(script.toFile().setExecutable(true));
        return script;
    }

    private static void assertNothingLeft(Path dataDirectory) throws IOException {
        try (Stream<Path> files = Files.list(dataDirectory.getParent())) {
            String name = dataDirectory.getFileName().toString();
            List<Path> left = files.filter(file -> file.getFileName().toString().startsWith(name)).collect(Collectors.toList());
            assertEquals(List.of(), left);
        }
    }

    @Test
    void brokerHasItsTopicsAndSettingsAndLeavesNothingBehind() throws Exception {
        OttlaBroker broker = OttlaBroker.builder().topic("orders", 3).setting("num.partitions", 2).logLevel("debug").start();
        assertTrue(broker.bootstrapServers().matches("localhost:\\d+"));
        Cli.run(broker, "produce", "new", "a value");
        assertEquals(2, Cli.partitions(broker, "new"));
        assertEquals(3, Cli.partitions(broker, "orders"));
        assertTrue(broker.isRunning() && Files.exists(broker.dataDirectory()));
        broker.stop();
        broker.close();
        assertFalse(broker.isRunning());
        List<String> lines = broker.logLines();
        assertTrue(lines.get(lines.size() - 1).endsWith("stopped"), lines::toString);
        assertNothingLeft(broker.dataDirectory());
    }

    @Test
    void resetRemovesTopicsAndRecordsAndCreatesTheTopicsOfTheStart() throws Exception {
        try (OttlaBroker broker = OttlaBroker.builder().topic("orders", 3).start()) {
            Cli.run(broker, "produce", "orders", "a book");
            Cli.run(broker, "produce", "other", "a pen");
            broker.reset();
            assertEquals("", Cli.records(broker, "orders"));
            assertEquals(3, Cli.partitions(broker, "orders"));
            assertFalse(Cli.run(broker, "topics", "list").contains("other"));
        }
    }

    @Test
    void createdTopicHasItsSettingsAndASecondOneIsRefused() throws Exception {
        try (OttlaBroker broker = OttlaBroker.builder().start()) {
            broker.createTopic("orders", 3, Map.of("retention.ms", 1000, "cleanup.policy", "compact"));
            broker.createTopic("one", 1);
            assertEquals(3, Cli.partitions(broker, "orders"));
            assertTrue(Cli.run(broker, "topics", "describe", "orders").contains("retention.ms=1000"));
            OttlaException refused = assertThrows(OttlaException.class, () -> broker.createTopic("orders", 1));
            assertEquals(Optional.of("TOPIC_ALREADY_EXISTS"), refused.code(), refused::getMessage);
        }
    }

    @Test
    void schemaRegistryKeepsItsUrlInARestartAndIsEmptiedByAReset() throws Exception {
        try (OttlaBroker broker = OttlaBroker.builder().schemaRegistry().start()) {
            String url = broker.schemaRegistryUrl().orElseThrow();
            HttpRequest registration = HttpRequest.newBuilder(URI.create(url + "/subjects/s/versions"))
                    .header("Content-Type", "application/vnd.schemaregistry.v1+json")
                    .POST(BodyPublishers.ofString("{\"schema\":\"\\\"int\\\"\"}"))
                    .build();
            assertEquals(200, HttpClient.newHttpClient().send(registration, BodyHandlers.ofString()).statusCode());
            broker.restart();
            assertEquals(url, broker.schemaRegistryUrl().orElseThrow());
            HttpRequest subjects = HttpRequest.newBuilder(URI.create(url + "/subjects")).build();
            assertEquals("[\"s\"]", HttpClient.newHttpClient().send(subjects, BodyHandlers.ofString()).body());
            broker.reset();
            assertEquals("[]", HttpClient.newHttpClient().send(subjects, BodyHandlers.ofString()).body());
        }
    }

    @Test
    void restartAfterStopAndKillKeepsAddressesAndRecords() throws Exception {
        OttlaBroker broker = OttlaBroker.builder().secure().user("ann", "secret").topic("orders", 1).start();
        Cli.run(broker, "produce", "orders", "a book");
        String addresses = broker.bootstrapServers() + broker.adminUrl() + broker.listeners();
        String certificate = Files.readString(broker.ca().orElseThrow());
        long pid = broker.pid();
        broker.restart();
        Cli.run(broker, "produce", "orders", "a pen");
        broker.kill();
        OttlaException ended = assertThrows(OttlaException.class, broker::reset);
        String expected = "reset: the broker does not run: ottla ended with exit code 137";
        assertTrue(ended.getMessage().startsWith(expected), ended::getMessage);
        broker.restart();
        assertEquals(addresses, broker.bootstrapServers() + broker.adminUrl() + broker.listeners());
        assertEquals(3, broker.listeners().size());
        assertNotEquals(pid, broker.pid());
        String records = Cli.records(broker, "orders");
        assertTrue(records.contains("a book") && records.contains("a pen"), records);
        assertEquals(certificate, Files.readString(broker.ca().orElseThrow()));
        broker.kill();
        broker.close();
        assertNothingLeft(broker.dataDirectory());
    }

    @Test
    void brokerThatCannotStartReportsItsOwnLine() {
        OttlaBroker.Builder builder = OttlaBroker.builder().setting("num.partitions", "many");
        OttlaException failure = assertThrows(OttlaException.class, builder::start);
        String expected = "exit code 2\nottla: Invalid value many for configuration num.partitions";
        assertTrue(failure.getMessage().contains(expected), failure::getMessage);
        assertEquals(1, failure.logLines().size());
    }

    @Test
    void brokerThatIsNotReadyInTimeIsKilled() throws Exception {
        Path slow = script("slow", "echo one >&2; printf two >&2; exec sleep 60");
        OttlaBroker.Builder builder = OttlaBroker.builder().binary(slow).startTimeout(Duration.ofMillis(500));
        OttlaException failure = assertThrows(OttlaException.class, builder::start);
        assertTrue(failure.getMessage().endsWith("did not start within 500 ms\none\ntwo"), failure::getMessage);
    }

    @Test
    void programThatIsAnotherOneIsAnErrorWithWhatItWrote() throws Exception {
        Path other = script("other", "echo one >&2; echo hello; exec sleep 60");
        OttlaException failure = assertThrows(OttlaException.class, () -> OttlaBroker.builder().binary(other).start());
        assertEquals(other + " did not write a ready line, but hello\none", failure.getMessage());
        Path ends = script("ends", "echo one >&2");
        failure = assertThrows(OttlaException.class, () -> OttlaBroker.builder().binary(ends).start());
        assertEquals(ends + " did not start: ottla ended with exit code 0\none", failure.getMessage());
    }

    @Test
    void namesMayBeginWithAHyphenAndUsersHaveNoColon() {
        try (OttlaBroker broker = OttlaBroker.builder().topic("-a", 1).user("-ann", "-secret").start()) {
            OttlaException refused = assertThrows(OttlaException.class, () -> broker.createTopic("-a", 1));
            assertEquals(Optional.of("TOPIC_ALREADY_EXISTS"), refused.code(), refused::getMessage);
        }
        assertThrows(IllegalArgumentException.class, () -> OttlaBroker.builder().user("a:b", "c"));
    }

    private static final String READY =
        "{\"bootstrap_servers\":\"a:1\",\"listeners\":{\"A\":\"a:1\"},\"admin_url\":\"http://a:2\",\"data_dir\":\"/a\"}";

    @Test
    void readyLineWithMissingFieldsOrOfWrongTypesIsAnError() {
        new Ready(READY);
        for (String wrong : List.of(READY.replace("admin_url", "a"), READY.replace("\"/a\"", "1"), READY.replace("{\"A\":\"a:1\"}", "1"),
            READY.replace("{\"A\":\"a:1\"}", "{\"A\":1}"))) {
            assertThrows(IllegalArgumentException.class, () -> new Ready(wrong), wrong);
        }
    }

    @Test
    void processThatIgnoresSigtermIsKilledAfterTheBound() throws Exception {
        Path deaf = script("deaf", "trap '' TERM; echo '" + READY + "'; exec sleep 60");
        OttlaBroker broker = OttlaBroker.builder().binary(deaf).stopTimeout(Duration.ofMillis(200)).start();
        broker.stop();
        assertFalse(broker.isRunning());
    }

    @Test
    void programIsTheGivenOneElseThatOfTheVariableElseThatOfThePath() throws Exception {
        Path given = script("given", "");
        Path named = script("named", "");
        Path onPath = script("ottla", "");
        Map<String, String> both = Map.of("OTTLA_BINARY", named.toString(), "PATH", "/nowhere:" + directory);
        assertEquals(given, Program.find(given, both::get));
        assertEquals(named, Program.find(null, both::get));
        assertEquals(onPath, Program.find(null, Map.of("PATH", "/nowhere:" + directory)::get));
        Path missing = Path.of("/nowhere/ottla");
        OttlaException failure = assertThrows(OttlaException.class, () -> Program.find(missing, both::get));
        assertEquals("the given binary, /nowhere/ottla, is not an executable file", failure.getMessage());
        failure = assertThrows(OttlaException.class, () -> Program.find(null, Map.of("PATH", "/nowhere")::get));
        assertTrue(failure.getMessage().contains("OTTLA_BINARY is not set, and no directory of the PATH"), failure::getMessage);
    }

    @Test
    void settingsOfOtherBrokersAreRemoved() {
        Map<String, String> environment = new HashMap<>(Map.of("KAFKA_NUM_PARTITIONS", "none", "RUST_LOG", "off", "HOME", "/"));
        Program.removeSettings(environment);
        assertEquals(Map.of("HOME", "/"), environment);
    }

    @Test
    void manyBrokersLeaveNoDescriptorsAndThreads() throws Exception {
        OttlaBroker.builder().start().close();
        int descriptors = descriptors();
        int threads = Thread.activeCount();
        int count = Integer.parseInt(System.getenv().getOrDefault("OTTLA_MANY_BROKERS", "8"));
        for (int started = 0; started < count; started += 8) {
            List<OttlaBroker> brokers = new ArrayList<>();
            for (int number = 0; number < 8; number++) {
                brokers.add(OttlaBroker.builder().start());
            }
            brokers.forEach(OttlaBroker::close);
        }
        // Java closes the pipes of a process and ends its threads a moment after the process.
        long deadline = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
        while (descriptors() > descriptors + 2 || Thread.activeCount() > threads + 2) {
            assertTrue(System.nanoTime() < deadline, () -> descriptors + " descriptors became " + descriptors() + ", "
                + threads + " threads became " + Thread.activeCount());
            System.gc();
            Thread.sleep(20);
        }
    }

    private static int descriptors() {
        String[] names = new File("/proc/self/fd").list();
        return names == null ? 0 : names.length;
    }

    @Test
    void restartKeepsTheHostsAndPortsOfGivenListeners() {
        Map<String, String> settings = Map.of("listeners", "OUTSIDE://127.0.0.1:0,INSIDE://:0",
            "listener.security.protocol.map", "INSIDE:PLAINTEXT,OUTSIDE:PLAINTEXT", "ottla.admin.listener", "127.0.0.1:0",
            "ottla.registry.listener", "127.0.0.1:0");
        try (OttlaBroker broker = OttlaBroker.builder().settings(settings).schemaRegistry().start()) {
            String registry = broker.schemaRegistryUrl().orElseThrow();
            String before = broker.bootstrapServers() + broker.adminUrl() + broker.listeners();
            broker.restart();
            assertEquals(before, broker.bootstrapServers() + broker.adminUrl() + broker.listeners());
            assertEquals(registry, broker.schemaRegistryUrl().orElseThrow());
        }
    }

    @ParameterizedTest
    @ValueSource(strings = {"running", "killed", "signalled"})
    void killedProcessLeavesNoBrokerAndNoDirectory(String state) throws Exception {
        String java = Path.of(System.getProperty("java.home"), "bin", "java").toString();
        List<String> classPath = new ArrayList<>();
        for (Class<?> one : List.of(Hang.class, OttlaBroker.class)) {
            classPath.add(Path.of(one.getProtectionDomain().getCodeSource().getLocation().toURI()).toString());
        }
        Process process = new ProcessBuilder(java, "-XX:-UsePerfData", "-cp", String.join(":", classPath), Hang.class.getName(),
            state)
            .redirectError(ProcessBuilder.Redirect.INHERIT).start();
        Path dataDirectory = Path.of(new String(process.getInputStream().readAllBytes()).strip());
        assertEquals(137, process.waitFor());
        for (int tries = 0; Files.exists(dataDirectory) && tries < 6000; tries++) {
            TimeUnit.MILLISECONDS.sleep(5);
        }
        assertNothingLeft(dataDirectory);
    }

    /** Starts a broker, prints its directory and kills its own process. */
    static final class Hang {
        private Hang() {}

        public static void main(String[] args) throws Exception {
            OttlaBroker broker = OttlaBroker.builder().start();
            if (args[0].equals("killed")) {
                broker.kill();
            } else if (args[0].equals("signalled")) {
                // As when all processes of a container or a CI job get it: this one ends just after.
                ProcessHandle.of(broker.pid()).ifPresent(ProcessHandle::destroy);
            }
            System.out.println(broker.dataDirectory());
            System.out.flush();
            new ProcessBuilder("kill", "-9", String.valueOf(ProcessHandle.current().pid())).start();
            TimeUnit.MINUTES.sleep(1);
        }
    }
}
