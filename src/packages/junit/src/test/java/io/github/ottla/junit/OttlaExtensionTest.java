package io.github.ottla.junit;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;
import org.junit.platform.launcher.listeners.SummaryGeneratingListener;
import org.junit.platform.launcher.listeners.TestExecutionSummary;

@Timeout(120)
class OttlaExtensionTest {
    /** The brokers that the classes below used. */
    private static final List<OttlaBroker> USED = new ArrayList<>();

    @BeforeEach
    void forget() {
        USED.clear();
    }

    @AfterEach
    void allAreStopped() {
        USED.forEach(broker -> assertEquals(false, broker.isRunning()));
    }

    private static TestExecutionSummary run(Class<?> tests) {
        SummaryGeneratingListener listener = new SummaryGeneratingListener();
        var request = LauncherDiscoveryRequestBuilder.request().selectors(selectClass(tests)).build();
        LauncherFactory.create().execute(request, listener);
        return listener.getSummary();
    }

    private static void assertPass(Class<?> tests, int count) {
        TestExecutionSummary summary = run(tests);
        summary.getFailures().forEach(failure -> fail(failure.getException()));
        assertEquals(count, summary.getTestsSucceededCount());
    }

    /** Produces a record, of which there must be none before. */
    private static void use(OttlaBroker broker) throws Exception {
        assertEquals("", Cli.records(broker, "orders"));
        Cli.run(broker, "produce", "orders", "a book");
        USED.add(broker);
    }

    private static int brokers() {
        return new HashSet<>(USED).size();
    }

    @Test
    void staticFieldHasOneBrokerThatIsResetBeforeEachTest() {
        assertPass(StaticField.class, 3);
        assertEquals(1, brokers());
        assertEquals(3, USED.size());
    }

    static final class StaticField {
        @RegisterExtension
        static final OttlaExtension KAFKA = OttlaExtension.create().topic("orders", 3);

        @BeforeAll
        static void brokerRuns() {
            assertTrue(KAFKA.broker().isRunning());
        }

        @Test
        void one() throws Exception {
            assertEquals(KAFKA.bootstrapServers(), KAFKA.broker().bootstrapServers());
            use(KAFKA.broker());
        }

        @Test
        void other(OttlaBroker broker) throws Exception {
            use(broker);
        }

        @Nested
        final class Inner {
            @Test
            void third() throws Exception {
                use(KAFKA.broker());
            }
        }
    }

    @Test
    void fieldThatIsNotStaticHasABrokerForEachTest() {
        assertPass(Field.class, 2);
        assertEquals(2, brokers());
    }

    static final class Field {
        @RegisterExtension
        final OttlaExtension kafka = OttlaExtension.create().topic("orders", 1);

        @Test
        void one() throws Exception {
            use(kafka.broker());
        }

        @Test
        void other() throws Exception {
            use(kafka.broker());
        }
    }

    @Test
    void annotatedClassHasTheBrokerOfTheAnnotation() {
        assertPass(Annotated.class, 2);
        assertEquals(1, brokers());
    }

    @OttlaTest(topics = "orders:2", settings = "num.partitions=5", schemaRegistry = true)
    static final class Annotated {
        private final OttlaBroker broker;

        Annotated(OttlaBroker broker) {
            this.broker = broker;
        }

        @Test
        void one(OttlaBroker parameter) throws Exception {
            assertEquals(broker, parameter);
            assertEquals(2, Cli.partitions(broker, "orders"));
            assertTrue(broker.schemaRegistryUrl().isPresent());
            use(broker);
        }

        @Test
        void other() throws Exception {
            Cli.run(broker, "produce", "new", "a value");
            assertEquals(5, Cli.partitions(broker, "new"));
            use(broker);
        }
    }

    @Test
    void brokerWithoutResetsKeepsItsRecords() {
        assertPass(Kept.class, 2);
    }

    @OttlaTest(topics = "orders:1", resetBeforeEach = false)
    static final class Kept {
        @BeforeAll
        static void produce(OttlaBroker broker) throws Exception {
            use(broker);
        }

        @Test
        void one(OttlaBroker broker) throws Exception {
            assertTrue(Cli.records(broker, "orders").contains("a book"));
        }

        @Test
        void other(OttlaBroker broker) throws Exception {
            one(broker);
        }
    }

    @Test
    void killedBrokerRunsAgainInTheNextTest() {
        assertPass(Killing.class, 2);
        assertEquals(1, brokers());
    }

    @OttlaTest(topics = "orders:1")
    static final class Killing {
        @Test
        void one(OttlaBroker broker) throws Exception {
            use(broker);
            broker.kill();
        }

        @Test
        void other(OttlaBroker broker) throws Exception {
            one(broker);
        }
    }

    @Test
    void failedTestPrintsTheLinesOfItsBroker() {
        PrintStream before = System.err;
        ByteArrayOutputStream output = new ByteArrayOutputStream();
        System.setErr(new PrintStream(output, true));
        TestExecutionSummary summary;
        try {
            summary = run(Failing.class);
        } finally {
            System.setErr(before);
        }
        assertEquals(1, summary.getTestsFailedCount());
        String text = output.toString();
        assertTrue(text.contains("The broker's log during fails") && text.contains("topic=new"), text);
    }

    @OttlaTest
    static final class Failing {
        @Test
        void fails(OttlaBroker broker) throws Exception {
            Cli.run(broker, "produce", "new", "a value");
            fail();
        }
    }

    @Test
    void brokerThatCannotStartFailsTheClass() {
        TestExecutionSummary summary = run(Impossible.class);
        Throwable failure = summary.getFailures().get(0).getException();
        assertTrue(failure.getMessage().contains("Invalid value many for configuration num.partitions"), failure::getMessage);
        assertEquals(1, summary.getFailures().size());
        assertEquals(0, summary.getTestsStartedCount());
    }

    @OttlaTest(settings = "num.partitions=many")
    static final class Impossible {
        @Test
        void neverRuns() {}
    }

    @Test
    void brokerBeforeTheTestsIsAnError() {
        OttlaExtension extension = OttlaExtension.create();
        assertThrows(IllegalStateException.class, extension::broker);
    }
}
