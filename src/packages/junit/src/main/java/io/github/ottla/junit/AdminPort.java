package io.github.ottla.junit;

import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.Proxy;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** Sends requests to a broker's admin port. */
final class AdminPort {
    private static final int CONNECT_TIMEOUT_MS = 10_000;
    private static final int ANSWER_TIMEOUT_MS = 30_000;
    private static final int MAX_ANSWER_LENGTH = 1 << 20;

    private AdminPort() {}

    /** An answer with another status than 200. */
    static final class Refused extends IOException {
        private static final long serialVersionUID = 1;
        /** Kafka's name of the error; null if there is none. */
        final String code;

        Refused(String message, String code) {
            super(message);
            this.code = code;
        }
    }

    /** Sends a POST request with this body; the token may be null. */
    static void post(String url, String body, String token) throws IOException {
        // Proxies are not for localhost.
        HttpURLConnection connection = (HttpURLConnection) URI.create(url).toURL().openConnection(Proxy.NO_PROXY);
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        connection.setConnectTimeout(CONNECT_TIMEOUT_MS);
        connection.setReadTimeout(ANSWER_TIMEOUT_MS);
        connection.setRequestMethod("POST");
        connection.setRequestProperty("X-Ottla-Admin", "1");
        connection.setRequestProperty("Content-Type", "application/json");
        connection.setRequestProperty("Connection", "close");
        if (token != null) {
            connection.setRequestProperty("Authorization", "Bearer " + token);
        }
        connection.setDoOutput(true);
        // A request with a body of fixed length is not sent again when the broker ends.
        connection.setFixedLengthStreamingMode(bytes.length);
        try {
            try (OutputStream request = connection.getOutputStream()) {
                request.write(bytes);
            }
            int status = connection.getResponseCode();
            if (status != HttpURLConnection.HTTP_OK) {
                throw refused(status, text(connection.getErrorStream()));
            }
        } finally {
            connection.disconnect();
        }
    }

    private static String text(InputStream answer) throws IOException {
        if (answer == null) {
            return "";
        }
        try (answer) {
            return new String(answer.readNBytes(MAX_ANSWER_LENGTH), StandardCharsets.UTF_8);
        }
    }

    private static Refused refused(int status, String text) {
        try {
            Map<String, Object> fields = Json.object(text);
            Object error = fields.get("error");
            Object message = fields.get("message");
            if (error instanceof String) {
                // Only Kafka's errors have a message beside their name.
                boolean isKafkas = message instanceof String;
                return new Refused(isKafkas ? error + ": " + message : (String) error, isKafkas ? (String) error : null);
            }
        } catch (IllegalArgumentException notJson) {
            // The text itself is the message.
        }
        return new Refused("HTTP status " + status + ": " + text.strip(), null);
    }
}
