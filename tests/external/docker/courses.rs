//! The compose files that courses use, with ZooKeeper and Kafka UI, and the commands that the courses then run.
//!
//! A stub replaces the ZooKeeper image, since no client sends it a request. A Java AdminClient in a separate container
//! replaces Kafka UI, and sends the requests that Kafka UI sends when it starts.

use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use ottla::client::Client;

use crate::docker::compose::Project;
use crate::docker::engine::{IMAGE, docker_available, print_progress, run_for, stdout_of_success};
use crate::harness::trials;
use crate::java::java;
use libtest_mimic::Trial;

/// An image with a Java runtime.
pub const JAVA_IMAGE: &str = "ottla-test-java";

async fn with_zookeeper_and_kafka_ui() {
    if let Some(project) = start("examples/zookeeper-and-ui.yaml") {
        check_from_the_host(&project).await;
        // Before topics are deleted, which it may be about to request.
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

/// Starts the services of a file, with a stub for each service that is not Kafka.
fn start(file: &str) -> Option<Project> {
    if !docker_available() {
        return None;
    }
    let java = java()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/external/docker/java/KafkaUi.java");
    let classes = java.compile("kafka-ui", &[source], &java.libs("today"));
    let libs = java.libs("today");
    let libs = libs.trim_end_matches("/*");
    build_java_image();
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

/// Clients on the host get the addresses that the compose file advertises.
async fn check_from_the_host(project: &Project) {
    let client = Client::connect(&project.published("kafka", "9092")).await.unwrap();
    let view = client.metadata(Some(&[])).await.unwrap();
    assert_eq!((view.brokers[0].host.as_str(), view.brokers[0].port), ("localhost", 9092));
}

/// Runs the commands that the courses run by `docker exec`.
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

/// Builds the image of Debian with Java, once per engine.
fn build_java_image() {
    static BUILT: OnceLock<()> = OnceLock::new();
    BUILT.get_or_init(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/external/docker/java");
        let mut build = Command::new("docker");
        print_progress("building an image with Java");
        build.args(["build", "--quiet", "--tag", JAVA_IMAGE, "--file"]).arg(folder.join("Dockerfile")).arg(folder);
        stdout_of_success(run_for(&mut build, Duration::from_secs(600)));
    });
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio: with_zookeeper_and_kafka_ui, with_topics_created_by_use, ours
    ]
}
