//! franz-go, in the version of the benchmark's module, against a broker: tests/external/go.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::harness::{skip, trials};
use common::Broker;
use libtest_mimic::Trial;
use tempfile::TempDir;

/// Whether Go is installed; otherwise the test is skipped.
pub fn go_is_installed() -> bool {
    let found = Command::new("go").arg("version").output().is_ok();
    if !found {
        skip("go", "Go is missing: install Go 1.26 or later");
    }
    found
}

/// Writes the files of a module in which the client has the same versions as in the benchmark's Go module.
pub fn write_module(dir: &Path, name: &str) {
    let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/kfake");
    let wanted = ["franz-go v", "franz-go/pkg/kmsg ", "compress ", "lz4/v4 "];
    let requirements = fs::read_to_string(module.join("go.mod")).unwrap();
    let requirements: String = requirements
        .lines()
        .filter(|line| wanted.iter().any(|name| line.contains(name)))
        .map(|line| format!("\t{}\n", line.trim()))
        .collect();
    fs::write(dir.join("go.mod"), format!("module {name}\n\ngo 1.26.0\n\nrequire (\n{requirements})\n")).unwrap();
    fs::copy(module.join("go.sum"), dir.join("go.sum")).unwrap();
}

fn transactions_by_franz_go_pass() {
    if !go_is_installed() {
        return;
    }
    let dir = TempDir::with_prefix("ottla-go-").unwrap();
    write_module(dir.path(), "transactions");
    fs::write(dir.path().join("transactions_test.go"), include_str!("go/transactions_test.go")).unwrap();
    let topics = ["input:3", "output:3", "decided:3"];
    let broker =
        topics.into_iter().fold(Broker::with(), |broker, topic| broker.arg("--create-topic").arg(topic)).start();
    let output = Command::new("go")
        .args(["test", "-count=1", "-v", "-timeout", "200s", "./..."])
        .current_dir(dir.path())
        .env("BOOTSTRAP", broker.bootstrap_servers())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("--- PASS").count(), 2, "{text}");
}

pub fn tests() -> Vec<Trial> {
    trials![plain: transactions_by_franz_go_pass]
}
