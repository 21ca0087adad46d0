package io.github.ottla.junit;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * A broker in a process of its own, on a free port. It ends with this process, whatever ends that, and its data is then
 * removed. All methods may be called by several threads.
 */
public final class OttlaBroker implements AutoCloseable {
    private final Arguments arguments;
    private final Path binary;
    private final Duration startTimeout;
    private final Duration stopTimeout;
    private final Path directory = Directories.unused();
    private final LogLines log = new LogLines();
    private volatile ServerProcess process;
    private volatile Ready ready;
    /** Removes the directory of the last process that was started. */
    private Remover remover;

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
        arguments = new Arguments(given);
        binary = Program.find(given.binary);
        startTimeout = given.startTimeout;
        stopTimeout = given.stopTimeout;
        try {
            start();
        } catch (OttlaException failure) {
            stop();
            throw failure;
        }
    }

    /** Returns the address for Kafka clients, such as localhost:40123. It stays the same in a restart. */
    public String bootstrapServers() {
        return ready.bootstrapServers;
    }

    /** Returns the addresses of all listeners, by name. */
    public Map<String, String> listeners() {
        return ready.listeners;
    }

    /** Returns the URL of the admin port. */
    public String adminUrl() {
        return ready.adminUrl;
    }

    /** Returns the URL of the schema registry, if there is one. */
    public Optional<String> schemaRegistryUrl() {
        return ready.schemaRegistryUrl;
    }

    /** Returns the certificate that clients of listeners with TLS must trust, if the broker is secure. */
    public Optional<Path> ca() {
        return ready.ca;
    }

    /** Returns the folder with client configurations, if the broker is secure. */
    public Optional<Path> secureDirectory() {
        return ready.secureDirectory;
    }

    /** Returns the directory of the broker's data. It is removed at the end. */
    public Path dataDirectory() {
        return ready.dataDirectory;
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
        if (process != null) {
            process.stop(stopTimeout);
        }
        // A broker that was killed has not removed it.
        Directories.delete(directory);
        release();
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
        process.terminate(stopTimeout);
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
        process = new ServerProcess(binary, arguments.of(directory, ready), log);
        Remover before = remover;
        remover = new Remover(directory, process.pid());
        if (before != null) {
            before.release();
        }
        ready = process.ready(startTimeout);
    }

    private void release() {
        if (remover != null) {
            remover.release();
            remover = null;
        }
    }

    private void post(String action, String body) {
        ServerProcess current = process;
        try {
            if (current.isRunning()) {
                AdminPort.post(adminUrl() + "/" + action, body, arguments.setting("ottla.admin.token"));
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
