import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** What these programs say about what they see: nothing if it is right, else an exception that ends them. */
final class Check {
    /** Far longer than anything takes. */
    static final Duration PATIENCE = Duration.ofSeconds(60);

    interface Step {
        void run() throws Exception;
    }

    static void equal(Object expected, Object found, String what) {
        that(expected.equals(found), what + ": expected " + expected + ", found " + found);
    }

    static void that(boolean holds, String what) {
        if (!holds) {
            throw new AssertionError(what);
        }
    }

    /** The value of a future that must come in time. */
    static <T> T get(Future<T> future) throws Exception {
        return future.get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
    }

    /** The step fails with this error of Kafka's. */
    static void fails(Class<? extends Exception> expected, Step step) throws Exception {
        try {
            step.run();
        } catch (Exception found) {
            Throwable cause = found instanceof ExecutionException ? found.getCause() : found;
            that(expected.isInstance(cause), "expected " + expected.getSimpleName() + ", found " + cause);
            return;
        }
        throw new AssertionError("expected " + expected.getSimpleName() + ", and nothing failed");
    }

    /** Repeats until it is true. */
    static void eventually(String what, BooleanSupplier holds) {
        long deadline = System.nanoTime() + PATIENCE.toNanos();
        while (!holds.getAsBoolean()) {
            that(System.nanoTime() < deadline, "waited in vain for " + what);
        }
    }
}
