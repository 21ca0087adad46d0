//! The contract of the image: what scripts and tools written for Kafka's images rely on.

use std::collections::BTreeSet;

use ottla::client::Client;

use crate::docker::engine::{Container, IMAGE, Network, docker, docker_available, docker_stdout, text};
use crate::harness::trials;
use libtest_mimic::Trial;

/// Limit of the image's size, so that pulling it stays fast.
const MAX_IMAGE_BYTES: u64 = 20_000_000;

fn image_is_small_and_has_the_expected_config() {
    if !docker_available() {
        return;
    }
    let inspect = |template| docker_stdout(&["image", "inspect", "--format", template, IMAGE]);
    let size: u64 = inspect("{{.Size}}").parse().unwrap();
    assert!(size <= MAX_IMAGE_BYTES, "{size} bytes");
    assert_eq!(inspect("{{.Config.User}}"), "1000:0");
    assert_eq!(inspect("{{json .Config.Entrypoint}}"), r#"["/usr/share/ottla/entrypoint"]"#);
    assert_eq!(inspect("{{json .Config.Cmd}}"), r#"["/etc/kafka/docker/run"]"#);
    for volume in ["/var/lib/kafka/data", "/etc/kafka/secrets", "/mnt/shared/config", "/bitnami/kafka"] {
        assert!(inspect("{{json .Config.Volumes}}").contains(&format!("\"{volume}\"")), "{volume}");
    }
    for port in ["9092/tcp", "8081/tcp"] {
        assert!(inspect("{{json .Config.ExposedPorts}}").contains(&format!("\"{port}\"")), "{port}");
    }
}

/// `docker run -p 9092:9092 ottla`: from the host and from another container at once.
async fn container_without_settings_serves_host_and_containers() {
    if !docker_available() {
        return;
    }
    let network = Network::new();
    let broker = Container::ready(&[&network.option(), "--network-alias=kafka"]);
    let from_here = Client::connect(&broker.bootstrap_server()).await.unwrap();
    let advertised = from_here.metadata(Some(&[])).await.unwrap().brokers.remove(0);
    assert_eq!((advertised.host.as_str(), advertised.port), ("localhost", 9092));
    from_here.create_topic("orders", 1, &[]).await.unwrap();

    let address = broker.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
    let inside = |command: &[&str]| {
        let own = ["run", "--rm", "--label=ottla-test", &network.option(), IMAGE];
        docker(&[&own, command].concat())
    };
    let versions = inside(&["kafka-broker-api-versions", "--bootstrap-server", "kafka:9092"]);
    assert!(text(&versions.stdout).starts_with(&format!("{address}:9092 (id: 1 ")), "{versions:?}");
    let offsets = inside(&["kafka-get-offsets", "--bootstrap-server", "kafka:9092", "--topic", "orders"]);
    assert_eq!(text(&offsets.stdout), "orders:0:0\n", "{offsets:?}");
}

/// The broker writes the ready lines to stdout once, when it serves; health checks write nothing.
fn ready_lines_are_written_once_and_the_health_check_writes_nothing() {
    if !docker_available() {
        return;
    }
    let broker = Container::ready(&["--env=KAFKA_NODE_ID=7"]);
    broker.wait_until_healthy();
    let (stdout, stderr) = broker.logs();
    let lines: Vec<_> = stdout.lines().collect();
    let expect = ["Transitioning from RECOVERY to RUNNING", "[KafkaServer id=7] started", "Kafka Server started"];
    assert_eq!(lines.len(), expect.len(), "{stdout}");
    for text in expect {
        assert_eq!(stdout.matches(text).count(), 1, "{text} in {stdout}");
    }
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
}

fn health_check_without_a_broker_fails() {
    if !docker_available() {
        return;
    }
    let idle = Container::run(&[], &["sleep", "1000"]);
    let check = idle.exec(&["ottla", "healthcheck", "--ready-file", "/tmp/ottla.ready"]);
    assert_eq!(check.status.code(), Some(1), "{check:?}");
    assert!(text(&check.stderr).contains("localhost:9092"), "{check:?}");
}

/// The health checks of compose files, and the commands that Testcontainers and users' scripts run.
fn commands_that_scripts_call_exist() {
    if !docker_available() {
        return;
    }
    let broker = Container::ready(&["--hostname=broker"]);
    let check = |script: &str, expect: &str| {
        let output = broker.exec(&["bash", "-c", script]);
        assert!(output.status.success(), "{script}: {output:?}");
        assert_eq!(text(&output.stdout).trim_end(), expect, "{script}");
    };
    check("nc -z localhost 9092", "");
    check("nc -vz -w 2 broker 9092", "");
    check("nc -z localhost 9093 || echo closed", "closed");
    check("nc -z nobody 9092 || echo closed", "closed");
    check("exec 3<>/dev/tcp/localhost/9092 && echo open", "open");
    check("kafka-broker-api-versions --bootstrap-server localhost:9092 | head -c 14", "localhost:9092");
    check("/opt/kafka/bin/kafka-topics.sh --bootstrap-server localhost:9092 --list", "");
    check("/opt/bitnami/kafka/bin/kafka-topics.sh --bootstrap-server localhost:9092 --list", "");
    check("cd /tmp && echo x > new && sed -i s/x/y/ new && grep -c y new", "1");
    check("id -u; id -un", "1000\nappuser");
    check("[ \"$(hostname -i)\" = \"$(grep broker /etc/hosts | cut -f1)\" ] && echo same", "same");
    check("/usr/bin/env sh -c 'echo $0'", "sh");
    let zookeeper = "echo clientPort=2199 > z && { zookeeper-server-start z & } && \
                     for _ in $(seq 100); do nc -z localhost 2199 && break; usleep 50000; done && nc -z localhost 2199";
    check(zookeeper, "");
    check("for f in /etc/confluent/docker/* /etc/kafka/docker/*; do sed -i s/nothing/nothing/ $f; done", "");
}

/// Every tool name of the program is a link in the image.
fn every_tool_is_linked() {
    if !docker_available() {
        return;
    }
    let names: BTreeSet<_> = ottla::cli::tools::commands().map(|tool| tool.get_name().to_owned()).collect();
    let container = Container::run(&[], &["sleep", "1000"]);
    let scripts = ["kafka-server-start", "kafka-server-stop"];
    for (folder, ending) in [("/usr/bin", ""), ("/opt/kafka/bin", ".sh"), ("/opt/bitnami/kafka/bin", ".sh")] {
        let listed = container.shell(&format!("cd {folder} && ls -d kafka-*"));
        let linked: BTreeSet<_> = listed
            .lines()
            .map(|name| name.strip_suffix(ending).unwrap().to_owned())
            .filter(|name| !scripts.contains(&name.as_str()))
            .collect();
        // Only Confluent's image, which has its tools in /usr/bin, has those for its registry.
        let expected = names.iter().filter(|name| folder == "/usr/bin" || !is_confluents(name)).cloned().collect();
        assert!(linked.is_superset(&expected), "{folder}: {:?}", expected.difference(&linked).collect::<Vec<_>>());
    }
}

fn is_confluents(tool: &str) -> bool {
    ["avro", "json-schema", "protobuf"].iter().any(|format| tool.starts_with(&format!("kafka-{format}-console-")))
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain:
            image_is_small_and_has_the_expected_config,
            ready_lines_are_written_once_and_the_health_check_writes_nothing,
            health_check_without_a_broker_fails,
            commands_that_scripts_call_exist,
            every_tool_is_linked;
        on_tokio: container_without_settings_serves_host_and_containers
    ]
}
