//! The compose files that courses show, ZooKeeper and Kafka UI included, and the commands that they go on with.
//!
//! ZooKeeper's image has a stand-in, for nobody asks it anything. Kafka UI's part is played by a Java AdminClient in a
//! container of its own, which asks what Kafka UI asks when it starts.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use ottla::client::Client;

use crate::docker::compose::Project;
use crate::docker::engine::{IMAGE, is_here, run_for, say, succeeds};
use crate::harness::trials;
use crate::java::java;
use libtest_mimic::Trial;

/// A Java to run in a container.
pub const JAVA_IMAGE: &str = "ottla-test-java";

async fn with_zookeeper_and_kafka_ui() {
    if let Some(project) = start("examples/zookeeper-and-ui.yaml") {
        check_from_the_host(&project).await;
        // Before topics go, which it may be about to ask for.
        project.wait_for_success("kafka-ui");
        check_commands(&project);
    }
}

async fn with_topics_created_by_use() {
    if let Some(project) = start("examples/zookeeper-and-auto-create.yaml") {
        check_from_the_host(&project).await;
        let client = Client::connect(&project.published("kafka", "9092")).await.unwrap();
        let view = client.metadata_with(Some(&["by-use"]), true).await.unwrap();
        assert_eq!((view.topics[0].error_code, view.topics[0].partitions.len()), (0, 1));
        project.wait_for_success("kafka-ui");
        check_commands(&project);
    }
}

async fn ours() {
    if let Some(project) = start("compose.yaml") {
        check_from_the_host(&project).await;
        project.wait_for_success("kafka-ui");
    }
}

/// Brings a file's services up, with a stand-in for those that are not Kafka.
fn start(file: &str) -> Option<Project> {
    if !is_here() {
        return None;
    }
    let java = java()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/external/docker/java/KafkaUi.java");
    let classes = java.compile("kafka-ui", &[source], &java.libs("today"));
    let libs = java.libs("today");
    let libs = libs.trim_end_matches("/*");
    make_java_image();
    let zookeeper = if file == "compose.yaml" {
        String::new()
    } else {
        format!(
            "  zookeeper:\n    image: {IMAGE}\n    command: sleep 1000\n    healthcheck: {{disable: true}}\n    ports: !override []\n"
        )
    };
    let replaced = format!(
        "services:
{zookeeper}
  kafka:
    image: {IMAGE}
    ports: !override [\"127.0.0.1::9092\"]
  kafka-ui:
    image: {JAVA_IMAGE}
    ports: !override []
    volumes: [\"{libs}:/libs:ro\", \"{classes}:/classes:ro\"]
    environment: {{JAVA_TOOL_OPTIONS: \"-Xmx128m -XX:TieredStopAtLevel=1 -Dorg.slf4j.simpleLogger.defaultLogLevel=warn\"}}
    command: [java, -cp, \"/classes:/libs/*\", KafkaUi]
",
        classes = classes.display(),
    );
    let project = Project::up(file, &replaced);
    project.wait_until_ready("kafka");
    Some(project)
}

/// Clients of the host are told what the file says.
async fn check_from_the_host(project: &Project) {
    let client = Client::connect(&project.published("kafka", "9092")).await.unwrap();
    let view = client.metadata(Some(&[])).await.unwrap();
    assert_eq!((view.brokers[0].host.as_str(), view.brokers[0].port), ("localhost", 9092));
}

/// What the courses run by docker exec.
fn check_commands(project: &Project) {
    let topics = |args: &[&str]| {
        project.exec("kafka", &[&["kafka-topics", "--bootstrap-server", "localhost:9092"], args].concat())
    };
    let create = ["--create", "--topic", "my-topic", "--partitions", "3", "--replication-factor", "1"];
    assert_eq!(topics(&create), "Created topic my-topic.");
    let create = ["--create", "--topic", "orders", "--partitions", "6", "--replication-factor", "3"];
    assert_eq!(topics(&create).lines().last(), Some("Created topic orders."));
    let listed = topics(&["--list"]);
    assert!(listed.lines().any(|line| line == "my-topic") && listed.lines().any(|line| line == "orders"), "{listed}");
    let described = topics(&["--describe", "--topic", "orders"]);
    assert!(described.starts_with("Topic: orders\t") && described.contains("PartitionCount: 6\t"), "{described}");
    topics(&["--alter", "--topic", "orders", "--partitions", "12"]);
    let described = topics(&["--describe", "--topic", "orders"]);
    assert_eq!(described.lines().count(), 13, "{described}");
    topics(&["--delete", "--topic", "orders"]);
    assert!(!topics(&["--list"]).contains("orders"));
    let groups = project.exec("kafka", &["kafka-consumer-groups", "--bootstrap-server", "localhost:9092", "--list"]);
    assert_eq!(groups, "");
}

/// Debian with a Java; made once an engine.
fn make_java_image() {
    static MADE: OnceLock<()> = OnceLock::new();
    MADE.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/external/docker/java");
        let mut build = Command::new("docker");
        say("making an image with a Java");
        build.args(["build", "--quiet", "--tag", JAVA_IMAGE, "--file"]).arg(folder.join("Dockerfile")).arg(folder);
        succeeds(run_for(&mut build, Duration::from_secs(600)));
    });
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio: with_zookeeper_and_kafka_ui, with_topics_created_by_use, ours
    ]
}
