import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.ConsumerRecords;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.common.TopicPartition;

/** What differs between the clients of 0.11 and those of today, and settings and checks of these programs. */
final class Clients {
    private static final String STRINGS = "org.apache.kafka.common.serialization.String";

    static Properties producer(String bootstrap, String transactionalId) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("acks", "all");
        settings.put("enable.idempotence", "true");
        settings.put("reconnect.backoff.max.ms", "200");
        settings.put("key.serializer", STRINGS + "Serializer");
        settings.put("value.serializer", STRINGS + "Serializer");
        if (transactionalId != null) {
            settings.put("transactional.id", transactionalId);
        }
        return settings;
    }

    static Properties consumer(String bootstrap, String group, String isolation) {
        Properties settings = new Properties();
        settings.put("bootstrap.servers", bootstrap);
        settings.put("isolation.level", isolation);
        settings.put("auto.offset.reset", "earliest");
        settings.put("enable.auto.commit", "false");
        settings.put("heartbeat.interval.ms", "200");
        settings.put("reconnect.backoff.max.ms", "200");
        settings.put("key.deserializer", STRINGS + "Deserializer");
        settings.put("value.deserializer", STRINGS + "Deserializer");
        if (group != null) {
            settings.put("group.id", group);
        }
        return settings;
    }

    /** Polls with {@code poll(Duration)}, or before 2.0 with {@code poll(long)}. */
    static List<ConsumerRecord<String, String>> poll(KafkaConsumer<String, String> consumer, long millis) {
        List<ConsumerRecord<String, String>> list = new ArrayList<ConsumerRecord<String, String>>();
        for (Object record : (ConsumerRecords<?, ?>) pollAny(consumer, millis)) {
            @SuppressWarnings("unchecked")
            ConsumerRecord<String, String> typed = (ConsumerRecord<String, String>) record;
            list.add(typed);
        }
        return list;
    }

    private static Object pollAny(KafkaConsumer<String, String> consumer, long millis) {
        Method poll = method(KafkaConsumer.class, "poll", "java.time.Duration");
        if (poll != null) {
            return call(poll, consumer, java.time.Duration.ofMillis(millis));
        }
        return call(method(KafkaConsumer.class, "poll", "long"), consumer, millis);
    }

    /** Sends offsets with the group's metadata (since 2.5), or with its name alone. */
    static void sendOffsets(KafkaProducer<String, String> producer, Map<TopicPartition, OffsetAndMetadata> offsets,
            KafkaConsumer<String, String> consumer, String group) {
        Method byMetadata = method(KafkaProducer.class, "sendOffsetsToTransaction", "java.util.Map",
                "org.apache.kafka.clients.consumer.ConsumerGroupMetadata");
        if (byMetadata != null) {
            call(byMetadata, producer, offsets, call(method(KafkaConsumer.class, "groupMetadata"), consumer));
            return;
        }
        call(method(KafkaProducer.class, "sendOffsetsToTransaction", "java.util.Map", "java.lang.String"), producer,
                offsets, group);
    }

    private static Method method(Class<?> of, String name, String... parameters) {
        for (Method method : of.getMethods()) {
            if (!method.getName().equals(name) || method.getParameterCount() != parameters.length) {
                continue;
            }
            boolean same = true;
            for (int index = 0; index < parameters.length; index++) {
                same &= method.getParameterTypes()[index].getName().equals(parameters[index]);
            }
            if (same) {
                return method;
            }
        }
        return null;
    }

    private static Object call(Method method, Object on, Object... arguments) {
        try {
            return method.invoke(on, arguments);
        } catch (java.lang.reflect.InvocationTargetException error) {
            if (error.getCause() instanceof RuntimeException) {
                throw (RuntimeException) error.getCause();
            }
            throw new IllegalStateException(error);
        } catch (IllegalAccessException error) {
            throw new IllegalStateException(error);
        }
    }

    /** Returns the name of the exception that the step ends with, or {@code none}. */
    static String error(Callable<?> step) throws Exception {
        try {
            step.call();
            return "none";
        } catch (ExecutionException error) {
            return error.getCause().getClass().getSimpleName();
        } catch (org.apache.kafka.common.KafkaException error) {
            return error.getClass().getSimpleName();
        }
    }

    /** Far longer than any step takes. */
    static long deadline() {
        return System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    }

    static void check(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }
}
