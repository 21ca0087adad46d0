//! Testcontainers' own modules for Kafka, unmodified, with this image in place of the one each knows.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::docker::engine::{IMAGE, is_here, run_for, say, succeeds};
use crate::harness::trials;
use crate::java::{self, java};
use crate::python::python_of;
use common::python_env::TESTCONTAINERS;
use libtest_mimic::Trial;

/// For several containers one after the other, on a machine with much else to do.
const PATIENCE: Duration = Duration::from_secs(300);

/// Without a settings file of the user's, and without Ryuk, which would have to be pulled.
const ENVIRONMENT: [(&str, &str); 2] = [("TESTCONTAINERS_RYUK_DISABLED", "true"), ("TC_HOST", "localhost")];

fn python() {
    if !is_here() {
        return;
    }
    let Some(python) = python_of(&TESTCONTAINERS) else { return };
    let mut command = Command::new(python);
    command.arg(source("python/containers.py")).arg(IMAGE).envs(ENVIRONMENT);
    command.env("TESTCONTAINERS_CONNECTION_MODE", "docker_host");
    let said = succeeds(run_for(&mut command, PATIENCE));
    assert_eq!(said.lines().count(), 2, "{said}");
    say(&said.replace('\n', "; "));
}

fn java_containers() {
    if !is_here() {
        return;
    }
    let Some(java) = java() else { return };
    let libs = java.fetch("testcontainers", &source("java/pom.xml"));
    let class_path = format!("{}/testcontainers/*:{}", libs.display(), java.libs("today"));
    let mut command = java::jvm(&class_path);
    command.arg(source("java/Containers.java")).arg(IMAGE).envs(ENVIRONMENT);
    let said = succeeds(run_for(&mut command, PATIENCE));
    assert_eq!(said.lines().count(), 5, "{said}");
    say(&said.replace('\n', "; "));
}

fn source(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/external/docker").join(path)
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: python, java_containers
    ]
}
