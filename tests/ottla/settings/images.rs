//! Variables of Kafka's images about security that cannot be honoured end the start in one line with exit code 2.

use common::{command, run_command};

/// Starts a broker with these variables; asserts that it is refused with this text.
#[track_caller]
fn check_refused(variables: &[(&str, &str)], expect: &str) {
    let environment: Vec<_> = variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    let output = run_command(command(&environment).args(["--ephemeral", "--port", "0"]));
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), message.lines().count()), (Some(2), 1), "{message}");
    assert!(message.contains(expect), "{message}");
    assert!(!message.contains("hunter2"), "{message}");
}

/// The example of confluentinc/cp-kafka with Kerberos.
#[test]
fn kerberos_is_refused() {
    let variables = [
        ("KAFKA_ADVERTISED_LISTENERS", "SASL_PLAINTEXT://localhost:19094"),
        ("KAFKA_SECURITY_INTER_BROKER_PROTOCOL", "SASL_PLAINTEXT"),
        ("KAFKA_SASL_MECHANISM_INTER_BROKER_PROTOCOL", "GSSAPI"),
        ("KAFKA_SASL_ENABLED_MECHANISMS", "GSSAPI"),
        ("KAFKA_SASL_KERBEROS_SERVICE_NAME", "kafka"),
        ("KAFKA_OPTS", "-Djava.security.krb5.conf=/etc/kafka/krb.conf"),
    ];
    check_refused(&variables, "has GSSAPI (Kerberos), which is not supported");
}

#[test]
fn unreadable_file_of_a_variable_is_refused() {
    let ssl = ("KAFKA_LISTENERS", "SSL://127.0.0.1:0");
    check_refused(&[ssl, ("KAFKA_SSL_KEYSTORE_FILENAME", "missing.jks")], "/etc/kafka/secrets/missing.jks");
    check_refused(&[ssl, ("KAFKA_SSL_KEY_CREDENTIALS", "missing")], "KAFKA_SSL_KEY_CREDENTIALS");
    let sasl = [
        ("KAFKA_LISTENERS", "SASL_PLAINTEXT://127.0.0.1:0"),
        ("KAFKA_SASL_ENABLED_MECHANISMS", "PLAIN"),
        ("KAFKA_OPTS", "-Djava.security.auth.login.config=/nowhere/jaas.conf"),
    ];
    check_refused(&sasl, "the JAAS file /nowhere/jaas.conf");
}

#[test]
fn jaas_file_that_no_listener_needs_is_not_read() {
    let zookeeper = ("KAFKA_OPTS".to_owned(), "-Djava.security.auth.login.config=/nowhere/zookeeper.conf".to_owned());
    let broker = common::Broker::with().env(&zookeeper.0, &zookeeper.1).start();
    assert!(broker.port() > 0);
}

#[test]
fn bitnamis_variables_that_are_incomplete_are_refused() {
    let listeners = ("KAFKA_CFG_LISTENERS", "SASL_SSL://127.0.0.1:0");
    let users = [("KAFKA_CLIENT_USERS", "a,b"), ("KAFKA_CLIENT_PASSWORDS", "hunter2")];
    check_refused(
        &[listeners, users[0], users[1]],
        "the listener SASL_SSL needs a certificate; mount kafka.keystore.jks",
    );
    let plain = ("KAFKA_CFG_LISTENERS", "SASL_PLAINTEXT://127.0.0.1:0");
    check_refused(&[plain, users[0], users[1]], "need the same number of entries, and they have 2 and 1");
    check_refused(&[plain], "demands SASL, and there are no users; set KAFKA_CLIENT_USERS and KAFKA_CLIENT_PASSWORDS");
}
