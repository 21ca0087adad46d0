//! The life cycle of a container: volumes, restarts, signals, users, mounted files.

use std::time::{Duration, Instant};

use ottla::client::Client;
use ottla_wire::record::{BatchBuilder, Codec};

use crate::docker::engine::{Container, LABEL, Volume, docker_available, docker_stdout, text};
use crate::harness::trials;
use libtest_mimic::Trial;

async fn write(broker: &Container, topic: &str, value: &str) {
    write_to(&broker.bootstrap_server(), topic, value).await;
}

/// Creates the topic and writes one record of this value.
pub async fn write_to(bootstrap_server: &str, topic: &str, value: &str) {
    let client = Client::connect(bootstrap_server).await.unwrap();
    client.create_topic(topic, 1, &[]).await.unwrap();
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(0, None, Some(value.as_bytes()), &[]);
    client.produce(topic, 0, batch.build().unwrap().bytes().clone()).await.unwrap();
}

/// Returns the end offset of the topic's only partition.
async fn end_of(broker: &Container, topic: &str) -> i64 {
    let client = Client::connect(&broker.bootstrap_server()).await.unwrap();
    client.list_offset(topic, 0, -1).await.unwrap().offset
}

/// The data directory is in the volume, at each of the paths that the four images document.
async fn volume_at_any_documented_path_keeps_data() {
    if !docker_available() {
        return;
    }
    for (path, data) in [
        ("/var/lib/kafka/data", "/var/lib/kafka/data"),
        ("/bitnami/kafka", "/bitnami/kafka/data"),
        ("/bitnami", "/bitnami/ottla"),
        ("/tmp/kraft-combined-logs", "/tmp/kraft-combined-logs"),
    ] {
        let volume = Volume::new();
        let mount = volume.at(path);
        let first = Container::ready(&[&mount]);
        write(&first, "kept", path).await;
        assert!(first.shell(&format!("ls {data}")).contains("kept-0"), "{path}");
        drop(first);
        let second = Container::ready(&[&mount]);
        assert_eq!(end_of(&second, "kept").await, 1, "{path}");
    }
}

/// The same container restarted: after a stop, after kill -9, and with the cluster id of its first start.
async fn restart_after_stop_or_kill_keeps_data_and_cluster_id() {
    if !docker_available() {
        return;
    }
    let broker = Container::ready(&["--env=CLUSTER_ID=4L6g3nShT-eMCtK--X86sw"]);
    write(&broker, "before-stop", "x").await;
    docker_stdout(&["stop", &broker.name]);
    assert_eq!(broker.inspect("{{.State.ExitCode}}"), "0");
    docker_stdout(&["start", &broker.name]);
    broker.wait_until_ready(2);
    assert_eq!(end_of(&broker, "before-stop").await, 1);

    write(&broker, "before-kill", "x").await;
    docker_stdout(&["kill", "--signal=KILL", &broker.name]);
    assert_eq!(broker.exit_code(), "137");
    docker_stdout(&["start", &broker.name]);
    broker.wait_until_ready(3);
    assert_eq!(end_of(&broker, "before-kill").await, 1);
    let client = Client::connect(&broker.bootstrap_server()).await.unwrap();
    let view = client.metadata(Some(&[])).await.unwrap();
    assert_eq!(view.cluster_id.as_deref(), Some("4L6g3nShT-eMCtK--X86sw"));
}

/// The broker is PID 1, for which the kernel applies no default signal actions.
fn sigterm_stops_the_broker_within_a_second() {
    if !docker_available() {
        return;
    }
    let broker = Container::ready(&[]);
    let began = Instant::now();
    docker_stdout(&["kill", "--signal=TERM", &broker.name]);
    assert_eq!(broker.exit_code(), "0");
    // The engine itself takes much of this time.
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    let (_, stderr) = broker.logs();
    let seconds = |what: &str| {
        let line = stderr.lines().find(|line| line.contains(what)).unwrap_or_else(|| panic!("{what} in {stderr}"));
        let time = line.split(['T', 'Z']).nth(1).unwrap();
        time.split(':').map(|part| part.parse::<f64>().unwrap()).fold(0.0, |sum, part| sum * 60.0 + part)
    };
    let took = (seconds("stopped") - seconds("SIGTERM")).rem_euclid(86_400.0);
    assert!(took < 1.0, "{took} s");
}

async fn any_user_can_run_the_container() {
    if !docker_available() {
        return;
    }
    for user in ["--user=4711:4711", "--user=0"] {
        let broker = Container::ready(&[user]);
        broker.wait_until_healthy();
        write(&broker, "mine", "x").await;
    }
}

