//! Settings of the first start: the cluster id and the topics to create.

use common::{Broker, command, run_command};
use ottla::client::{Client, TopicView};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::describe_configs::{DescribeConfigsRequest, DescribeConfigsResource};
use ottla_wire::record::{BatchBuilder, Codec};

/// Resource type of topics in DescribeConfigs.
const TOPIC: i8 = 2;

async fn connect(broker: &Broker) -> Client {
    Client::connect(broker.bootstrap_servers()).await.unwrap()
}

/// Each topic with its number of partitions, sorted.
async fn topics(broker: &Broker) -> Vec<(String, usize)> {
    let metadata = connect(broker).await.metadata(None).await.unwrap();
    let named = |topic: TopicView| (topic.name.unwrap_or_default(), topic.partitions.len());
    let mut topics: Vec<_> = metadata.topics.into_iter().map(named).collect();
    topics.sort();
    topics
}

fn named(topics: &[(&str, usize)]) -> Vec<(String, usize)> {
    topics.iter().map(|(name, partitions)| ((*name).to_owned(), *partitions)).collect()
}

async fn cluster_id(broker: &Broker) -> String {
    connect(broker).await.metadata(Some(&[])).await.unwrap().cluster_id.unwrap()
}

#[tokio::test]
async fn configured_topics_exist_when_the_broker_is_ready() {
    for (broker, how) in [
        (Broker::with().env("KAFKA_CREATE_TOPICS", "orders:3:1,users:1:1:compact").start(), "environment"),
        (Broker::with().arg("--create-topic=orders:3").arg("--create-topic=users:1:1:compact").start(), "flags"),
    ] {
        assert_eq!(topics(&broker).await, named(&[("orders", 3), ("users", 1)]), "{how}");
        assert_eq!(cleanup_policy(&broker, "users").await.as_deref(), Some("compact"), "{how}");
    }
}

async fn cleanup_policy(broker: &Broker, topic: &str) -> Option<String> {
    let key = vec![Str::from_static("cleanup.policy")];
    let resource =
        DescribeConfigsResource { resource_type: TOPIC, resource_name: topic.into(), configuration_keys: Some(key) };
    let request = DescribeConfigsRequest { resources: vec![resource], ..Default::default() };
    let described = connect(broker).await.call(request).await.unwrap();
    described.results[0].configs[0].value.as_ref().map(|value| value.to_string())
}

#[tokio::test]
async fn configured_topic_that_exists_is_unchanged() {
    let mut broker = Broker::with().set("ottla.create.topics", "orders:3,users").start();
    let mut batch = BatchBuilder::new(Codec::None);
    batch.append(0, None, Some(b"kept"), &[]);
    let batch = batch.build().unwrap().bytes().clone();
    connect(&broker).await.produce("orders", 2, batch).await.unwrap();
    broker.restart();
    assert_eq!(topics(&broker).await, named(&[("orders", 3), ("users", 1)]));
    assert_eq!(connect(&broker).await.list_offset("orders", 2, -1).await.unwrap().offset, 1);
}

#[test]
fn invalid_configured_topic_refuses_the_start() {
    let run = |setting: &str| {
        let output = run_command(command(&[]).args(["--ephemeral", "--port", "0", "--set", setting]));
        (output.status.code(), String::from_utf8(output.stderr).unwrap().lines().last().unwrap_or_default().to_owned())
    };
    let (code, stderr) = run("ottla.create.topics=or/ders");
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.starts_with("ottla: cannot create topic or/ders: "), "{stderr}");
    let (code, stderr) = run("ottla.create.topics=orders:many");
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("NAME[:PARTITIONS[:REPLICATION-FACTOR[:CLEANUP-POLICY]]]"), "{stderr}");
}

#[tokio::test]
async fn cluster_id_applies_only_to_a_new_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data_dir = dir.path().join("data");
    let with_id = |id: &str| Broker::with().data_dir(&data_dir).env("CLUSTER_ID", id).start();
    let mut broker = with_id("MkU3OEVBNTcwNTJENDM2Qk");
    assert_eq!(cluster_id(&broker).await, "MkU3OEVBNTcwNTJENDM2Qk");
    broker.stop();
    // A different id later on is ignored.
    let mut broker = with_id("5L6g3nShT-eMCtK--X86sw");
    assert_eq!(cluster_id(&broker).await, "MkU3OEVBNTcwNTJENDM2Qk");
    broker.wait_for_log("belongs to cluster MkU3OEVBNTcwNTJENDM2Qk;");
    broker.stop();
}
