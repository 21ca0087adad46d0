//! Members whose connection is lost, with `ottla.group.disconnected.member.timeout.ms`.

use std::time::{Duration, Instant};

use bytes::Bytes;
use common::Broker;
use ottla::client::{Client, Joined, Subscription};

const SESSION: Duration = Duration::from_secs(45);

fn subscription() -> Subscription {
    Subscription {
        group: "billing".to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::new())],
        session_timeout: SESSION,
        rebalance_timeout: SESSION,
        instance_id: None,
    }
}

/// Joins the group on a new connection; the member has its assignment if it is the only one.
async fn join(broker: &Broker) -> (Client, Joined) {
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let joined = client.join_group(&subscription(), "").await.unwrap();
    let everything: Vec<_> = joined.members.iter().map(|(id, _)| (id.clone(), Bytes::new())).collect();
    client.sync_group(&joined, &everything).await.unwrap();
    (client, joined)
}

#[tokio::test]
async fn killed_member_is_removed_before_its_session_timeout() {
    let broker = Broker::with().set("ottla.group.disconnected.member.timeout.ms", "100").start();
    for _ in 0..3 {
        let (client, _) = join(&broker).await;
        // Like a killed client: the socket is closed without a LeaveGroup.
        drop(client);
        let begun = Instant::now();
        let (_client, joined) = join(&broker).await;
        assert_eq!(joined.members.len(), 1);
        assert!(begun.elapsed() < SESSION / 3, "it took {:?}", begun.elapsed());
    }
}

#[tokio::test]
async fn member_that_reconnects_in_time_stays_in_the_group() {
    let broker = Broker::with().set("ottla.group.disconnected.member.timeout.ms", "20000").start();
    let (client, joined) = join(&broker).await;
    drop(client);
    let again = Client::connect(broker.bootstrap_servers()).await.unwrap();
    again.heartbeat(&joined.member).await.unwrap();
}
