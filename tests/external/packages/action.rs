//! The action for GitHub's runners: what its step runs.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::dist::{Made, files, root, stand_in};
use crate::harness::trials;
use libtest_mimic::Trial;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A runner's directory, and the broker that the step started in it.
struct Runner {
    dir: TempDir,
}

impl Runner {
    /// Runs the step with these inputs on a new runner; returns the runner, whether the step succeeded, and its output.
    fn run(inputs: &[(&str, &str)]) -> (Runner, bool, String) {
        let made = Made::new(&["wheel"], stand_in());
        let runner = Runner { dir: TempDir::with_prefix("ottla-runner-").unwrap() };
        let (succeeded, text) = runner.run_step(&made, inputs);
        (runner, succeeded, text)
    }

    fn run_step(&self, made: &Made, inputs: &[(&str, &str)]) -> (bool, String) {
        let mut command = Command::new("bash");
        command.arg(root().join("src/packages/github-action/start")).env("INPUT_WHEEL", made.file("wheel", ".whl"));
        command.env("RUNNER_TEMP", self.dir.path()).env("PIP_NO_INDEX", "1").env_remove("PIP_FIND_LINKS");
        for name in ["GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_ENV"] {
            command.env(name, self.dir.path().join(name));
        }
        // The action's own default, which the machine may have in use.
        command.env("INPUT_PORT", "0").envs(inputs.iter().copied());
        let output = command.stdin(Stdio::null()).output().unwrap();
        let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        (output.status.success(), text)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        for file in files(&self.dir.path().join("ottla")).iter().filter(|file| file.ends_with("ready.json")) {
            let ready: serde_json::Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
            let pid = ready["pid"].as_i64().and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?)).unwrap();
            kill_process(pid, Signal::TERM).unwrap();
            common::wait_until("the broker of the action to stop", || !file.exists());
        }
    }
}

fn step_starts_a_broker_and_passes_its_address_on() {
    let inputs = [("INPUT_TOPICS", "orders:3 bills"), ("INPUT_SETTINGS", "num.partitions=5\n\nlog.retention.hours=1")];
    let (runner, succeeded, text) = Runner::run(&inputs);
    assert!(succeeded, "{text}");
    let outputs = runner.read("GITHUB_OUTPUT");
    let servers = outputs.lines().find_map(|line| line.strip_prefix("bootstrap-servers=")).unwrap();
    assert!(outputs.contains("admin-url=http://"), "{outputs}");
    assert!(runner.read("GITHUB_ENV").contains(&format!("OTTLA_BOOTSTRAP_SERVERS={servers}\n")));
    // Later steps have the program on the PATH. The one of this test does not see by which name it is run.
    let path = runner.read("GITHUB_PATH");
    let path = Path::new(path.trim_end());
    let describe = ["--bootstrap-server", servers, "--describe"];
    let topics = Command::new(path.join("ottla")).arg("kafka-topics").args(describe).output().unwrap();
    let topics = format!("{}{}", String::from_utf8_lossy(&topics.stdout), String::from_utf8_lossy(&topics.stderr));
    assert!(topics.contains("Topic: orders") && topics.contains("PartitionCount: 3"), "{topics}");
    assert!(topics.contains("Topic: bills") && topics.contains("PartitionCount: 5"), "{topics}");
    // The job keeps its own python and pip.
    let names = files(path).into_iter().map(|file| file.file_name().unwrap().to_string_lossy().into_owned());
    let (tools, others): (Vec<_>, Vec<_>) = names.partition(|name| name.starts_with("kafka-"));
    assert_eq!((tools.is_empty(), others), (false, vec!["ottla".to_owned()]));
}

fn job_with_two_brokers_has_the_addresses_of_both_and_no_settings_of_its_environment() {
    let made = Made::new(&["wheel"], stand_in());
    let runner = Runner { dir: TempDir::with_prefix("ottla-runner-").unwrap() };
    for topic in ["first", "second"] {
        let inputs = [("INPUT_TOPICS", topic), ("KAFKA_NUM_PARTITIONS", "none"), ("RUST_LOG", "nonsense=")];
        let (succeeded, text) = runner.run_step(&made, &inputs);
        assert!(succeeded, "{text}");
    }
    // In the test both steps have the same file of outputs.
    let outputs = runner.read("GITHUB_OUTPUT");
    let servers: Vec<&str> = outputs.lines().filter_map(|line| line.strip_prefix("bootstrap-servers=")).collect();
    assert!(servers.len() == 2 && servers[0] != servers[1], "{outputs}");
    for (servers, topic) in servers.into_iter().zip(["first", "second"]) {
        let list = ["kafka-topics", "--bootstrap-server", servers, "--list"];
        let topics = Command::new(common::ottla()).args(list).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&topics.stdout).trim(), topic);
    }
}

fn step_with_wrong_settings_fails_with_the_brokers_line() {
    let (_runner, succeeded, text) = Runner::run(&[("INPUT_SETTINGS", "num.partition=5")]);
    assert!(!succeeded);
    assert!(text.contains("::error::Ottla did not start") && text.contains("num.partition"), "{text}");
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: step_starts_a_broker_and_passes_its_address_on,
            job_with_two_brokers_has_the_addresses_of_both_and_no_settings_of_its_environment, step_with_wrong_settings_fails_with_the_brokers_line,
    ]
}
