//! Who may send requests, and how large they may be.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::http::{Answer, Registry};
use super::{AVRO, with_registry};
use common::Broker;

fn refused(answer: &Answer) -> (u16, &Value) {
    assert!(answer.head.contains("content-type: application/vnd.schemaregistry.v1+json\r\n"), "{}", answer.head);
    assert!(answer.body["message"].is_string(), "{answer:?}");
    (answer.status, &answer.body["error_code"])
}

#[test]
fn refusals_of_the_listener_have_the_form_of_the_registrys_errors() {
    let broker = with_registry().set("ottla.registry.allowed.hosts", "registry.test").start();
    let mut registry = Registry::connect(&broker);
    for host in ["schema-registry:8081", "registry.test", "127.0.0.1:1"] {
        assert_eq!(registry.call_with("GET /subjects", &[&format!("Host: {host}")], "").status, 200, "{host}");
    }
    let foreign = registry.call_with("GET /subjects", &["Host: evil.test"], "");
    assert_eq!(refused(&foreign), (403, &json!(403)));
    let body = json!({ "schema": AVRO }).to_string();
    let page = ["Host: localhost", "Origin: http://evil.test"];
    assert_eq!(refused(&registry.call_with("POST /subjects/s/versions", &page, &body)), (403, &json!(403)));
    assert_eq!(registry.get("GET /subjects"), json!([]));
    // A body above 64 KiB, then one above the limit.
    let doc = "d".repeat(1 << 17);
    let schema = format!(r#"{{"type":"record","name":"R","doc":"{doc}","fields":[]}}"#);
    assert_eq!(registry.register("large", &schema), 1);
    let schema = format!(r#"{{"type":"record","name":"R","doc":"{}","fields":[]}}"#, "d".repeat(1 << 20));
    let body = json!({ "schema": schema }).to_string();
    assert_eq!(refused(&registry.call("POST /subjects/larger/versions", &body)), (422, &json!(42209)));
    let body = " ".repeat((8 << 20) + 1);
    assert_eq!(refused(&registry.call("POST /subjects/s/versions", &body)), (413, &json!(413)));
}

#[test]
fn registry_with_users_serves_only_them() {
    let warning = "the schema registry can be reached from other machines without a password";
    let broker = Broker::with().set("ottla.registry.listener", "0.0.0.0:0").start();
    assert!(broker.log().contains(warning));
    // Without a warning, because clients of the broker need no login either.
    let broker = Broker::with().set("ottla.registry.optional.port", "0").start();
    assert!(broker.ready().schema_registry_url.is_some() && !broker.log().contains(warning));
    let url = broker.ready().schema_registry_url.clone().unwrap();
    let (_, port) = url.rsplit_once(':').unwrap();
    let other = Broker::with().set("ottla.registry.optional.port", port).start();
    assert_eq!(other.ready().schema_registry_url, None);
    other.wait_for_log(&format!("port {port} is in use, so there is no schema registry"));
    let broker = Broker::with()
        .set("ottla.registry.listener", "0.0.0.0:0")
        .env("KAFKA_OTTLA_REGISTRY_USERS", "ann:se:cret,bob:other")
        .start();
    assert!(!broker.log().contains(warning));
    let mut registry = Registry::connect(&broker);
    let mut get = |credential: Option<&str>| {
        let header = credential.map(|it| format!("Authorization: Basic {}", STANDARD.encode(it)));
        let headers: Vec<&str> = ["Host: localhost"].into_iter().chain(header.as_deref()).collect();
        registry.call_with("GET /subjects", &headers, "")
    };
    assert_eq!(get(Some("ann:se:cret")).status, 200);
    assert_eq!(get(Some("bob:other")).status, 200);
    for credential in [None, Some("ann:other"), Some("eve:se:cret")] {
        let answer = get(credential);
        assert_eq!(refused(&answer), (401, &json!(401)));
        assert!(answer.head.contains("www-authenticate: basic realm=\"schema registry\"\r\n"), "{}", answer.head);
    }
    assert!(!broker.log().contains("se:cret"));
}
