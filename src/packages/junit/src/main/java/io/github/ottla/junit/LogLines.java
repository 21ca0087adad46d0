package io.github.ottla.junit;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;

/** The last lines of a broker's log. */
final class LogLines {
    static final int MAX_LINES = 10_000;
    /** The bytes of a line that are kept. */
    static final int MAX_LINE_LENGTH = 16_384;

    private final Deque<String> lines = new ArrayDeque<>();
    private long added;

    /** Reads lines until the stream ends. */
    void readAll(InputStream log) {
        ByteArrayOutputStream line = new ByteArrayOutputStream();
        byte[] piece = new byte[8192];
        try {
            for (int length = log.read(piece); length >= 0; length = log.read(piece)) {
                for (int index = 0; index < length; index++) {
                    if (piece[index] == '\n') {
                        add(line);
                    } else if (line.size() < MAX_LINE_LENGTH) {
                        line.write(piece[index]);
                    }
                }
            }
        } catch (IOException closed) {
            // The stream is closed when the process is destroyed.
        }
        if (line.size() > 0) {
            add(line);
        }
    }

    synchronized List<String> all() {
        return List.copyOf(lines);
    }

    /** Returns how many lines there were. */
    synchronized long count() {
        return added;
    }

    /** Returns the last lines, without the first {@code count} of all that there were. */
    synchronized List<String> since(long count) {
        List<String> all = all();
        return all.subList((int) Math.max(0, all.size() - (added - count)), all.size());
    }

    private synchronized void add(ByteArrayOutputStream line) {
        if (lines.size() == MAX_LINES) {
            lines.removeFirst();
        }
        lines.addLast(line.toString(StandardCharsets.UTF_8));
        added++;
        line.reset();
    }
}
