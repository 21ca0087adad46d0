package io.github.ottla.junit;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/**
 * Removes a directory when this process ends, while no broker runs that does. It ignores the signals that may be sent to all
 * processes of a test run.
 */
final class Remover {
    private final Process process;

    Remover(Path directory) {
        List<String> command = Program.inOwnSession(Path.of("/bin/sh"));
        command.addAll(List.of("-c", "trap '' HUP INT TERM; read -r keep || rm -rf -- \"$1\"", "sh", directory.toString()));
        try {
            process = new ProcessBuilder(command).redirectOutput(Redirect.DISCARD).redirectError(Redirect.DISCARD).start();
        } catch (IOException error) {
            throw new UncheckedIOException("cannot run /bin/sh", error);
        }
    }

    /** Ends it; the directory is kept. */
    void release() {
        try (OutputStream stdin = process.getOutputStream()) {
            stdin.write("keep\n".getBytes(StandardCharsets.UTF_8));
        } catch (IOException ended) {
            // It has ended before.
        }
    }
}
