//! The services of a compose file on the Docker engine, removed when dropped.

use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use crate::docker::engine::{IMAGE, LABEL, docker, docker_stdout, stdout_of_success, text, unique};
use common::wait_until;

/// Running services of a compose file.
pub struct Project {
    name: String,
    files: Vec<PathBuf>,
    _dir: TempDir,
}

impl Project {
    /// Starts the services of a file in `docker/`. `overrides` is a compose file that replaces some of its keys: images
    /// that must not be pulled, and ports that may be in use.
    pub fn up(file: &str, overrides: &str) -> Project {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let other = dir.path().join("overrides.yaml");
        std::fs::write(&other, overrides).expect("a file");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker").join(file);
        let project = Project { name: unique("p"), files: vec![file, other], _dir: dir };
        stdout_of_success(project.compose(&["up", "--detach", "--no-build", "--quiet-pull"]));
        project
    }

    /// Waits until a service has written the ready line to stdout.
    pub fn wait_until_ready(&self, service: &str) {
        wait_until(&format!("{service} to be ready"), || self.logs(service).contains("Kafka Server started"));
    }

    /// Waits until the health check of a service reports `healthy`.
    pub fn wait_until_healthy(&self, service: &str) {
        let container = self.container(service);
        let state = || docker_stdout(&["inspect", "--format", "{{.State.Health.Status}}", &container]);
        wait_until(&format!("{service} to be healthy"), || state() == "healthy");
    }

    /// Returns the id of a service's container.
    pub fn container(&self, service: &str) -> String {
        stdout_of_success(self.compose(&["ps", "--all", "--quiet", service]))
    }

    /// Returns what a service has written so far.
    pub fn logs(&self, service: &str) -> String {
        text(&self.compose(&["logs", "--no-log-prefix", "--no-color", service]).stdout)
    }

    /// Runs a command in a service, asserts that it stdout_of_success, and returns its stdout.
    pub fn exec(&self, service: &str, command: &[&str]) -> String {
        stdout_of_success(self.compose(&[&["exec", "--no-TTY", service], command].concat()))
    }

    /// Runs a command in a separate container on the network of the services, and returns its stdout.
    pub fn run_beside(&self, command: &[&str]) -> String {
        let network = format!("--network={}_default", self.name);
        docker_stdout(&[&["run", "--rm", "--label", LABEL, &network, IMAGE], command].concat())
    }

    /// Returns the host address that a service's port is published at.
    pub fn published(&self, service: &str, port: &str) -> String {
        stdout_of_success(self.compose(&["port", service, port]))
    }

    /// Waits until a service has exited with code 0.
    pub fn wait_for_success(&self, service: &str) {
        let container = self.container(service);
        let state = || {
            let state = docker(&["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", &container]);
            text(&state.stdout)
        };
        wait_until(&format!("{service} to end"), || state().starts_with("exited"));
        assert_eq!(state().trim_end(), "exited 0", "{}", self.logs(service));
    }

    pub fn compose(&self, command: &[&str]) -> Output {
        let files = self.files.iter().flat_map(|file| ["--file", file.to_str().expect("a path")]);
        let own = ["compose", "--project-name", &self.name];
        docker(&own.into_iter().chain(files).chain(command.iter().copied()).collect::<Vec<_>>())
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- the services wrote\n{}", text(&self.compose(&["logs", "--no-color"]).stdout));
        }
        self.compose(&["down", "--volumes", "--remove-orphans", "--timeout", "2"]);
    }
}
