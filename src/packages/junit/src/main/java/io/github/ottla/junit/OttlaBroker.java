package io.github.ottla.junit;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A broker in a process of its own, on a free port. It ends with this process, whatever ends that, and its data is then
 * removed. All methods may be called by several threads.
 */
public final class OttlaBroker implements AutoCloseable {
    private final List<String> options;
    private final Path binary;
    private final Duration startTimeout;
    private final Duration stopTimeout;
    private final Path directory = Directories.unused();
    private final LogLines log = new LogLines();
    /** A signal of the terminal also ends the broker, which then keeps its data for a restart. */
    private final Thread atShutdown = new Thread(this::stop, "ottla-shutdown");
    private volatile ServerProcess process;
    private volatile Map<String, Object> ready;

    /** Options of a broker that {@link #start} starts. */
    public static final class Builder extends BrokerOptions<Builder> {
        private Builder() {}

        @Override
        Builder self() {
            return this;
        }

        /** Starts a broker, and waits until it answers clients. */
        public OttlaBroker start() {
            return new OttlaBroker(this);
        }
    }

    /** Returns the options of a new broker. */
    public static Builder builder() {
        return new Builder();
    }

    OttlaBroker(BrokerOptions<?> given) {
        options = List.copyOf(given.arguments);
        binary = Program.find(given.binary);
        startTimeout = given.startTimeout;
        stopTimeout = given.stopTimeout;
        start();
        Runtime.getRuntime().addShutdownHook(atShutdown);
    }

    /** Returns the address for Kafka clients, such as localhost:40123. It stays the same in a restart. */
    public String bootstrapServers() {
        return field("bootstrap_servers").orElseThrow();
    }

    /** Returns the addresses of all listeners, by name. */
    public Map<String, String> listeners() {
        Map<String, String> listeners = new LinkedHashMap<>();
        if (ready.get("listeners") instanceof Map) {
            ((Map<?, ?>) ready.get("listeners")).forEach((name, address) -> listeners.put((String) name, (String) address));
        }
        return listeners;
    }

    /** Returns the URL of the admin port. */
    public String adminUrl() {
        return field("admin_url").orElseThrow();
    }

    /** Returns the certificate that clients of listeners with TLS must trust, if the broker is secure. */
    public Optional<Path> ca() {
        return field("ca").map(Path::of);
    }

    /** Returns the folder with client configurations, if the broker is secure. */
    public Optional<Path> secureDirectory() {
        return field("secure_dir").map(Path::of);
    }

    /** Returns the directory of the broker's data. It is removed at the end. */
    public Path dataDirectory() {
        return field("data_dir").map(Path::of).orElseThrow();
    }

    /** Returns the id of the broker's process; another one after a restart. */
    public long pid() {
        return process.pid();
    }

    /** Returns whether the process runs. */
    public boolean isRunning() {
        return process.isRunning();
    }

    /** Returns the last lines of the broker's log, the oldest first: at most 10,000. */
    public List<String> logLines() {
        return log.all();
    }

    /** Removes all topics, records, groups and changed settings; the topics of the start are created again. */
    public void reset() {
        post("reset", "");
    }

    /** Creates a topic. */
    public void createTopic(String name, int partitions) {
        createTopic(name, partitions, Map.of());
    }

    /**
     * Creates a topic with settings by Kafka's names.
     *
     * @throws OttlaException if the broker refuses; the code is Kafka's name of the error, such as TOPIC_ALREADY_EXISTS
     */
    public void createTopic(String name, int partitions, Map<String, ?> settings) {
        StringBuilder configs = new StringBuilder();
        settings.forEach((key, value) -> configs.append(configs.length() == 0 ? "" : ",").append(Json.quote(key)).append(':')
            .append(Json.quote(String.valueOf(value))));
        post("topics", "{\"name\":" + Json.quote(name) + ",\"partitions\":" + partitions + ",\"configs\":{" + configs + "}}");
    }

    /** Stops the broker and removes its data. Does nothing if the broker is stopped. */
    public synchronized void stop() {
        try {
            process.stop(stopTimeout);
        } finally {
            Directories.delete(directory);
        }
        try {
            Runtime.getRuntime().removeShutdownHook(atShutdown);
        } catch (IllegalStateException shutdown) {
            // It runs.
        }
    }

    /** Stops the broker, as {@link #stop}. */
    @Override
    public void close() {
        stop();
    }

    /** Kills the process (SIGKILL), as a crash does. The data stays for {@link #restart}. */
    public synchronized void kill() {
        process.kill();
    }

    /** Stops the process, if it runs, and starts another one with the same ports and data. */
    public synchronized void restart() {
        process.stop(stopTimeout);
        start();
    }

    /** Returns how many lines the log has had. */
    long logLineCount() {
        return log.count();
    }

    /** Returns the log without the first {@code count} lines. */
    List<String> logLinesSince(long count) {
        return log.since(count);
    }

    private void start() {
        List<String> command = new ArrayList<>();
        command.addAll(List.of(binary.toString(), "--exit-with-parent", "--ready-file", "-"));
        command.addAll(List.of("--ephemeral", "--data-dir", directory.toString()));
        command.addAll(ports());
        command.addAll(options);
        process = new ServerProcess(command, log);
        try {
            ready = process.ready(startTimeout);
        } catch (OttlaException failure) {
            Directories.delete(directory);
            throw failure;
        }
    }

    /** Returns the arguments for free ports, or for the same ports as before. */
    private List<String> ports() {
        if (ready == null) {
            return List.of("--port", "0", "--admin-port", "0");
        }
        List<String> arguments = new ArrayList<>();
        arguments.addAll(List.of("--port", port(bootstrapServers()), "--admin-port", port(adminUrl())));
        Map<String, String> listeners = listeners();
        if (listeners.size() > 1 && options.stream().noneMatch(option -> option.startsWith("listeners="))) {
            List<String> all = new ArrayList<>();
            // The first one is that of the bootstrap servers.
            listeners.forEach((name, address) -> all.add(address.equals(bootstrapServers()) ? 0 : all.size(),
                name + "://:" + port(address)));
            arguments.addAll(List.of("--set", "listeners=" + String.join(",", all)));
        }
        return arguments;
    }

    private static String port(String address) {
        return address.substring(address.lastIndexOf(':') + 1);
    }

    private Optional<String> field(String name) {
        return Optional.ofNullable((String) ready.get(name));
    }

    private void post(String action, String body) {
        ServerProcess current = process;
        try {
            if (current.isRunning()) {
                AdminPort.post(adminUrl() + "/" + action, body);
                return;
            }
        } catch (AdminPort.Refused refused) {
            throw new OttlaException(action + ": " + refused.getMessage(), refused.code, log.all(), refused);
        } catch (IOException error) {
            if (current.isRunning()) {
                throw new OttlaException(action + ": " + error.getMessage(), null, log.all(), error);
            }
        }
        throw current.failure(action + ": the broker does not run: " + current.end());
    }
}
