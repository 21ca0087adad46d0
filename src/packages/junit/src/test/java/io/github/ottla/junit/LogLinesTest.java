package io.github.ottla.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class LogLinesTest {
    private final LogLines log = new LogLines();

    private void read(String text) {
        log.readAll(new ByteArrayInputStream(text.getBytes(StandardCharsets.UTF_8)));
    }

    @Test
    void linesAreKeptWithTheLastThatHasNoEnd() {
        read("größe\n\nlast");
        assertEquals(List.of("größe", "", "last"), log.all());
    }

    @Test
    void lastLinesAreKeptAndTheBeginningOfLongOnes() {
        read(IntStream.range(0, 25_000).mapToObj(number -> number + "\n").collect(Collectors.joining()));
        assertEquals(LogLines.MAX_LINES, log.all().size());
        assertEquals("15000", log.all().get(0));
        long before = log.count();
        read("a".repeat(LogLines.MAX_LINE_LENGTH + 1) + "\nb\n");
        assertEquals(List.of("a".repeat(LogLines.MAX_LINE_LENGTH), "b"), log.since(before));
        assertEquals(log.all(), log.since(0));
    }
}
