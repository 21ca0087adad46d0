use super::*;

const MAP: &str = "PLAINTEXT:PLAINTEXT,SSL:SSL,INTERNAL:PLAINTEXT,PLAINTEXT_HOST:PLAINTEXT,BROKER:PLAINTEXT";

fn resolve_with(listeners: Option<&str>, advertised: Option<&str>) -> Result<Listeners, String> {
    resolve(ListenerSettings { listeners, advertised, protocol_map: MAP, controllers: "CONTROLLER" })
}

/// Compares listeners as `NAME bind-host:port -> advertised-host:port`; `*` means all addresses, and `?` means that the
/// value is not known yet.
fn check(listeners: Option<&str>, advertised: Option<&str>, expect: &[&str]) {
    let resolved = resolve_with(listeners, advertised).unwrap();
    let shown: Vec<_> = resolved.listeners.iter().map(show).collect();
    assert_eq!(shown, expect);
}

fn show(listener: &Listener) -> String {
    let bind = match &listener.bind.host {
        BindHost::Any => "*",
        BindHost::AnyV4 => "*v4",
        BindHost::Named(host) => host,
    };
    let host = listener.advertised.host.as_deref().unwrap_or("?");
    let port = listener.advertised.port.map_or("?".to_owned(), |port| port.to_string());
    format!("{} {bind}:{} -> {host}:{port}", listener.name, listener.bind.port)
}

fn check_error(listeners: Option<&str>, advertised: Option<&str>, expect: &str) {
    assert_eq!(resolve_with(listeners, advertised).unwrap_err(), expect);
}

#[test]
fn unconfigured_broker_has_the_default_listener() {
    check(None, None, &["PLAINTEXT *:9092 -> ?:?"]);
    assert_eq!(resolve_with(None, None).unwrap(), Listeners::default());
}

#[test]
fn hosts_are_bound_and_advertised() {
    check(Some("PLAINTEXT://:9092"), None, &["PLAINTEXT *:9092 -> ?:?"]);
    check(Some("PLAINTEXT://[::]:0"), None, &["PLAINTEXT *:0 -> ?:?"]);
    check(Some("PLAINTEXT://0.0.0.0:9092"), None, &["PLAINTEXT *v4:9092 -> ?:?"]);
    check(Some("PLAINTEXT://localhost:9092"), None, &["PLAINTEXT localhost:9092 -> localhost:?"]);
    check(Some("PLAINTEXT://[::1]:9092"), None, &["PLAINTEXT ::1:9092 -> ::1:?"]);
    check(Some("plaintext://Kafka-1.example:9092"), None, &["PLAINTEXT Kafka-1.example:9092 -> Kafka-1.example:?"]);
}

#[test]
fn controller_listeners_and_trailing_commas_are_skipped() {
    check(
        Some("INTERNAL://:29092, PLAINTEXT_HOST://0.0.0.0:9092 ,CONTROLLER://:9093,"),
        Some("INTERNAL://kafka:29092,PLAINTEXT_HOST://localhost:9092,"),
        &["INTERNAL *:29092 -> kafka:29092", "PLAINTEXT_HOST *v4:9092 -> localhost:9092"],
    );
    let resolved = resolve_with(Some("PLAINTEXT://:1,CONTROLLER://:2"), None).unwrap();
    assert_eq!((resolved.controller_listeners, resolved.notices), (vec!["CONTROLLER".to_owned()], vec![]));
}

#[test]
fn listeners_are_derived_from_advertised_listeners() {
    check(
        None,
        Some("PLAINTEXT://kafka:29092,PLAINTEXT_HOST://localhost:9092"),
        &["PLAINTEXT *:29092 -> kafka:29092", "PLAINTEXT_HOST *:9092 -> localhost:9092"],
    );
}

#[test]
fn wildcard_address_is_not_advertised() {
    check(Some("PLAINTEXT://:9092"), Some("PLAINTEXT://0.0.0.0:9092"), &["PLAINTEXT *:9092 -> ?:9092"]);
    let resolved = resolve_with(None, Some("PLAINTEXT://:9092")).unwrap();
    assert!(resolved.notices[0].contains("clients can't connect to PLAINTEXT://:9092"), "{:?}", resolved.notices);
}

#[test]
fn invalid_listeners_are_rejected_with_the_reason() {
    let too_large = "listeners: \"PLAINTEXT://h:70000\": the port 70000 is more than 65535";
    check_error(Some("PLAINTEXT://h:70000"), None, too_large);
    check_error(
        Some("FOO://:1"),
        None,
        "listeners: FOO has no protocol; add FOO:SSL (or PLAINTEXT, SASL_PLAINTEXT, SASL_SSL) to listener.security.protocol.map",
    );
    check_error(Some("PLAINTEXT://:1,PLAINTEXT://:2"), None, "listeners: the name PLAINTEXT is listed twice");
    check_error(Some("PLAINTEXT://:1,BROKER://:1"), None, "listeners: PLAINTEXT and BROKER both use port 1");
    check_error(Some("PLAINTEXT://:1"), Some("BROKER://h:1"), "advertised.listeners: BROKER is not among listeners");
    let none = "listeners: there is no client listener; add one such as PLAINTEXT://:9092";
    check_error(Some("CONTROLLER://:9093"), None, none);
}

#[test]
fn invalid_protocol_map_is_rejected() {
    let settings = ListenerSettings { listeners: None, advertised: None, protocol_map: "A:B", controllers: "" };
    let allowed = "PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL";
    let expect = format!("listener.security.protocol.map: \"A:B\" is not NAME:PROTOCOL ({allowed})");
    assert_eq!(resolve(settings).unwrap_err(), expect);
}

#[test]
fn port_flag_replaces_the_first_client_listeners_port() {
    let check = |listeners, advertised, port, expect: &str| {
        let settings = ListenerSettings { listeners, advertised, protocol_map: MAP, controllers: "CONTROLLER" };
        assert_eq!(with_port(settings, port).unwrap(), expect);
    };
    check(None, None, 0, "PLAINTEXT://:0");
    check(None, Some("A://h:1,B://h:2"), 7, "A://:7,B://:2");
    check(Some("CONTROLLER://:9093,A://[::1]:1,B://h:2"), None, 5, "CONTROLLER://:9093,A://[::1]:5,B://h:2");
}
