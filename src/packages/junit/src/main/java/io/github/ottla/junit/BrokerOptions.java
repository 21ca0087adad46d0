package io.github.ottla.junit;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The options of a broker.
 *
 * @param <T> the type that the options belong to
 */
public abstract class BrokerOptions<T extends BrokerOptions<T>> {
    final List<String> arguments = new ArrayList<>();
    final Map<String, String> settings = new LinkedHashMap<>();
    boolean schemaRegistry;
    Path binary;
    Duration startTimeout = Duration.ofSeconds(30);
    Duration stopTimeout = Duration.ofSeconds(10);

    BrokerOptions() {}

    abstract T self();

    /** Adds a topic that exists from the start, and again after each reset. */
    public T topic(String name, int partitions) {
        return arguments("--create-topic=" + name + ":" + partitions);
    }

    /** Sets a setting of the broker by Kafka's name. */
    public T setting(String name, Object value) {
        settings.put(name, String.valueOf(value));
        return self();
    }

    /** Sets settings of the broker by Kafka's names. */
    public T settings(Map<String, ?> more) {
        more.forEach(this::setting);
        return self();
    }

    /** Adds a schema registry: {@link OttlaBroker#schemaRegistryUrl}. */
    public T schemaRegistry() {
        schemaRegistry = true;
        return self();
    }

    /** Adds listeners with TLS (SSL), and with TLS and SASL (SASL_SSL). */
    public T secure() {
        return arguments("--secure");
    }

    /**
     * Adds a user for SASL.
     *
     * @throws IllegalArgumentException if the name has a colon
     */
    public T user(String name, String password) {
        if (name.contains(":")) {
            throw new IllegalArgumentException("the name \"" + name + "\" of a user has a colon, which separates names from passwords");
        }
        return arguments("--user=" + name + ":" + password);
    }

    /** Sets the log level: off, error, warn, info (the default), debug or trace; or LOGGER=LEVEL, separated by commas. */
    public T logLevel(String level) {
        return arguments("--log-level=" + level);
    }

    /** Adds arguments of the program. */
    public T arguments(String... more) {
        arguments.addAll(List.of(more));
        return self();
    }

    /** Names the program; otherwise it is that of the environment variable OTTLA_BINARY, or {@code ottla} on the PATH. */
    public T binary(Path program) {
        binary = program;
        return self();
    }

    /** Sets how long a start may take; 30 seconds by default. */
    public T startTimeout(Duration timeout) {
        startTimeout = timeout;
        return self();
    }

    /** Sets how long a stop may take before the broker is killed; 10 seconds by default. */
    public T stopTimeout(Duration timeout) {
        stopTimeout = timeout;
        return self();
    }
}
