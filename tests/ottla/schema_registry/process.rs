//! `ottla registry`: a registry as a process of its own, before a broker that has none.

use std::net::TcpStream;

use common::{Broker, RegistryProcess, run, wait_until};
use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::AVRO;
use super::http::Registry;

fn is_leader(registry: &RegistryProcess) -> bool {
    let log = registry.log();
    log.lines().rfind(|line| line.contains("is the leader")).is_some_and(|line| line.contains("this registry"))
}

fn connect(registry: &RegistryProcess) -> Registry {
    Registry::connect_to(registry.url())
}

fn schemas(arguments: &[&str], url: &str) -> (String, bool) {
    let output = run(&[&["schemas"], arguments, &["--registry", url]].concat());
    (String::from_utf8(output.stdout).unwrap(), output.status.success())
}

#[test]
fn registries_of_a_group_elect_a_leader_and_pass_writes_on_to_it() {
    let broker = Broker::with().arg("--registry-port").arg("0").start();
    let first = RegistryProcess::start(&broker, &[("SCHEMA_REGISTRY_SCHEMA_COMPATIBILITY_LEVEL", "full")]);
    assert!(is_leader(&first), "{}", first.log());
    let second = RegistryProcess::start(&broker, &[]);
    let (mut leader, mut other) = if is_leader(&first) { (&first, &second) } else { (&second, &first) };
    wait_until("one leader", || {
        (leader, other) = if is_leader(&first) { (&first, &second) } else { (&second, &first) };
        is_leader(&first) != is_leader(&second)
    });
    // The same client may use either, and a registry inside the broker has the same topic.
    let (mut at_leader, mut at_other, mut inside) = (connect(leader), connect(other), Registry::connect(&broker));
    assert_eq!(at_other.register("a-value", AVRO), 1);
    assert_eq!(at_other.get("GET /schemas/ids/1")["schema"], json!(AVRO));
    assert_eq!(at_leader.register("b-value", r#""int""#), 2);
    assert_eq!(inside.register("c-value", r#""long""#), 3);
    assert_eq!(at_other.register("d-value", r#""string""#), 4);
    for registry in [&mut at_leader, &mut at_other, &mut inside] {
        assert_eq!(registry.get("GET /subjects/d-value/versions/1")["id"], json!(4));
        assert_eq!(registry.get("GET /schemas/ids/3")["schema"], json!(r#""long""#));
    }
    assert_eq!(connect(&first).get("GET /config"), json!({"compatibilityLevel": "FULL"}));
    let body = json!({ "schema": r#""double""# }).to_string();
    let host = format!("Host: {}", other.url().strip_prefix("http://").unwrap());
    let again = at_other.call_with("POST /subjects/e/versions", &[&host, "X-Forward: true"], &body);
    assert_eq!((again.status, &again.body["error_code"]), (500, &json!(50004)), "it is not passed on twice");

    // The registry inside the broker is no member of the group, and writes at the same time.
    let schema = |name: &str, number: usize| format!(r#"{{"type":"fixed","name":"{name}{number}","size":1}}"#);
    let register_all = |client: &mut Registry, name: &str| -> Vec<(u64, String)> {
        let all = (0..20).map(|number| schema(name, number));
        all.map(|schema| (client.register(&format!("{name}-value"), &schema), schema)).collect()
    };
    for registry in [&mut at_leader, &mut inside] {
        let none = registry.call("PUT /config", r#"{"compatibility":"NONE"}"#);
        assert_eq!(none.status, 200, "{none:?}");
    }
    let registered = std::thread::scope(|scope| {
        let one = scope.spawn(|| register_all(&mut at_leader, "p"));
        let mut all = register_all(&mut inside, "q");
        all.extend(one.join().unwrap());
        all
    });
    for (id, schema) in &registered {
        for registry in [&mut at_leader, &mut at_other, &mut inside] {
            assert_eq!(registry.get(&format!("GET /schemas/ids/{id}"))["schema"], json!(schema), "{id}");
        }
    }

    // The other one takes over when the leader has ended, and answers a request that came meanwhile.
    let (ended, left) = if is_leader(&first) { (first, second) } else { (second, first) };
    assert!(ended.end(Signal::TERM).success());
    assert!(connect(&left).register("e-value", r#""double""#) > 4);
    assert!(is_leader(&left), "{}", left.log());
    assert!(left.end(Signal::INT).success());
}

#[test]
fn registry_reads_a_topic_with_other_writers_and_refuses_a_topic_with_two_partitions() {
    let broker = Broker::with().set("ottla.create.topics", "two:2").start();
    let bootstrap = ["registry", "--bootstrap-server", broker.bootstrap_servers()];
    for (more, expect) in [
        (["--port", "0", "--set", "kafkastore.topic=two"], "must have one partition, and has 2"),
        (["--port", "0", "--set", "authentication.method=BASIC"], "authentication.method=BASIC is not supported"),
    ] {
        let output = run(&[&bootstrap[..], &more[..]].concat());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains(expect), "{expect}: {text}");
    }
    let registry =
        RegistryProcess::start(&broker, &[("SCHEMA_REGISTRY_KAFKASTORE_TOPIC", "other"), ("SCHEMA_REGISTRY_X_Y", "1")]);
    assert!(registry.log().contains("settings without effect: x.y"), "{}", registry.log());
    let mut clients: Vec<Registry> = (0..8).map(|_| connect(&registry)).collect();
    let ids: Vec<u64> = std::thread::scope(|scope| {
        let register = |(number, client): (usize, &mut Registry)| {
            let schema = format!(r#"{{"type":"fixed","name":"F{}","size":1}}"#, number % 4);
            client.register(&format!("s{number}"), &schema)
        };
        let threads: Vec<_> = clients.iter_mut().enumerate().map(|it| scope.spawn(move || register(it))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut distinct = ids.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct, [1, 2, 3, 4], "{ids:?}");
    assert!(broker.data_dir().join("other-0").is_dir());
    registry.end(Signal::KILL);
    let registry = RegistryProcess::start(&broker, &[("SCHEMA_REGISTRY_KAFKASTORE_TOPIC", "other")]);
    assert_eq!(connect(&registry).get("GET /subjects").as_array().map(Vec::len), Some(8));
    assert!(TcpStream::connect(registry.url().strip_prefix("http://").unwrap()).is_ok());
}

#[test]
fn schemas_are_managed_at_the_shell() {
    let broker = Broker::with().arg("--registry-port").arg("0").start();
    let url = broker.ready().schema_registry_url.clone().unwrap();
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name).display().to_string()
    };
    let (record, int) = (file("r.avsc", AVRO), file("i.avsc", r#""int""#));
    let message = file("m.proto", "syntax = \"proto3\"; message M { int32 a = 1; }");
    assert_eq!(schemas(&["register", "a b/c", &record], &url), ("a b/c has the id 1\n".to_owned(), true));
    assert_eq!(schemas(&["register", "m-value", &message], &url), ("m-value has the id 2\n".to_owned(), true));
    let table = "SUBJECT  VERSION  ID  TYPE\na b/c          1   1  AVRO\nm-value        1   2  PROTOBUF\n";
    assert_eq!(schemas(&[], &url), (table.to_owned(), true));
    assert_eq!(schemas(&["show", "a b/c"], &url), (format!("{AVRO}\n"), true));
    assert_eq!(schemas(&["show", "--id", "1"], &url), (format!("{AVRO}\n"), true));
    let (text, is_compatible) = schemas(&["check", "a b/c", &int], &url);
    assert!(text.starts_with("not compatible\n") && !is_compatible, "{text}");
    assert_eq!(schemas(&["check", "a b/c", &record], &url), ("compatible\n".to_owned(), true));
    let (text, _) = schemas(&["list", "--json", "--prefix", "a"], &url);
    let listed: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(listed[0]["subject"], json!("a b/c"));
    assert_eq!(listed.as_array().map(Vec::len), Some(1));
    assert_eq!(schemas(&["delete", "a b/c", "--version", "1"], &url), ("deleted from a b/c: 1\n".to_owned(), true));
    assert_eq!(schemas(&["delete", "a b/c", "--permanent"], &url), ("deleted from a b/c: 1\n".to_owned(), true));
    let output = run(&["schemas", "show", "a b/c", "--registry", &url]);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "ottla: Subject 'a b/c' not found. (error 40401)\n");
    assert_eq!(output.status.code(), Some(1));
}
