package io.github.ottla.junit;

import java.nio.file.Path;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/** The line of JSON that announces a broker. */
final class Ready {
    final String bootstrapServers;
    /** The addresses of all listeners, by name. */
    final Map<String, String> listeners;
    final String adminUrl;
    final Optional<String> schemaRegistryUrl;
    final Path dataDirectory;
    final Optional<Path> ca;
    final Optional<Path> secureDirectory;

    /** An IllegalArgumentException says what is wrong. */
    Ready(String line) {
        Map<String, Object> fields = Json.object(line);
        if (!(fields.get("listeners") instanceof Map)) {
            throw new IllegalArgumentException("no listeners");
        }
        Map<String, String> addresses = new LinkedHashMap<>();
        Map<?, ?> given = (Map<?, ?>) fields.get("listeners");
        given.forEach((name, address) -> addresses.put((String) name, text("listeners", address)));
        bootstrapServers = required(fields, "bootstrap_servers");
        listeners = Collections.unmodifiableMap(addresses);
        adminUrl = required(fields, "admin_url");
        schemaRegistryUrl = text(fields, "schema_registry_url");
        dataDirectory = Path.of(required(fields, "data_dir"));
        ca = text(fields, "ca").map(Path::of);
        secureDirectory = text(fields, "secure_dir").map(Path::of);
    }

    private static Optional<String> text(Map<String, Object> fields, String name) {
        return Optional.ofNullable(fields.get(name)).map(value -> text(name, value));
    }

    private static String required(Map<String, Object> fields, String name) {
        return text(fields, name).orElseThrow(() -> new IllegalArgumentException("no " + name));
    }

    private static String text(String name, Object value) {
        if (value instanceof String) {
            return (String) value;
        }
        throw new IllegalArgumentException(name + " is no text");
    }
}
