package io.github.ottla.junit;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/** The process of a broker, from its start to its end. */
final class ServerProcess {
    private static final int MAX_READY_LENGTH = 1 << 20;
    /** The length of the output in an error's message. */
    private static final int MAX_QUOTED = 200;
    /** How long the end may take after a SIGKILL, and the rest of the log after the end. */
    private static final Duration END = Duration.ofSeconds(5);

    private final Path program;
    private final Process process;
    private final LogLines log;
    private final Thread logReader;
    /** The line that announces the broker; empty if the process ends without one. */
    private final CompletableFuture<String> announced = new CompletableFuture<>();

    /** Starts the process. The other end of its stdin is held here: the broker stops when this process ends. */
    ServerProcess(Path program, List<String> arguments, LogLines log) {
        this.program = program;
        this.log = log;
        List<String> command = Program.inOwnSession(program);
        command.addAll(arguments);
        ProcessBuilder builder = new ProcessBuilder(command);
        Program.removeSettings(builder.environment());
        try {
            process = builder.start();
        } catch (IOException error) {
            throw new OttlaException("cannot run " + program + ": " + error.getMessage(), null, List.of(), error);
        }
        logReader = start("log", () -> log.readAll(process.getErrorStream()));
        start("output", () -> readAnnouncement(process.getInputStream()));
    }

    private Thread start(String name, Runnable action) {
        Thread thread = new Thread(action, "ottla-" + name + "-" + process.pid());
        thread.setDaemon(true);
        thread.start();
        return thread;
    }

    /** Returns the announcement of the broker. A process that is not ready in time is killed. */
    Ready ready(Duration timeout) {
        String line = "";
        try {
            line = announced.get(timeout.toNanos(), TimeUnit.NANOSECONDS);
            if (!line.isEmpty()) {
                return new Ready(line);
            }
            // Its output has ended, so it has too, or it is stopped now.
            stop(END);
            throw failure(program + " did not start: " + end());
        } catch (TimeoutException late) {
            kill();
            throw failure("the broker did not start within " + timeout.toMillis() + " ms");
        } catch (ExecutionException | IllegalArgumentException error) {
            kill();
            String output = line.substring(0, Math.min(line.length(), MAX_QUOTED));
            throw new OttlaException(program + " did not write a ready line, but " + output, null, log.all(), error);
        } catch (InterruptedException interrupted) {
            kill();
            Thread.currentThread().interrupt();
            throw new OttlaException("interrupted while the broker started", null, log.all(), interrupted);
        }
    }

    /** Reads the first line of the output, and drops what follows. */
    private void readAnnouncement(InputStream output) {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        byte[] piece = new byte[4096];
        try {
            for (int length = output.read(piece); length >= 0; length = output.read(piece)) {
                for (int index = 0; index < length && !announced.isDone(); index++) {
                    if (piece[index] == '\n' || line.size() > MAX_READY_LENGTH) {
                        announced.complete(line.toString(StandardCharsets.UTF_8));
                    }
                    line.write(piece[index]);
                }
            }
        } catch (IOException closed) {
            // The stream is closed when the process is destroyed.
        }
        announced.complete("");
    }

    long pid() {
        return process.pid();
    }

    boolean isRunning() {
        return process.isAlive();
    }

    /** Returns how the process has ended. */
    String end() {
        return "ottla ended with exit code " + process.exitValue();
    }

    /** Stops the process as the end of this one would: it removes its data. */
    void stop(Duration timeout) {
        closeStdin();
        if (waitFor(timeout.dividedBy(2))) {
            joinLogReader();
        } else {
            terminate(timeout.dividedBy(2));
        }
    }

    /** Stops the process with SIGTERM, at which it keeps its data while stdin is open; kills it if it does not end in time. */
    void terminate(Duration timeout) {
        try {
            // Says that this process does not end as well, for which the broker would wait.
            process.getOutputStream().write("keep\n".getBytes(StandardCharsets.UTF_8));
            process.getOutputStream().flush();
        } catch (IOException closed) {
            // It is closed, or the process has ended.
        }
        // The methods of Process also close the streams, and the last lines of the log would be lost.
        process.toHandle().destroy();
        if (waitFor(timeout)) {
            joinLogReader();
            closeStdin();
        } else {
            kill();
        }
    }

    void kill() {
        process.toHandle().destroyForcibly();
        if (!waitFor(END)) {
            throw failure("process " + pid() + " does not end after SIGKILL");
        }
        joinLogReader();
        closeStdin();
    }

    OttlaException failure(String message) {
        return new OttlaException(message, log.all());
    }

    /** Waits until the process has ended, whether or not this thread is interrupted; false if it has not in time. */
    private boolean waitFor(Duration timeout) {
        long deadline = System.nanoTime() + timeout.toNanos();
        boolean interrupted = Thread.interrupted();
        try {
            while (true) {
                try {
                    return process.waitFor(deadline - System.nanoTime(), TimeUnit.NANOSECONDS);
                } catch (InterruptedException again) {
                    interrupted = true;
                }
            }
        } finally {
            if (interrupted) {
                Thread.currentThread().interrupt();
            }
        }
    }

    private void joinLogReader() {
        try {
            logReader.join(END.toMillis());
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
    }

    private void closeStdin() {
        try {
            process.getOutputStream().close();
        } catch (IOException closed) {
            // The process has ended.
        }
    }
}
