package io.github.ottla.junit;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;

/** A broker that cannot start, or that refuses a request. The message has the last lines of the broker's log. */
public final class OttlaException extends RuntimeException {
    private static final long serialVersionUID = 1;
    /** The lines of the log in the message. */
    private static final int QUOTED_LINES = 5;

    private final String code;
    private final transient List<String> logLines;

    OttlaException(String message, String code, List<String> logLines, Throwable cause) {
        super(withLog(message, logLines), cause);
        this.code = code;
        this.logLines = logLines;
    }

    OttlaException(String message, List<String> logLines) {
        this(message, null, logLines, null);
    }

    /** Returns Kafka's name of the error, such as TOPIC_ALREADY_EXISTS, if the broker refused a request. */
    public Optional<String> code() {
        return Optional.ofNullable(code);
    }

    /** Returns the last lines of the broker's log. */
    public List<String> logLines() {
        return logLines == null ? List.of() : logLines;
    }

    private static String withLog(String message, List<String> logLines) {
        List<String> lines = new ArrayList<>(List.of(message));
        lines.addAll(logLines.subList(Math.max(0, logLines.size() - QUOTED_LINES), logLines.size()));
        return String.join("\n", lines);
    }
}
