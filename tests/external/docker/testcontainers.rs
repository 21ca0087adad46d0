//! Testcontainers' Kafka modules, unmodified, with this image in place of their default one.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::docker::engine::{IMAGE, docker_available, print_progress, run_for, stdout_of_success};
use crate::harness::trials;
use crate::java::{self, java};
use crate::python::python_of;
use common::python_env::TESTCONTAINERS;
use libtest_mimic::Trial;

/// Limit for several containers in sequence on a busy machine.
pub const TIMEOUT: Duration = Duration::from_secs(300);

/// Disables Ryuk, whose image would have to be pulled, and the user's settings file.
pub const ENVIRONMENT: [(&str, &str); 2] = [("TESTCONTAINERS_RYUK_DISABLED", "true"), ("TC_HOST", "localhost")];

fn python() {
    if !docker_available() {
        return;
    }
    let Some(python) = python_of(&TESTCONTAINERS) else { return };
    let mut command = Command::new(python);
    command.arg(source("python/containers.py")).arg(IMAGE).envs(ENVIRONMENT);
    command.env("TESTCONTAINERS_CONNECTION_MODE", "docker_host");
    let output = stdout_of_success(run_for(&mut command, TIMEOUT));
    assert_eq!(output.lines().count(), 2, "{output}");
    print_progress(&output.replace('\n', "; "));
}

fn java_containers() {
    if !docker_available() {
        return;
    }
    let Some(mut command) = java_command("Containers.java") else { return };
    command.envs(ENVIRONMENT);
    let output = stdout_of_success(run_for(&mut command, TIMEOUT));
    assert_eq!(output.lines().count(), 5, "{output}");
    print_progress(&output.replace('\n', "; "));
}

/// Returns the command that runs one of the Java programs with the image; without Java and Maven the test is skipped.
pub fn java_command(program: &str) -> Option<Command> {
    let java = java()?;
    let libs = java.fetch("testcontainers", &source("java/pom.xml"));
    let class_path = format!("{}/testcontainers/*:{}", libs.display(), java.libs("today"));
    let mut command = java::jvm(&class_path);
    command.arg(source("java").join(program)).arg(IMAGE);
    Some(command)
}

pub fn source(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/external/docker").join(path)
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: python, java_containers
    ]
}
