package io.github.ottla.junit;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.function.UnaryOperator;

/** Finds the program. */
final class Program {
    private Program() {}

    /** Returns the given program; else that of OTTLA_BINARY; else {@code ottla} on the PATH. */
    static Path find(Path given) {
        return find(given, System::getenv);
    }

    static Path find(Path given, UnaryOperator<String> environment) {
        if (given != null) {
            return executable(given, "the given binary");
        }
        String named = environment.apply("OTTLA_BINARY");
        if (named != null && !named.isEmpty()) {
            return executable(Path.of(named), "OTTLA_BINARY");
        }
        return onPath("ottla", environment).orElseThrow(() -> new OttlaException("found no program ottla: no binary was given, "
            + "OTTLA_BINARY is not set, and no directory of the PATH has it", List.of()));
    }

    /**
     * Returns the beginning of a command in a session of its own, where the system has {@code setsid}. There it does not
     * get the signals of a terminal, at which a broker would keep its data.
     */
    static List<String> inOwnSession(Path program) {
        List<String> command = new ArrayList<>();
        onPath("setsid", System::getenv).ifPresent(setsid -> command.add(setsid.toString()));
        command.add(program.toString());
        return command;
    }

    private static Optional<Path> onPath(String name, UnaryOperator<String> environment) {
        String path = environment.apply("PATH");
        return Arrays.stream((path == null ? "" : path).split(File.pathSeparator)).filter(directory -> !directory.isEmpty())
            .map(directory -> Path.of(directory, name)).filter(Program::isExecutable).findFirst();
    }

    /** A missing program is an error: another one would be tested than the one that was asked for. */
    private static Path executable(Path given, String name) {
        if (!isExecutable(given)) {
            throw new OttlaException(name + ", " + given + ", is not an executable file", List.of());
        }
        return given;
    }

    private static boolean isExecutable(Path file) {
        return Files.isRegularFile(file) && Files.isExecutable(file);
    }

    /** Removes the settings of other brokers, and RUST_LOG for other programs, from the environment of a process. */
    static void removeSettings(Map<String, String> environment) {
        environment.keySet().removeIf(name -> name.startsWith("KAFKA_") || name.equals("RUST_LOG"));
    }
}
