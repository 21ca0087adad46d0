//! Clients that disconnect before the response: their requests take effect all the same.

use std::time::Duration;

use common::Broker;
use ottla::client::Client;
use ottla_wire::protocol::messages::create_topics::{CreatableTopic, CreateTopicsRequest};

async fn topics(broker: &Broker) -> Vec<String> {
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let topics = client.metadata(None).await.unwrap().topics;
    let mut names: Vec<String> = topics.into_iter().filter_map(|topic| topic.name).collect();
    names.sort();
    names
}

/// Sends CreateTopics and disconnects after `wait`, without reading the response.
async fn create_and_disconnect(broker: &Broker, name: &str, wait: Duration) {
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let topic = CreatableTopic { name: name.into(), num_partitions: 1, replication_factor: 1, ..Default::default() };
    let request = CreateTopicsRequest { topics: vec![topic], timeout_ms: 10_000, ..Default::default() };
    let answer = client.submit(request).await.unwrap();
    tokio::time::sleep(wait).await;
    drop((answer, client));
}

#[tokio::test]
async fn topic_created_for_a_disconnected_client_is_visible_to_others() {
    let mut broker = Broker::start();
    for microseconds in [0, 50, 100, 200, 400, 800] {
        create_and_disconnect(&broker, &format!("topic-{microseconds}"), Duration::from_micros(microseconds)).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        // The topic is visible before the restart if it is visible after it.
        let seen = topics(&broker).await;
        broker.kill();
        broker.restart();
        assert_eq!(seen, topics(&broker).await);
    }
}
