//! A compose file's services on the engine, gone when dropped.

use std::path::{Path, PathBuf};
use std::process::Output;

use tempfile::TempDir;

use crate::docker::engine::{IMAGE, LABEL, docker, docker_says, succeeds, text, unique};
use common::wait_until;

/// Services that run.
pub struct Project {
    name: String,
    files: Vec<PathBuf>,
    _dir: TempDir,
}

impl Project {
    /// Starts the services of a file in `docker/`, some of whose keys another file replaces: images that are not to be
    /// pulled, and ports that may be taken.
    pub fn up(file: &str, replaced: &str) -> Project {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let other = dir.path().join("replaced.yaml");
        std::fs::write(&other, replaced).expect("a file");
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docker").join(file);
        let project = Project { name: unique("p"), files: vec![file, other], _dir: dir };
        succeeds(project.compose(&["up", "--detach", "--no-build", "--quiet-pull"]));
        project
    }

    /// Waits until a service has written this to stdout.
    pub fn wait_until_ready(&self, service: &str) {
        wait_until(&format!("{service} to be ready"), || self.logs(service).contains("Kafka Server started"));
    }

    /// What a service wrote so far.
    pub fn logs(&self, service: &str) -> String {
        text(&self.compose(&["logs", "--no-log-prefix", "--no-color", service]).stdout)
    }

    /// Runs a command in a service that must succeed; what it wrote to stdout.
    pub fn exec(&self, service: &str, command: &[&str]) -> String {
        succeeds(self.compose(&[&["exec", "--no-TTY", service], command].concat()))
    }

    /// Runs a command in a container of its own beside the services; what it wrote to stdout.
    pub fn run_beside(&self, command: &[&str]) -> String {
        let network = format!("--network={}_default", self.name);
        docker_says(&[&["run", "--rm", "--label", LABEL, &network, IMAGE], command].concat())
    }

    /// Where a service's port is published.
    pub fn published(&self, service: &str, port: &str) -> String {
        succeeds(self.compose(&["port", service, port]))
    }

    /// Waits until a service has ended by itself, with success.
    pub fn wait_for_success(&self, service: &str) {
        let container = succeeds(self.compose(&["ps", "--all", "--quiet", service]));
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
