//! Compose files written for the images that this one replaces, with only the image name changed.

use ottla::client::Client;

use crate::docker::compose::Project;
use crate::docker::engine::{IMAGE, docker_available};
use crate::docker::lifecycle::write_to;
use crate::harness::trials;
use libtest_mimic::Trial;

/// A Compose file for one of these images, and what a broker that is started from it must show.
struct Family {
    file: &'static str,
    service: &'static str,
    /// The address that clients on the host connect to, and the advertised address that they get.
    outside: (&'static str, &'static str),
    /// The address that containers connect to, and the advertised address that they get; `own` stands for the broker's
    /// own address.
    inside: (&'static str, &'static str),
    node_id: i32,
    cluster_id: Option<&'static str>,
    data: &'static str,
}

async fn compose_file_of_apache_kafka_starts_a_broker() {
    check(&Family {
        file: "examples/apache-kafka.yaml",
        service: "broker",
        outside: ("9092", "localhost:9092"),
        inside: ("broker:19092", "broker:19092"),
        node_id: 1,
        cluster_id: Some("4L6g3nShT-eMCtK--X86sw"),
        data: "/tmp/kraft-combined-logs",
    })
    .await;
}

async fn compose_file_of_apache_kafka_native_starts_a_broker() {
    check(&Family {
        file: "examples/apache-kafka-native.yaml",
        service: "broker",
        outside: ("9092", "localhost:9092"),
        inside: ("broker:9092", "own:9092"),
        node_id: 1,
        cluster_id: None,
        data: "/var/lib/kafka/data",
    })
    .await;
}

async fn compose_file_of_confluent_starts_a_broker() {
    check(&Family {
        file: "examples/confluent.yaml",
        service: "kafka-kraft",
        outside: ("9092", "localhost:9092"),
        inside: ("kafka-kraft:29092", "kafka-kraft:29092"),
        node_id: 1,
        cluster_id: Some("MkU3OEVBNTcwNTJENDM2Qk"),
        data: "/var/lib/kafka/data",
    })
    .await;
}

async fn compose_file_of_bitnami_starts_a_broker() {
    check(&Family {
        file: "examples/bitnami.yaml",
        service: "kafka",
        outside: ("9094", "localhost:9094"),
        inside: ("kafka:9092", "kafka:9092"),
        node_id: 0,
        cluster_id: None,
        data: "/bitnami/ottla",
    })
    .await;
}

async fn check(family: &Family) {
    if !docker_available() {
        return;
    }
    let (service, (port, advertised_outside)) = (family.service, family.outside);
    let ports = format!("ports: !override [\"127.0.0.1::{port}\"]");
    let replaced = format!("services:\n  {service}:\n    image: {IMAGE}\n    {ports}\n");
    let project = Project::up(family.file, &replaced);
    project.wait_until_ready(service);

    let address = project.published(service, port);
    write_to(&address, "orders", "x").await;
    let client = Client::connect(&address).await.unwrap();
    let view = client.metadata(Some(&[])).await.unwrap();
    let broker = &view.brokers[0];
    assert_eq!(
        (broker.node_id, format!("{}:{}", broker.host, broker.port)),
        (family.node_id, advertised_outside.to_owned())
    );
    if let Some(cluster_id) = family.cluster_id {
        assert_eq!(view.cluster_id.as_deref(), Some(cluster_id));
    }
    assert!(project.exec(service, &["ls", family.data]).contains("orders-0"));

    let (address, advertised_inside) = family.inside;
    let own = project.exec(service, &["hostname", "-i"]);
    // From a separate container on the project's network.
    let versions = project.run_beside(&["kafka-broker-api-versions", "--bootstrap-server", address]);
    let expect = format!("{} (id: {} ", advertised_inside.replace("own", own.trim_end()), family.node_id);
    assert!(versions.starts_with(&expect), "{expect} in {versions}");
    let notices = project.logs(service).lines().filter(|line| line.contains("WARN")).count();
    assert!(notices <= 3, "{}", project.logs(service));
}

pub fn tests() -> Vec<Trial> {
    trials![
        on_tokio: compose_file_of_apache_kafka_starts_a_broker, compose_file_of_apache_kafka_native_starts_a_broker,
            compose_file_of_confluent_starts_a_broker, compose_file_of_bitnami_starts_a_broker
    ]
}
