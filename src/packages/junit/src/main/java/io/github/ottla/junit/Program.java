package io.github.ottla.junit;

import java.io.File;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
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
        String path = environment.apply("PATH");
        for (String directory : (path == null ? "" : path).split(File.pathSeparator)) {
            Path program = Path.of(directory, "ottla");
            if (!directory.isEmpty() && isExecutable(program)) {
                return program;
            }
        }
        throw new OttlaException("found no program ottla: no binary was given, OTTLA_BINARY is not set, "
            + "and no directory of the PATH has it", List.of());
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

    /** Removes the settings of other brokers from the environment of a process. */
    static void removeSettings(Map<String, String> environment) {
        environment.keySet().removeIf(name -> name.startsWith("KAFKA_"));
    }
}
