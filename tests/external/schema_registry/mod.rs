//! Unmodified clients of the schema registry for Node.js and Go, on one broker. Those for Python are in
//! [`crate::python`].

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::go::go_is_installed;
use crate::harness::trials;
use crate::java::run as run_to_end;
use crate::npm;
use common::Broker;
use libtest_mimic::Trial;

fn source(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/external/schema_registry")).join(name)
}

fn start() -> (Broker, String) {
    let broker = Broker::with().arg("--registry-port").arg("0").start();
    let url = broker.ready().schema_registry_url.clone().unwrap();
    (broker, url)
}

/// `@confluentinc/schemaregistry` and `@kafkajs/confluent-schema-registry`.
fn npm_clients_pass() {
    let manifest = fs::read_to_string(source("node/package.json")).unwrap();
    let Some(directory) = npm::installed("schema-registry", &manifest) else { return };
    let (_broker, url) = start();
    let mut node = Command::new("node");
    node.arg(source("node/registry.js")).arg(url).env("NODE_PATH", directory.join("node_modules"));
    let output = run_to_end(&mut node);
    assert_eq!(output.matches("ok ").count(), 8, "{output}");
}

/// `github.com/twmb/franz-go/pkg/sr`.
fn franz_go_client_passes() {
    if !go_is_installed() {
        return;
    }
    let (_broker, url) = start();
    let mut go = Command::new("go");
    go.args(["test", "-count=1", "-v", "-timeout", "100s", "./..."]).current_dir(source("go"));
    let output = run_to_end(go.env("REGISTRY", url));
    assert_eq!(output.matches("--- PASS").count(), 5, "{output}");
}

pub fn tests() -> Vec<Trial> {
    trials![plain: npm_clients_pass, franz_go_client_passes]
}