fn data_directory_of_another_user_is_refused_with_both_uids() {
    if !docker_available() {
        return;
    }
    let options = ["--tmpfs=/data:uid=0,mode=755", "--env=KAFKA_LOG_DIRS=/data"];
    let broker = Container::run(&options, &[]);
    assert_eq!(broker.exit_code(), "2");
    let (_, stderr) = broker.logs();
    for part in ["ottla: cannot use the data directory", "/data", "uid 0", "uid 1000"] {
        assert!(stderr.contains(part), "{part} in {stderr}");
    }
}

/// Each path where the four images look for a mounted settings file; the environment overrides the file.
async fn mounted_settings_file_is_read_and_environment_overrides_it() {
    if !docker_available() {
        return;
    }
    for path in [
        "/mnt/shared/config/server.properties",
        "/opt/kafka/config/server.properties",
        "/etc/kafka/kafka.properties",
        "/bitnami/kafka/config/server.properties",
    ] {
        let name = crate::docker::engine::unique("c");
        let publish = "--publish=127.0.0.1::9092";
        let own = ["create", "--name", &name, "--label", LABEL, publish, "--env=KAFKA_NUM_PARTITIONS=5"];
        docker_stdout(&[&own[..], &[crate::docker::engine::IMAGE]].concat());
        let broker = Container { name };
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, "node.id=9\nnum.partitions=3\nlisteners=PLAINTEXT://:9092\n").unwrap();
        docker_stdout(&["cp", file.to_str().unwrap(), &format!("{}:{path}", broker.name)]);
        docker_stdout(&["start", &broker.name]);
        broker.wait_until_ready(1);
        let client = Client::connect(&broker.bootstrap_server()).await.unwrap();
        let view = client.metadata_with(Some(&["new"]), true).await.unwrap();
        assert_eq!((view.brokers[0].node_id, view.topics[0].partitions.len()), (9, 5), "{path}");
    }
}

/// `run NAME=VALUE`, and Kafka's start script with a file.
async fn settings_as_arguments_are_applied() {
    if !docker_available() {
        return;
    }
    let by_run = ["/etc/kafka/docker/run", "KAFKA_NODE_ID=5"];
    let script = "echo node.id=4 > my.properties; exec kafka-server-start.sh my.properties --override node.id=5";
    for command in [&by_run[..], &["bash", "-c", script]] {
        let broker = Container::run(&[], command);
        broker.wait_until_ready(1);
        let client = Client::connect(&broker.bootstrap_server()).await.unwrap();
        assert_eq!(client.metadata(Some(&[])).await.unwrap().brokers[0].node_id, 5, "{command:?}");
    }
}

/// A service of GitHub Actions: an environment and options of `docker create`, but no command.
async fn service_of_github_actions_becomes_healthy() {
    if !docker_available() {
        return;
    }
    let health = "--health-cmd=/opt/kafka/bin/kafka-broker-api-versions.sh --bootstrap-server localhost:9092";
    let broker = Container::run(
        &[
            health,
            "--health-interval=1s",
            "--health-timeout=5s",
            "--health-retries=10",
            "--env=KAFKA_NODE_ID=1",
            "--env=KAFKA_PROCESS_ROLES=broker,controller",
            "--env=KAFKA_LISTENERS=PLAINTEXT://0.0.0.0:9092,CONTROLLER://0.0.0.0:9093",
            "--env=KAFKA_ADVERTISED_LISTENERS=PLAINTEXT://localhost:9092",
            "--env=KAFKA_CONTROLLER_LISTENER_NAMES=CONTROLLER",
            "--env=KAFKA_LISTENER_SECURITY_PROTOCOL_MAP=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "--env=KAFKA_CONTROLLER_QUORUM_VOTERS=1@localhost:9093",
            "--env=KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR=1",
            "--env=CI=true",
        ],
        &[],
    );
    broker.wait_until_healthy();
    write(&broker, "in-ci", "x").await;
    assert_eq!(
        text(&broker.exec(&["kafka-topics", "--bootstrap-server", "localhost:9092", "--list"]).stdout),
        "in-ci\n"
    );
}

/// A container whose only writable path is the volume.
async fn container_with_read_only_root_serves() {
    if !docker_available() {
        return;
    }
    let broker = Container::ready(&["--read-only"]);
    broker.wait_until_healthy();
    write(&broker, "mine", "x").await;
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: sigterm_stops_the_broker_within_a_second, data_directory_of_another_user_is_refused_with_both_uids;
        on_tokio:
            volume_at_any_documented_path_keeps_data,
            restart_after_stop_or_kill_keeps_data_and_cluster_id,
            any_user_can_run_the_container,
            mounted_settings_file_is_read_and_environment_overrides_it,
            settings_as_arguments_are_applied,
            service_of_github_actions_becomes_healthy,
            container_with_read_only_root_serves
    ]
}
