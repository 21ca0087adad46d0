package io.github.ottla.junit;

import java.lang.annotation.Documented;
import java.lang.annotation.ElementType;
import java.lang.annotation.Inherited;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.extension.ExtendWith;

/**
 * Starts a broker for the tests of a class. Test methods, and those annotated with BeforeEach and the like, get it as a
 * parameter of type {@link OttlaBroker}. {@link OttlaExtension} has more options.
 */
@Target(ElementType.TYPE)
@Retention(RetentionPolicy.RUNTIME)
@Inherited
@Documented
@ExtendWith(OttlaExtension.class)
public @interface OttlaTest {
    /** Topics that exist before each test, each as {@code NAME[:PARTITIONS[:REPLICATION-FACTOR[:CLEANUP-POLICY]]]}. */
    String[] topics() default {};

    /** Settings of the broker, each as {@code NAME=VALUE}. */
    String[] settings() default {};

    /** Whether the broker has a schema registry: {@link OttlaBroker#schemaRegistryUrl}. */
    boolean schemaRegistry() default false;

    /** Whether the broker is reset before each test. */
    boolean resetBeforeEach() default true;
}
