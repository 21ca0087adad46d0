//! Testcontainers' modules for Redpanda, unmodified, with this image in place of their default one; and compose files and
//! scripts for Redpanda's image.

use std::fs;
use std::process::Command;

use crate::docker::engine::{Container, IMAGE, docker_available, print_progress, run_for, stdout_of_success, text};
use crate::docker::testcontainers::{ENVIRONMENT, TIMEOUT, java_command, source};
use crate::go::go_is_installed;
use crate::harness::trials;
use crate::npm;
use crate::python::python_of;
use common::python_env::TESTCONTAINERS;
use common::wait_until;
use libtest_mimic::Trial;

/// Runs a program that prints a line for each container.
fn run(command: &mut Command, containers: usize) {
    command.envs(ENVIRONMENT).env("TESTCONTAINERS_CONNECTION_MODE", "docker_host");
    let output = stdout_of_success(run_for(command, TIMEOUT));
    assert_eq!(output.lines().count(), containers, "{output}");
    print_progress(&output.replace('\n', "; "));
}

fn redpanda_container_of_python_serves_kafka_and_the_schema_registry() {
    if !docker_available() {
        return;
    }
    let Some(python) = python_of(&TESTCONTAINERS) else { return };
    run(Command::new(python).arg(source("python/redpanda.py")).arg(IMAGE), 1);
}

/// Without security, and with users of the admin API, SASL, an authorizer and a password at the schema registry.
fn redpanda_container_of_java_serves_without_and_with_security() {
    if !docker_available() {
        return;
    }
    let Some(mut command) = java_command("Redpanda.java") else { return };
    run(&mut command, 2);
}

fn redpanda_module_of_go_serves_without_and_with_security() {
    if !docker_available() || !go_is_installed() {
        return;
    }
    run(Command::new("go").args(["run", ".", IMAGE]).current_dir(source("go")), 2);
}

fn redpanda_container_of_node_serves_all_ports() {
    if !docker_available() {
        return;
    }
    let manifest = fs::read_to_string(source("node/package.json")).unwrap();
    let Some(directory) = npm::installed("testcontainers", &manifest) else { return };
    // Modules are found from the directory of the program.
    fs::copy(source("node/redpanda.js"), directory.join("redpanda.js")).unwrap();
    run(Command::new("node").arg("redpanda.js").arg(IMAGE).current_dir(&directory), 1);
}

/// The command of compose files, and what their health checks and scripts run.
fn command_of_compose_files_starts_the_broker_and_rpk_creates_topics() {
    if !docker_available() {
        return;
    }
    let command = "redpanda start --overprovisioned --smp 1 --memory 1G --reserve-memory 0M --node-id 0 --check=false \
                   --set redpanda.auto_create_topics_enabled=false \
                   --kafka-addr internal://0.0.0.0:29092,external://0.0.0.0:9092 \
                   --advertise-kafka-addr internal://redpanda:29092,external://localhost:9092 \
                   --schema-registry-addr internal://0.0.0.0:18081,external://0.0.0.0:8081";
    let broker = Container::run(&[], &command.split_whitespace().collect::<Vec<_>>());
    wait_until("Redpanda's ready line", || broker.logs().0.contains("Successfully started Redpanda!"));
    let check = |script: &str, expect: &str| {
        let output = broker.exec(&["bash", "-c", script]);
        assert!(output.status.success(), "{script}: {output:?}");
        assert_eq!(text(&output.stdout).trim_end(), expect, "{script}");
    };
    check("rpk cluster health | grep -cE 'Healthy:.+true'", "1");
    check("rpk topic create orders returns -p 3 -r 1", "TOPIC    STATUS\norders   OK\nreturns  OK");
    check("rpk topic list --brokers localhost:29092", "orders\nreturns");
    check("rpk topic delete orders -X brokers=localhost:9092", "TOPIC   STATUS\norders  OK");
    check("rpk cluster info | head -c 14", "localhost:9092");
    check(
        "rpk topic create returns -p3; echo $?",
        "TOPIC    STATUS\nreturns  Error while executing topic command : Topic 'returns' already exists.\n1",
    );
    check(
        "rpk generate 2>&1; echo $?",
        "rpk: a command is missing; here are: redpanda start, cluster health, cluster info, topic create, topic list, topic delete\n1",
    );
    check("wget -q -O - http://localhost:18081/subjects", "[]");
    check("wget -q -O - http://localhost:8082/brokers", "{\"brokers\":[0]}");
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain:
            redpanda_container_of_python_serves_kafka_and_the_schema_registry,
            redpanda_container_of_java_serves_without_and_with_security,
            redpanda_module_of_go_serves_without_and_with_security,
            redpanda_container_of_node_serves_all_ports,
            command_of_compose_files_starts_the_broker_and_rpk_creates_topics
    ]
}
