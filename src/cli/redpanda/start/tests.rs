//! The settings of what Testcontainers' modules and compose files give.

use super::*;

/// Listeners as Testcontainers' modules write them, here with SASL, a listener for other containers and a password for the
/// schema registry.
const NODE: &str = r#"# Injected by testcontainers
redpanda:
  admin:
    address: 0.0.0.0
    port: 9644

  kafka_api:
    - address: 0.0.0.0
      name: external
      port: 9092
      authentication_method: sasl
    - address: 0.0.0.0
      name: internal
      port: 9093
      authentication_method: none
    - address: my-panda
      name: my-panda
      port: 29092
      authentication_method: sasl

  advertised_kafka_api:
    - address: localhost
      name: external
      port: 55001
    - address: 127.0.0.1
      name: internal
      port: 9093
    - address: my-panda
      name: my-panda
      port: 29092

schema_registry:
  schema_registry_api:
  - address: "0.0.0.0"
    name: main
    port: 8081
    authentication_method: http_basic

schema_registry_client:
  brokers:
    - address: localhost
      port: 9093
"#;
const BOOTSTRAP: &str = r"
superusers:
  - panda
  - CN=x,O=y

kafka_enable_authorization: true
auto_create_topics_enabled: true
data_transforms_enabled: true
";

/// The settings of these arguments and files.
fn settings(line: &str, node: &str, bootstrap: &str) -> Result<Settings, String> {
    let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
    let arguments = Arguments::parse(&words).unwrap();
    let (node, bootstrap) = (Node::parse(node).unwrap(), Node::parse(bootstrap).unwrap());
    let variable = |name: &str| (name == "RP_BOOTSTRAP_USER").then(|| "root:se:cret:SCRAM-SHA-256".to_owned());
    let read = |path: &str| match path.starts_with('/') {
        true => Ok(format!("content of {path}")),
        false => Err("no such file".to_owned()),
    };
    let properties = Properties::new(&node, &bootstrap, arguments.mode.is_some());
    let has_file = !node.is_null();
    Given { arguments: &arguments, node: &node, has_file, properties, variable: &variable, read: &read }.settings()
}

/// Checks that the settings contain these; the value `-` stands for none.
#[track_caller]
fn check(settings: &Settings, expect: &[(&str, &str)]) {
    for (name, value) in expect {
        let mut found = settings.pairs.iter().filter(|(known, _)| known == name).map(|(_, value)| value.as_str());
        assert_eq!(found.next().unwrap_or("-"), *value, "{name} in {settings:?}");
        assert_eq!(found.next(), None, "{name} in {settings:?}");
    }
}

#[test]
fn arguments_alone_give_listeners_and_all_ports() {
    let line = "--mode dev-container --smp 1 --memory 1G \
                --kafka-addr PLAINTEXT://0.0.0.0:29092,OUTSIDE://0.0.0.0:9092 \
                --advertise-kafka-addr PLAINTEXT://127.0.0.1:29092,OUTSIDE://example.test:55001";
    let found = settings(line, "", "").unwrap();
    let expect = [
        ("listeners", "PLAINTEXT://0.0.0.0:29092,OUTSIDE://0.0.0.0:9092"),
        ("listener.security.protocol.map", "PLAINTEXT:PLAINTEXT,OUTSIDE:PLAINTEXT"),
        ("advertised.listeners", "PLAINTEXT://127.0.0.1:29092,OUTSIDE://example.test:55001"),
        ("auto.create.topics.enable", "true"),
        ("ottla.admin.listener", "0.0.0.0:9644"),
        ("ottla.admin.allowed.hosts", "example.test"),
        ("ottla.registry.listener", "0.0.0.0:8081"),
        ("ottla.rest.proxy.listener", "0.0.0.0:8082"),
        ("authorizer.class.name", "-"),
        ("sasl.enabled.mechanisms", "-"),
    ];
    check(&found, &expect);
    assert_eq!(found.ignored, ["--smp", "--memory"]);
}

#[test]
fn files_of_a_test_library_give_listeners_with_sasl_and_an_authorizer() {
    let found = settings("--mode=dev-container", NODE, BOOTSTRAP).unwrap();
    let expect = [
        ("listeners", "external://0.0.0.0:9092,internal://0.0.0.0:9093,my-panda://my-panda:29092"),
        ("listener.security.protocol.map", "external:SASL_PLAINTEXT,internal:PLAINTEXT,my-panda:SASL_PLAINTEXT"),
        ("advertised.listeners", "external://localhost:55001,internal://127.0.0.1:9093,my-panda://my-panda:29092"),
        ("sasl.enabled.mechanisms", "SCRAM-SHA-256,SCRAM-SHA-512"),
        ("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"),
        ("super.users", "User:panda;User:CN=x,O=y"),
        ("auto.create.topics.enable", "true"),
        ("ottla.users", "root:se:cret"),
        ("ottla.admin.scram.users", "-"),
        ("ottla.registry.listener", "0.0.0.0:8081"),
        ("ottla.registry.scram.users", "*"),
        // The file has no such section.
        ("ottla.rest.proxy.listener", ""),
    ];
    check(&found, &expect);
    assert_eq!(found.ignored, ["data_transforms_enabled"]);
}

