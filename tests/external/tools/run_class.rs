//! kafka-run-class, and errors for which Kafka's tool would print a stack trace.

use crate::harness::trials;
use common::{Broker, command, run_command};
use libtest_mimic::Trial;
use ottla::client::Client;

/// Exit code, stdout and stderr.
fn run(line: &[&str]) -> (Option<i32>, String, String) {
    let output = run_command(command(&[]).args(line));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

async fn classes_that_scripts_run_start_the_matching_tools() {
    let broker = Broker::start();
    let servers = broker.bootstrap_servers();
    Client::connect(servers).await.unwrap().create_topic("t", 2, &[]).await.unwrap();
    let offsets = (Some(0), "t:0:0\nt:1:0\n".to_owned(), String::new());
    for class in ["kafka.tools.GetOffsetShell", "org.apache.kafka.tools.GetOffsetShell"] {
        assert_eq!(run(&["kafka-run-class", class, "--bootstrap-server", servers, "--topic", "t"]), offsets, "{class}");
    }
    let as_in_old_scripts =
        ["kafka-run-class.sh", "kafka.tools.GetOffsetShell", "--broker-list", servers, "--topic", "t"];
    assert_eq!(run(&[&as_in_old_scripts[..], &["--time", "-1", "--offsets", "1"]].concat()), offsets);
    let topics = run(&["kafka-run-class", "kafka.admin.TopicCommand", "--bootstrap-server", servers, "--list"]);
    assert_eq!(topics, (Some(0), "t\n".to_owned(), String::new()));
    let named = ["kafka-run-class", "-name", "x", "-loggc", "org.apache.kafka.tools.TopicCommand"];
    assert_eq!(run(&[&named[..], &["--bootstrap-server", servers, "--list"]].concat()).1, "t\n");
}

fn unknown_class_prints_one_line() {
    let (code, out, output) = run(&["kafka-run-class", "kafka.tools.MirrorMaker", "--help"]);
    assert_eq!((code, out.as_str(), output.lines().count()), (Some(1), "", 1), "{output}");
    assert!(
        output.starts_with("Error: Could not find or load main class kafka.tools.MirrorMaker: only the classes"),
        "{output}"
    );
    let (code, _, output) = run(&["kafka-run-class"]);
    assert_eq!((code, output.starts_with("USAGE: kafka-run-class ")), (Some(1), true), "{output}");
}

async fn move_to_another_directory_is_refused_with_the_reason() {
    let broker = Broker::start();
    Client::connect(broker.bootstrap_servers()).await.unwrap().create_topic("t", 1, &[]).await.unwrap();
    let dir = tempfile::tempdir().unwrap();
    let plan = dir.path().join("plan.json");
    let json = r#"{"partitions":[{"topic":"t","partition":0,"replicas":[1],"log_dirs":["/nope"]}],"version":1}"#;
    std::fs::write(&plan, json).unwrap();
    let servers = broker.bootstrap_servers();
    let line = ["kafka-reassign-partitions", "--bootstrap-server", servers, "--execute", "--reassignment-json-file"];
    let (code, output, _) = run(&[&line[..], &[plan.to_str().unwrap()]].concat());
    assert_eq!(code, Some(1), "{output}");
    let reason = "Caused by: org.apache.kafka.common.errors.LogDirNotFoundException: ";
    assert!(output.contains("Error: Failed to alter dir for ") && output.contains(reason), "{output}");
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: unknown_class_prints_one_line;
        on_tokio:
            classes_that_scripts_run_start_the_matching_tools,
            move_to_another_directory_is_refused_with_the_reason
    ]
}
