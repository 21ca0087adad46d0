//! The schema registry of the real program, over HTTP: its routes, rules of access and limits; its topic as clients see it;
//! restarts and kill -9.

mod access;
mod consoles;
mod http;
mod process;
mod records;
mod validation;

use serde_json::json;

use common::{Broker, Options};
use http::Registry;

const AVRO: &str = r#"{"type":"record","name":"R","fields":[{"name":"a","type":"int"}]}"#;

fn with_registry() -> Options {
    Broker::with().arg("--registry-port").arg("0")
}

#[test]
fn schemas_are_registered_looked_up_and_deleted_on_one_connection() {
    let broker = with_registry().start();
    let url = broker.ready().schema_registry_url.clone().unwrap();
    assert!(url.starts_with("http://localhost:"), "{url}");
    broker.wait_for_log(&format!("schema registry {url}"));
    let mut registry = Registry::connect(&broker);
    assert_eq!(registry.get("GET /subjects"), json!([]));
    assert_eq!(registry.register("s-value", AVRO), 1);
    assert_eq!(registry.register("s-value", AVRO), 1);
    assert_eq!(registry.register("t-value", r#""string""#), 2);
    let body = json!({ "schema": AVRO }).to_string();
    let found = registry.call("POST /subjects/s-value", &body);
    assert_eq!((found.status, &found.body["version"], &found.body["id"]), (200, &json!(1), &json!(1)));
    assert!(found.head.contains("content-type: application/vnd.schemaregistry.v1+json\r\n"), "{}", found.head);
    assert_eq!(registry.get("GET /schemas/ids/1")["schema"], json!(AVRO));
    assert_eq!(registry.get("GET /subjects/s-value/versions/latest")["version"], json!(1));
    assert_eq!(registry.get("DELETE /subjects/s-value"), json!([1]));
    assert_eq!(registry.get("DELETE /subjects/s-value?permanent=true"), json!([1]));
    let missing = registry.call("GET /schemas/ids/1", "");
    assert_eq!((missing.status, &missing.body["error_code"]), (404, &json!(40403)));
    let no_route = registry.call("GET /nothing", "");
    assert_eq!((no_route.status, &no_route.body["error_code"]), (404, &json!(404)));
    let head = registry.call("HEAD /subjects", "");
    assert_eq!((head.status, head.body.is_null()), (200, true));
    let compatible = registry.call("POST /compatibility/subjects/t-value/versions/latest", r#"{"schema":"\"int\""}"#);
    assert_eq!((compatible.status, &compatible.body["is_compatible"]), (200, &json!(false)));
    assert_eq!(registry.get("GET /subjects"), json!(["t-value"]));
}

#[test]
fn settings_of_the_registry_take_effect() {
    let broker = with_registry()
        .set("ottla.registry.compatibility.level", "FULL")
        .set("ottla.registry.mode.mutability", "false")
        .set("ottla.registry.topic", "schemas-of-a-team")
        .start();
    let mut registry = Registry::connect(&broker);
    assert_eq!(registry.get("GET /config"), json!({"compatibilityLevel": "FULL"}));
    let refused = registry.call("PUT /mode", r#"{"mode":"READONLY"}"#);
    assert_eq!((refused.status, &refused.body["error_code"]), (422, &json!(42205)));
    registry.register("s", AVRO);
    assert!(broker.data_dir().join("schemas-of-a-team-0").is_dir());
    let id = registry.get("GET /v1/metadata/id");
    assert_eq!(id["scope"]["clusters"]["schema-registry-cluster"], json!("schema-registry"));
    assert!(id["scope"]["clusters"]["kafka-cluster"].as_str().is_some_and(|id| id.len() == 22), "{id}");
}
