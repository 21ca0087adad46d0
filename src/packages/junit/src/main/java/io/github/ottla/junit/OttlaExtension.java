package io.github.ottla.junit;

import java.util.List;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeAllCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.jupiter.api.extension.ParameterContext;
import org.junit.jupiter.api.extension.ParameterResolver;
import org.junit.platform.commons.support.AnnotationSupport;

/**
 * Starts a broker for tests, which get it from {@link #broker} or as a parameter of type {@link OttlaBroker}.
 *
 * <pre>{@code
 * @RegisterExtension
 * static final OttlaExtension kafka = OttlaExtension.create().topic("orders", 3);
 * }</pre>
 *
 * <p>A static field has one broker for all tests of the class and of its nested classes, which is reset before each test.
 * Another field has a broker for each test. When a test fails, the lines of the broker's log during this test are printed.
 */
public final class OttlaExtension extends BrokerOptions<OttlaExtension>
    implements BeforeAllCallback, BeforeEachCallback, AfterEachCallback, AfterAllCallback, ParameterResolver {
    /** How many lines of the log a failed test prints. */
    private static final int LINES_OF_FAILED_TEST = 50;

    private boolean resetBeforeEach = true;
    private OttlaBroker broker;
    /** The number of classes whose tests run: a class and its nested classes. */
    private int classes;
    private long linesBefore;

    /** For {@link OttlaTest}. */
    OttlaExtension() {}

    /** Returns an extension whose methods set the options of the broker. */
    public static OttlaExtension create() {
        return new OttlaExtension();
    }

    @Override
    OttlaExtension self() {
        return this;
    }

    /** Sets whether a broker of several tests is reset before each of them, as it is by default. */
    public OttlaExtension resetBeforeEach(boolean reset) {
        resetBeforeEach = reset;
        return this;
    }

    /** Returns the broker, which runs from before the first test until after the last. */
    public synchronized OttlaBroker broker() {
        if (broker == null) {
            throw new IllegalStateException("no test runs, or this field has no @RegisterExtension");
        }
        return broker;
    }

    /** Returns the address for Kafka clients, such as localhost:40123. */
    public String bootstrapServers() {
        return broker().bootstrapServers();
    }

    @Override
    public synchronized void beforeAll(ExtensionContext context) {
        if (classes == 0) {
            AnnotationSupport.findAnnotation(context.getRequiredTestClass(), OttlaTest.class).ifPresent(this::apply);
            broker = new OttlaBroker(this);
        }
        classes++;
    }

    @Override
    public synchronized void beforeEach(ExtensionContext context) {
        linesBefore = broker == null ? 0 : broker.logLineCount();
        if (classes == 0) {
            broker = new OttlaBroker(this);
        } else if (resetBeforeEach) {
            if (!broker.isRunning()) {
                // The test before has killed it.
                broker.restart();
            }
            broker.reset();
        }
    }

    @Override
    public synchronized void afterEach(ExtensionContext context) {
        OttlaBroker used = broker;
        if (classes == 0) {
            stop();
        }
        if (used != null && context.getExecutionException().isPresent()) {
            List<String> lines = used.logLinesSince(linesBefore);
            System.err.println("The broker's log during " + context.getDisplayName() + ":");
            lines.subList(Math.max(0, lines.size() - LINES_OF_FAILED_TEST), lines.size()).forEach(System.err::println);
        }
    }

    @Override
    public synchronized void afterAll(ExtensionContext context) {
        // 0 if the broker did not start.
        if (classes > 0 && --classes == 0) {
            stop();
        }
    }

    @Override
    public boolean supportsParameter(ParameterContext parameter, ExtensionContext context) {
        return parameter.getParameter().getType() == OttlaBroker.class;
    }

    @Override
    public OttlaBroker resolveParameter(ParameterContext parameter, ExtensionContext context) {
        return broker();
    }

    private void apply(OttlaTest test) {
        for (String topic : test.topics()) {
            arguments("--create-topic=" + topic);
        }
        for (String setting : test.settings()) {
            String[] parts = setting.split("=", 2);
            setting(parts[0], parts.length > 1 ? parts[1] : "");
        }
        if (test.schemaRegistry()) {
            schemaRegistry();
        }
        resetBeforeEach = test.resetBeforeEach();
    }

    private void stop() {
        OttlaBroker stopped = broker;
        broker = null;
        if (stopped != null) {
            stopped.stop();
        }
    }
}
