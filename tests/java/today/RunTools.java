import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import org.apache.kafka.common.utils.Exit;

/**
 * Runs Apache Kafka's tools in sequence in one virtual machine, because starting one takes a second.
 *
 * <p>Each line on stdin is a run: the class, its stdin and its arguments, each in Base64, separated by spaces. Each line
 * on stdout is a result: the exit code, stdout and stderr.
 */
public final class RunTools {
    /** Ends a tool that would end the process. */
    private static final class ExitError extends Error {
        final int code;

        ExitError(int code) {
            super(null, null, false, false);
            this.code = code;
        }
    }

    public static void main(String[] ignored) throws IOException {
        PrintStream results = System.out;
        BufferedReader runs = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.US_ASCII));
        Exit.setExitProcedure((code, message) -> exit(code));
        Exit.setHaltProcedure((code, message) -> exit(code));
        Exit.setShutdownHookAdder((name, hook) -> {});
        for (String line = runs.readLine(); line != null; line = runs.readLine()) {
            results.println(run(line.split(" ", -1)));
            results.flush();
        }
    }

    /** The first exit. Some tools catch the error that ends them here and continue; their later output is dropped. */
    private static ExitError exited;

    private static void exit(int code) {
        ExitError now = new ExitError(code);
        exited = exited == null ? now : exited;
        System.setOut(new PrintStream(OutputStream.nullOutputStream()));
        System.setErr(new PrintStream(OutputStream.nullOutputStream()));
        throw now;
    }

    private static String run(String[] words) {
        PrintStream out = System.out;
        PrintStream err = System.err;
        InputStream in = System.in;
        ByteArrayOutputStream toOut = new ByteArrayOutputStream();
        ByteArrayOutputStream toErr = new ByteArrayOutputStream();
        int code;
        try (PrintStream newOut = new PrintStream(toOut, true); PrintStream newErr = new PrintStream(toErr, true)) {
            System.setOut(newOut);
            System.setErr(newErr);
            System.setIn(new ByteArrayInputStream(Base64.getDecoder().decode(words[1])));
            code = runMain(text(words[0]), words);
        } finally {
            System.setOut(out);
            System.setErr(err);
            System.setIn(in);
        }
        Base64.Encoder encoder = Base64.getEncoder();
        return code + " " + encoder.encodeToString(toOut.toByteArray()) + " " + encoder.encodeToString(toErr.toByteArray());
    }

    private static int runMain(String type, String[] words) {
        String[] arguments = new String[words.length - 2];
        for (int index = 0; index < arguments.length; index++) {
            arguments[index] = text(words[index + 2]);
        }
        exited = null;
        try {
            Class.forName(type).getMethod("main", String[].class).invoke(null, (Object) arguments);
            return exited == null ? 0 : exited.code;
        } catch (InvocationTargetException thrown) {
            if (exited != null) {
                return exited.code;
            }
            thrown.getCause().printStackTrace();
            return 1;
        } catch (ReflectiveOperationException absent) {
            throw new IllegalArgumentException(type, absent);
        }
    }

    private static String text(String base64) {
        return new String(Base64.getDecoder().decode(base64), StandardCharsets.UTF_8);
    }
}
