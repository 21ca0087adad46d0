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
    /** Null for a broker without an admin port. */
    final String adminUrl;
    final Optional<String> schemaRegistryUrl;
    final Path dataDirectory;
    final Optional<Path> ca;
    final Optional<Path> secureDirectory;

    /** An IllegalArgumentException says what is wrong. */
    Ready(String line) {
        Map<String, Object> fields = Json.object(line);
        Map<String, String> addresses = new LinkedHashMap<>();
        if (fields.get("listeners") instanceof Map) {
            Map<?, ?> given = (Map<?, ?>) fields.get("listeners");
            given.forEach((name, address) -> addresses.put((String) name, String.valueOf(address)));
        }
        bootstrapServers = text(fields, "bootstrap_servers").orElseThrow(() -> new IllegalArgumentException(line));
        listeners = Collections.unmodifiableMap(addresses);
        adminUrl = text(fields, "admin_url").orElse(null);
        schemaRegistryUrl = text(fields, "schema_registry_url");
        dataDirectory = text(fields, "data_dir").map(Path::of).orElse(null);
        ca = text(fields, "ca").map(Path::of);
        secureDirectory = text(fields, "secure_dir").map(Path::of);
    }

    private static Optional<String> text(Map<String, Object> fields, String name) {
        return Optional.ofNullable(fields.get(name)).map(String::valueOf);
    }
}
