//! Brokers of fixtures: the ready line on stdout, and a directory of several runs that nothing is synced to.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};

use ottla::client::Client;
use rustix::process::{Pid, Signal, kill_process};

/// Starts a broker on this directory, and reads its ready line.
fn start(data_dir: &Path) -> (Child, common::Ready) {
    let mut command = common::command(&[]);
    command.args(["--ephemeral", "--port", "0", "--exit-with-parent", "--ready-file", "-"]);
    command.arg("--data-dir").arg(data_dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (process, serde_json::from_str(&line).expect("one line of JSON"))
}

#[tokio::test]
async fn named_ephemeral_directory_is_kept_at_a_signal_and_removed_with_the_parent() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    for (run, signal) in [Signal::TERM, Signal::KILL].into_iter().enumerate() {
        let (mut process, ready) = start(&data_dir);
        assert_eq!(ready.data_dir, data_dir);
        let client = Client::connect(&ready.bootstrap_servers).await.unwrap();
        assert_eq!(client.metadata(None).await.unwrap().topics.len(), run);
        client.create_topic(&format!("run-{run}"), 1, &[]).await.unwrap();
        kill_process(Pid::from_child(&process), signal).unwrap();
        // Waiting would close it before.
        let stdin = process.stdin.take();
        process.wait().unwrap();
        drop(stdin);
        assert!(data_dir.is_dir());
    }
    let (mut process, ready) = start(&data_dir);
    let client = Client::connect(&ready.bootstrap_servers).await.unwrap();
    assert_eq!(client.metadata(None).await.unwrap().topics.len(), 2);
    drop(process.stdin.take());
    assert!(process.wait().unwrap().success());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

/// As when a container or a CI job stops all its processes.
#[test]
fn named_ephemeral_directory_is_removed_if_the_parent_ends_just_after_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let (mut process, _) = start(&data_dir);
    kill_process(Pid::from_child(&process), Signal::TERM).unwrap();
    // Without the end of stdin, it would be kept; `wait` closes stdin.
    assert!(process.wait().unwrap().success());
    assert!(!data_dir.exists());
}

#[test]
fn ephemeral_directory_with_other_files_refuses_the_start_and_is_not_changed() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes"), "").unwrap();
    let output = common::run(&["--ephemeral", "--port", "0", "--data-dir", dir.path().to_str().unwrap()]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), stderr.lines().count()), (Some(2), 1), "{stderr}");
    assert!(stderr.contains("it has other files, which would be removed"), "{stderr}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn named_ephemeral_directory_is_removed_if_the_parent_ends_during_a_start() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let (mut process, _) = start(&data_dir);
    kill_process(Pid::from_child(&process), Signal::KILL).unwrap();
    let stdin = process.stdin.take();
    process.wait().unwrap();
    drop(stdin);
    assert!(data_dir.is_dir());
    // As after the end of the parent: nobody reads the ready line, and stdin has ended.
    let mut command = common::command(&[]);
    command.args(["--ephemeral", "--port", "0", "--exit-with-parent", "--ready-file", "-"]);
    command.arg("--data-dir").arg(&data_dir).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = command.spawn().unwrap();
    drop((process.stdin.take(), process.stdout.take()));
    process.wait().unwrap();
    assert!(!data_dir.exists());
}
