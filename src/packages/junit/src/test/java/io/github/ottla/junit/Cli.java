package io.github.ottla.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.lang.ProcessBuilder.Redirect;
import java.util.ArrayList;
import java.util.List;

/** Runs commands of the program, as a client that these tests need not install. */
final class Cli {
    private Cli() {}

    static String run(OttlaBroker broker, String name, String... arguments) throws Exception {
        List<String> command = new ArrayList<>();
        command.addAll(List.of(Program.find(null).toString(), name, "-b", broker.bootstrapServers()));
        command.addAll(List.of(arguments));
        Process process = new ProcessBuilder(command).redirectError(Redirect.INHERIT).start();
        String output = new String(process.getInputStream().readAllBytes());
        assertEquals(0, process.waitFor(), output);
        return output;
    }

    static String records(OttlaBroker broker, String topic) throws Exception {
        return run(broker, "consume", topic, "--from-beginning", "--until-end");
    }

    static int partitions(OttlaBroker broker, String topic) throws Exception {
        String output = run(broker, "topics", "describe", topic);
        return (int) output.lines().filter(line -> line.matches(" *\\d+ .*")).count();
    }
}
