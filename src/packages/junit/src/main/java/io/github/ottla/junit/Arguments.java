package io.github.ottla.junit;

import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** The arguments of the program for a broker's options. */
final class Arguments {
    private final List<String> arguments;
    private final Map<String, String> settings;
    private final boolean schemaRegistry;

    Arguments(BrokerOptions<?> options) {
        arguments = List.copyOf(options.arguments);
        settings = new LinkedHashMap<>(options.settings);
        schemaRegistry = options.schemaRegistry;
    }

    /** Returns a setting; null if it is not given. */
    String setting(String name) {
        return settings.get(name);
    }

    /** Returns the arguments for free ports, or for the ports of the last process if there was one. */
    List<String> of(Path directory, Ready before) {
        List<String> all = new ArrayList<>();
        all.addAll(List.of("--exit-with-parent", "--ready-file", "-", "--ephemeral", "--data-dir", directory.toString()));
        Map<String, String> set = new LinkedHashMap<>(settings);
        if (before != null && (before.listeners.size() > 1 || set.containsKey("listeners"))) {
            set.put("listeners", bound(set.getOrDefault("listeners", ""), before));
        }
        if (before != null && before.adminUrl != null) {
            set.computeIfPresent("ottla.admin.listener", (name, address) -> withPort(address, port(before.adminUrl)));
        }
        if (before != null && before.schemaRegistryUrl.isPresent()) {
            String port = port(before.schemaRegistryUrl.get());
            set.computeIfPresent("ottla.registry.listener", (name, address) -> withPort(address, port));
        }
        set.forEach((name, value) -> all.add("--set=" + name + "=" + value));
        if (!set.containsKey("listeners")) {
            all.addAll(List.of("--port", port(before == null ? null : before.bootstrapServers)));
        }
        if (!set.containsKey("ottla.admin.listener")) {
            all.addAll(List.of("--admin-port", port(before == null ? null : before.adminUrl)));
        }
        if (schemaRegistry && !set.containsKey("ottla.registry.listener")) {
            all.addAll(List.of("--registry-port", port(before == null ? null : before.schemaRegistryUrl.orElse(null))));
        }
        all.addAll(arguments);
        return all;
    }

    /** Returns a value of {@code listeners} with the hosts of the given one, and with the ports of the last process. */
    private static String bound(String given, Ready before) {
        Map<String, String> hosts = new HashMap<>();
        for (String entry : given.split(",")) {
            String[] parts = entry.strip().split("://", 2);
            String address = parts.length > 1 ? parts[1] : "";
            hosts.put(parts[0].toUpperCase(Locale.ROOT), address.substring(0, Math.max(0, address.lastIndexOf(':'))));
        }
        List<String> bound = new ArrayList<>();
        before.listeners.forEach((name, address) -> {
            // The bootstrap servers are the first listener.
            int at = address.equals(before.bootstrapServers) ? 0 : bound.size();
            bound.add(at, name + "://" + hosts.getOrDefault(name, "") + ":" + port(address));
        });
        return String.join(",", bound);
    }

    /** Returns an address or a port alone with another port. */
    private static String withPort(String address, String port) {
        return address.substring(0, address.lastIndexOf(':') + 1) + port;
    }

    /** Returns the port of an address; 0, which stands for a free one, if there is no address. */
    private static String port(String address) {
        return address == null ? "0" : address.substring(address.lastIndexOf(':') + 1);
    }
}
