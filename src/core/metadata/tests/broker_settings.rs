//! Changes of the settings of a broker with the answers of Apache Kafka 4.3.1, which had the listener `aa` with PLAIN, and
//! in its file `sasl.enabled.mechanisms=PLAIN` and `log.cleanup.policy=delete`.

use super::*;

/// A value of a setting after a change, or the error.
fn answer(resource: &str, kind: OpKind, name: &str, value: &str) -> String {
    let op = ConfigOp { name: name.to_owned(), kind, value: Some(value.to_owned()) };
    let resource = ConfigResource::new(ConfigKind::Broker, resource);
    let change = ConfigChange { resource, how: Alteration::Incremental(vec![op]) };
    let current = Settings::default();
    let after = check_broker_change(&change, &current).and_then(|()| settings_after(&change, &current));
    match after {
        Ok(after) => after.get(name).map_or_else(|| "not set".to_owned(), |value| format!("'{value}'")),
        Err(MetadataError::InvalidConfig(message)) => format!("INVALID_CONFIG {message}"),
        Err(MetadataError::InvalidRequest(message)) => format!("INVALID_REQUEST {message}"),
        Err(other) => format!("{other:?}"),
    }
}

#[test]
fn lists_begin_with_the_default_and_not_with_the_value_of_the_start() {
    let check = |resource, kind, name, value, expect: &str| {
        assert_eq!(answer(resource, kind, name, value), expect, "{name}={value}");
    };
    use OpKind::{Append, Subtract};
    let mechanisms = "sasl.enabled.mechanisms";
    check("1", Append, mechanisms, "SCRAM-SHA-256", "'GSSAPI,SCRAM-SHA-256'");
    check("1", Subtract, mechanisms, "PLAIN", "'GSSAPI'");
    check("1", Subtract, mechanisms, "GSSAPI", "''");
    let refused = format!(
        "INVALID_REQUEST Cannot update these configs at default cluster level, broker id must be specified: [{mechanisms}]"
    );
    check("", Append, mechanisms, "SCRAM-SHA-256", &refused);
    check("1", Append, "sasl.kerberos.principal.to.local.rules", "RULE:[1:$1]", "'DEFAULT,RULE:[1:$1]'");
    check("1", Append, "log.cleanup.policy", "compact", "'delete,compact'");
    check("", Append, "log.cleanup.policy", "compact", "'delete,compact'");
    check("1", Append, "ssl.cipher.suites", "TLS_AES_128_GCM_SHA256", "'TLS_AES_128_GCM_SHA256'");
    check("1", Append, "ssl.enabled.protocols", "TLSv1.1", "'TLSv1.2,TLSv1.3,TLSv1.1'");
    let lists =
        ["listener.name.aa.sasl.enabled.mechanisms", "listener.name.no.ssl.cipher.suites", "super.users", "no.such"];
    for name in lists {
        check("1", Append, name, "x", &format!("INVALID_CONFIG Unknown config name: {name}"));
        check("1", Subtract, name, "x", &format!("INVALID_CONFIG Unknown config name: {name}"));
    }
    let no_list = "INVALID_CONFIG Config value append is not allowed for config key: log.retention.ms";
    check("1", Append, "log.retention.ms", "5", no_list);
}

#[test]
fn limits_that_close_the_broker_to_every_client_are_refused() {
    let check = |name: &str, value: &str, expect: &str| {
        for resource in ["", "1"] {
            assert_eq!(answer(resource, OpKind::Set, name, value), expect, "{name}={value}");
        }
    };
    for name in ["max.connections", "max.connection.creation.rate"] {
        let refused = format!("INVALID_REQUEST Invalid {name} 0");
        check(name, "0", &refused);
        check(&format!("listener.name.aa.{name}"), "0", &refused);
        check(name, "1", "'1'");
    }
    check(
        "max.connections.per.ip",
        "0",
        "INVALID_REQUEST requirement failed: max.connections.per.ip can be set to zero only if \
         max.connections.per.ip.overrides property is set.",
    );
    check("max.connections.per.ip", "1", "'1'");
}

#[test]
fn settings_of_one_listener_are_those_of_one_broker() {
    let name = |name: &str| format!("listener.name.aa.{name}");
    for own in [
        "oauthbearer.sasl.oauthbearer.jwks.endpoint.url",
        "sasl.oauthbearer.expected.issuer",
        "plain.connections.max.reauth.ms",
        "connections.max.reauth.ms",
        "ssl.allow.dn.changes",
        "ssl.principal.mapping.rules",
    ] {
        let name = name(own);
        let refused = format!(
            "INVALID_REQUEST Cannot update these configs at default cluster level, broker id must be specified: [{name}]"
        );
        assert_eq!(answer("", OpKind::Set, &name, "1"), refused);
    }
    for shared in ["max.connections", "max.connection.creation.rate", "num.network.threads"] {
        assert_eq!(answer("", OpKind::Set, &name(shared), "3"), "'3'", "{shared}");
    }
}

#[test]
fn errors_about_settings_of_a_listener_are_those_of_kafka() {
    let found_by_listener = |name: &str, value: &str, why: &str| {
        format!(
            "INVALID_REQUEST Invalid value org.apache.kafka.common.config.ConfigException: Invalid value {value} for \
             configuration {name}: {why} for configuration Invalid dynamic configuration"
        )
    };
    let class = "Class a.B could not be found.";
    for name in [
        "plain.sasl.login.class",
        "plain.sasl.login.callback.handler.class",
        "sasl.login.callback.handler.class",
        "sasl.server.callback.handler.class",
        "scram-sha-256.sasl.server.callback.handler.class",
        "sasl.client.callback.handler.class",
        "oauthbearer.sasl.oauthbearer.jwt.validator.class",
        "sasl.oauthbearer.jwt.validator.class",
    ] {
        let setting = &name[name.find("sasl.").unwrap()..];
        let found = answer("1", OpKind::Set, &format!("listener.name.aa.{name}"), "a.B");
        assert_eq!(found, found_by_listener(setting, "a.B", class), "{name}");
    }
    for (name, setting, kind) in [
        ("sasl.server.max.receive.size", "sasl.server.max.receive.size", "INT"),
        ("plain.connections.max.reauth.ms", "connections.max.reauth.ms", "LONG"),
        ("connections.max.reauth.ms", "connections.max.reauth.ms", "LONG"),
        ("plain.sasl.login.refresh.window.factor", "sasl.login.refresh.window.factor", "DOUBLE"),
    ] {
        let found = answer("1", OpKind::Set, &format!("listener.name.aa.{name}"), "x");
        assert_eq!(found, found_by_listener(setting, "x", &format!("Not a number of type {kind}")), "{name}");
    }
    for name in ["ssl.engine.factory.class", "principal.builder.class"] {
        for prefix in ["", "listener.name.aa.", "listener.name.no."] {
            let found = answer("1", OpKind::Set, &format!("{prefix}{name}"), "a.B");
            assert_eq!(found, format!("INVALID_REQUEST Invalid value a.B for configuration {name}: {class}"));
        }
    }
    let found = answer("1", OpKind::Set, "listener.name.aa.sasl.login.refresh.window.factor", "x");
    let expect = "INVALID_REQUEST Invalid value x for configuration sasl.login.refresh.window.factor: \
                  Not a number of type DOUBLE";
    assert_eq!(found, expect);
}
