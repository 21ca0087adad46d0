import java.lang.reflect.Method;
import java.time.Duration;
import java.util.Properties;
import org.apache.kafka.common.serialization.Serdes;
import org.apache.kafka.common.utils.Bytes;
import org.apache.kafka.streams.KafkaStreams;
import org.apache.kafka.streams.KeyValue;
import org.apache.kafka.streams.StreamsBuilder;
import org.apache.kafka.streams.errors.StreamsUncaughtExceptionHandler.StreamThreadExceptionResponse;
import org.apache.kafka.streams.kstream.Consumed;
import org.apache.kafka.streams.kstream.Grouped;
import org.apache.kafka.streams.kstream.Materialized;
import org.apache.kafka.streams.kstream.Produced;
import org.apache.kafka.streams.kstream.TimeWindows;
import org.apache.kafka.streams.state.Stores;
import org.apache.kafka.streams.state.WindowStore;

/**
 * Counts the words of a topic by word and second, over a repartition and a changelog topic, until it is killed. Every
 * count is written, not only the last of a commit. Arguments: the broker's address, a directory for its state, the
 * processing guarantee, and {@code rocksdb} or {@code memory} for its store. Prints its state when that changes.
 */
public final class WindowedCount {
    private static final Duration RETENTION = Duration.ofDays(2);
    private static final Duration SIZE = Duration.ofSeconds(1);

    public static void main(String[] args) throws Exception {
        StreamsBuilder builder = new StreamsBuilder();
        builder.stream("words", Consumed.with(Serdes.String(), Serdes.String()))
                .groupBy((key, word) -> word, Grouped.with("by-word", Serdes.String(), Serdes.String()))
                .windowedBy(windows())
                .count(store(args[3]).withKeySerde(Serdes.String()).withValueSerde(Serdes.Long()))
                .toStream()
                .map((word, count) -> KeyValue.pair(word.key() + "@" + word.window().start(), Long.toString(count)))
                .to("counts", Produced.with(Serdes.String(), Serdes.String()));
        KafkaStreams streams = new KafkaStreams(builder.build(), settings(args));
        streams.setStateListener((now, before) -> System.out.println(now));
        streams.setUncaughtExceptionHandler(error -> {
            error.printStackTrace();
            return StreamThreadExceptionResponse.REPLACE_THREAD;
        });
        streams.start();
    }

    private static Properties settings(String[] args) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", args[0]);
        settings.put("application.id", "count");
        settings.put("state.dir", args[1]);
        settings.put("processing.guarantee", args[2]);
        settings.put("num.stream.threads", "2");
        settings.put("replication.factor", "1");
        settings.put("commit.interval.ms", "100");
        // No caches, by the old and the new name.
        settings.put("cache.max.bytes.buffering", "0");
        settings.put("statestore.cache.max.bytes", "0");
        // What a killed run held is soon free.
        settings.put("session.timeout.ms", "2000");
        settings.put("heartbeat.interval.ms", "300");
        settings.put("transaction.timeout.ms", "3000");
        settings.put("auto.offset.reset", "earliest");
        return settings;
    }

    private static Materialized<String, Long, WindowStore<Bytes, byte[]>> store(String kind) {
        if (kind.equals("memory")) {
            return Materialized.as(Stores.inMemoryWindowStore("counts", RETENTION, SIZE, false));
        }
        return Materialized.<String, Long, WindowStore<Bytes, byte[]>>as("counts").withRetention(RETENTION);
    }

    /** Windows with a day of grace: by the method that today's version has, or by those of 2.8. */
    private static TimeWindows windows() throws Exception {
        Duration grace = Duration.ofDays(1);
        try {
            Method today = TimeWindows.class.getMethod("ofSizeAndGrace", Duration.class, Duration.class);
            return (TimeWindows) today.invoke(null, SIZE, grace);
        } catch (NoSuchMethodException old) {
            Object windows = TimeWindows.class.getMethod("of", Duration.class).invoke(null, SIZE);
            return (TimeWindows) TimeWindows.class.getMethod("grace", Duration.class).invoke(windows, grace);
        }
    }
}
