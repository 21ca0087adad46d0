import java.time.Duration;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;

/** Assertions of these programs: a failure is an exception that ends the program. */
final class Check {
    /** Far longer than any step takes. */
    static final Duration TIMEOUT = Duration.ofSeconds(60);

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

    /** Returns the value of a future, which must complete in time. */
    static <T> T get(Future<T> future) throws Exception {
        return future.get(TIMEOUT.toSeconds(), TimeUnit.SECONDS);
    }

    /** Asserts that the step fails with this Kafka error. */
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

    /** Waits until the condition holds. */
    static void eventually(String what, BooleanSupplier holds) {
        long deadline = System.nanoTime() + TIMEOUT.toNanos();
        while (!holds.getAsBoolean()) {
            that(System.nanoTime() < deadline, "timed out waiting for " + what);
        }
    }
}