#[test]
fn flags_precede_files_and_files_precede_the_mode() {
    let node = "redpanda: {kafka_api: [{address: a, port: 1}], node_id: 3, auto_create_topics_enabled: false}";
    let line = "--mode=dev-container --node-id 4 --kafka-addr b:2 --schema-registry-addr c:3 --pandaproxy-addr p://d:4";
    let found = settings(line, node, "").unwrap();
    let expect = [
        ("listeners", "DEFAULT://b:2"),
        ("auto.create.topics.enable", "false"),
        ("ottla.registry.listener", "c:3"),
        ("ottla.rest.proxy.listener", "d:4"),
    ];
    check(&found, &expect);
    let ids: Vec<&str> =
        found.pairs.iter().filter(|(name, _)| name == "node.id").map(|(_, value)| value.as_str()).collect();
    assert_eq!(ids, ["3", "4"], "the last one counts");
}

#[test]
fn enable_sasl_sets_authentication_and_authorization_of_listeners_without_a_method() {
    let node = "redpanda: {enable_sasl: true, superusers: [ann], kafka_api: {address: 0.0.0.0, port: 9092}}";
    let authorizer = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
    let expect = [
        ("listener.security.protocol.map", "DEFAULT:SASL_PLAINTEXT"),
        ("authorizer.class.name", authorizer),
        ("super.users", "User:ann"),
    ];
    check(&settings("", node, "").unwrap(), &expect);
    let expect = [("listener.security.protocol.map", "DEFAULT:PLAINTEXT"), ("authorizer.class.name", "-")];
    check(&settings("", node, "kafka_enable_authorization: false").unwrap(), &expect);
    check(&settings("", "", "enable_sasl: false").unwrap(), &expect);
}

#[test]
fn tls_of_a_listener_is_read_from_its_files() {
    let node = "
redpanda:
  kafka_api:
  - {name: external, address: 0.0.0.0, port: 9092, authentication_method: mtls_identity}
  - {name: plain, address: 0.0.0.0, port: 9093}
  kafka_api_tls:
  - {name: external, enabled: true, cert_file: /cert.pem, key_file: /key.pem, truststore_file: /ca.pem}
  - {name: plain, enabled: false, cert_file: x}
  admin_api_tls:
  - {enabled: true, cert_file: /cert.pem, key_file: /key.pem}
  kafka_mtls_principal_mapping_rules: [\"RULE:^CN=(.*)$/$1/\", DEFAULT]
schema_registry:
  schema_registry_api: {address: 0.0.0.0, port: 8081, name: main}
  schema_registry_api_tls: [{name: main, enabled: true, cert_file: /cert.pem, key_file: /key.pem}]
";
    let expect = [
        ("listener.security.protocol.map", "external:SSL,plain:PLAINTEXT"),
        ("listener.name.external.ssl.keystore.type", "PEM"),
        ("listener.name.external.ssl.keystore.key", "content of /key.pem"),
        ("listener.name.external.ssl.keystore.certificate.chain", "content of /cert.pem"),
        ("listener.name.external.ssl.truststore.certificates", "content of /ca.pem"),
        ("listener.name.external.ssl.client.auth", "required"),
        ("ssl.principal.mapping.rules", "RULE:^CN=(.*)$/$1/,DEFAULT"),
        ("ottla.admin.ssl.keystore.key", "content of /key.pem"),
        ("ottla.registry.ssl.keystore.certificate.chain", "content of /cert.pem"),
    ];
    check(&settings("", node, "").unwrap(), &expect);
}

#[test]
fn password_of_the_admin_api_is_demanded_of_superusers() {
    let found = settings("", "", "admin_api_require_auth: true\nsuperusers: [ann, bob]").unwrap();
    check(&found, &[("ottla.admin.scram.users", "ann,bob")]);
}

#[test]
fn security_that_the_broker_does_not_have_refuses_the_start() {
    for (node, expect) in [
        (
            "redpanda: {kafka_api: {address: a, authentication_method: gssapi}}",
            "kafka_api: authentication_method \"gssapi\" is not none, sasl or mtls_identity",
        ),
        (
            "redpanda: {kafka_api: {address: a, authentication_method: mtls_identity}}",
            "kafka_api DEFAULT: authentication_method mtls_identity needs TLS (kafka_api_tls)",
        ),
        (
            "redpanda: {kafka_api: {address: a}, kafka_api_tls: {enabled: true, key_file: k}}",
            "kafka_api_tls: key_file k: no such file",
        ),
        (
            "redpanda: {kafka_api: {address: a}, kafka_api_tls: {enabled: true, key_file: /k}}",
            "kafka_api_tls: cert_file is missing",
        ),
        (
            "schema_registry: {schema_registry_api: {address: a, authentication_method: oidc}}",
            "schema_registry_api: authentication_method \"oidc\" is not none or http_basic",
        ),
        ("admin_api_require_auth: true", "admin_api_require_auth needs a user in superusers"),
        (
            "schema_registry_enable_authorization: true",
            "schema_registry_enable_authorization is not supported; remove it, or set it to false",
        ),
        (
            "redpanda: {admin_api_tls: {enabled: true, cert_file: /c, key_file: /k, require_client_auth: true}}",
            "admin_api_tls: require_client_auth is not supported; remove it, or use a password",
        ),
    ] {
        assert_eq!(settings("", node, "").unwrap_err(), expect, "{node}");
    }
}
