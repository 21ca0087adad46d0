package io.github.ottla.junit;

import java.io.IOException;
import java.io.OutputStream;
import java.lang.ProcessBuilder.Redirect;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.List;

/**
 * Removes a broker's directory when this process ends, after the broker's process. Without it, the directory would be left if
 * this process is killed after the broker, or ends long after a signal at which the broker keeps its data. It ignores the
 * signals that may be sent to all processes of a test run. Without /bin/sh it does nothing.
 */
final class Remover {
    /** Without a line on stdin before its end: waits for the end of the process $2, but not for long, and removes $1. */
    private static final String REMOVE = "trap '' HUP INT TERM; read -r keep && exit; tries=100;"
        + " while kill -0 \"$2\" 2>/dev/null && [ $((tries -= 1)) -gt 0 ]; do sleep 0.1; done; rm -rf -- \"$1\"";

    /** Null if it could not be started. */
    private final Process process;

    Remover(Path directory, long pid) {
        List<String> command = Program.inOwnSession(Path.of("/bin/sh"));
        command.addAll(List.of("-c", REMOVE, "sh", directory.toString(), String.valueOf(pid)));
        process = start(command);
    }

    private static Process start(List<String> command) {
        try {
            return new ProcessBuilder(command).redirectOutput(Redirect.DISCARD).redirectError(Redirect.DISCARD).start();
        } catch (IOException absent) {
            return null;
        }
    }

    /** Ends it; the directory is kept. */
    void release() {
        if (process == null) {
            return;
        }
        try (OutputStream stdin = process.getOutputStream()) {
            stdin.write("keep\n".getBytes(StandardCharsets.UTF_8));
        } catch (IOException ended) {
            // It has ended before.
        }
    }
}
