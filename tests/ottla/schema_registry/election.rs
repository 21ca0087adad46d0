//! A registry of Confluent's in a group with `ottla registry`: its member of the group is scripted here.

use std::time::Duration;

use bytes::Bytes;
use ottla::client::{Client, ClientError, Joined, Subscription};
use ottla_wire::types::ErrorCode;
use serde_json::{Value, json};

use super::http::Registry;
use super::with_registry;
use crate::fixture::connect;
use common::{RegistryProcess, wait_until};

/// A member that speaks as the registry of Confluent's releases from 7.8 on.
struct Confluent {
    client: Client,
    identity: String,
}

impl Confluent {
    fn subscription(&self) -> Subscription {
        Subscription {
            group: "schema-registry".to_owned(),
            protocol_type: "sr".to_owned(),
            protocols: vec![("v0".to_owned(), Bytes::from(self.identity.clone()))],
            session_timeout: Duration::from_secs(10),
            rebalance_timeout: Duration::from_secs(300),
            instance_id: None,
        }
    }

    async fn join(&self, id: &str) -> Joined {
        self.client.join_group(&self.subscription(), id).await.unwrap()
    }

    /// Assigns this registry as the leader to all members.
    async fn assign(&self, joined: &Joined) {
        let (id, identity) = (&joined.member.id, &self.identity);
        let assignment = format!(r#"{{"error":0,"master":"{id}","master_identity":{identity},"version":1}}"#);
        let assignment = |(id, _): &(String, Bytes)| (id.clone(), Bytes::from(assignment.clone()));
        let assignments: Vec<_> = joined.members.iter().map(assignment).collect();
        self.client.sync_group(joined, &assignments).await.unwrap();
    }

    /// Sends heartbeats until the group rebalances.
    async fn stay(&self, joined: &Joined) {
        loop {
            let heartbeat = self.client.heartbeat(&joined.member).await;
            match heartbeat.as_ref().map_err(ClientError::code) {
                Ok(()) => tokio::time::sleep(Duration::from_millis(20)).await,
                Err(Some(ErrorCode::RebalanceInProgress)) => return,
                Err(_) => panic!("{heartbeat:?}"),
            }
        }
    }
}

fn identity(port: &str, is_eligible: bool) -> String {
    format!(
        r#"{{"host":"localhost","port":{port},"master_eligibility":{is_eligible},"scheme":"http","version":1,"leader":false}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn confluents_registry_leads_the_group_or_follows_this_one() {
    // Requests that are passed on to the scripted registry reach the one inside the broker, which has the same topic.
    let broker = with_registry().start();
    let url = broker.ready().schema_registry_url.clone().unwrap();
    let port = url.rsplit_once(':').unwrap().1;
    let client = connect(&broker).await;
    let leading = Confluent { client, identity: identity(port, true) };
    let joined = leading.join("").await;
    leading.assign(&joined).await;

    let lead = tokio::spawn(async move {
        leading.stay(&joined).await;
        let joined = leading.join(&joined.member.id).await;
        leading.assign(&joined).await;
        (leading, joined)
    });
    let registry = tokio::task::block_in_place(|| RegistryProcess::start(&broker, &[]));
    let (leading, joined) = lead.await.unwrap();
    let (_, own) = joined.members.iter().find(|(id, _)| *id != joined.member.id).unwrap();
    let own_port = registry.url().rsplit_once(':').unwrap().1;
    let expected =
        format!(r#"{{"host":"localhost","port":{own_port},"master_eligibility":true,"scheme":"http","version":1}}"#);
    assert_eq!(String::from_utf8_lossy(own), expected);
    wait_until("the scripted leader", || registry.log().contains("another registry is the leader"));
    assert_eq!(Registry::connect_to(registry.url()).register("s", r#""int""#), 1);
    assert_eq!(Registry::connect(&broker).get("GET /subjects"), json!(["s"]));

    // It leaves, and comes back as one that must not lead.
    leading.client.leave_group(&joined.member).await.unwrap();
    let following = Confluent { client: leading.client, identity: identity(port, false) };
    let joined = following.join("").await;
    assert_ne!(joined.leader, joined.member.id);
    let assignment = following.client.sync_group(&joined, &[]).await.unwrap();
    let assignment: Value = serde_json::from_slice(&assignment).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();
    assert_eq!(assignment["master_identity"], expected);
    assert_eq!(
        (&assignment["error"], &assignment["version"], &assignment["master"]),
        (&json!(0), &json!(1), &json!(joined.leader))
    );
    assert_eq!(Registry::connect_to(registry.url()).register("s", r#""int""#), 1);
    assert_eq!(Registry::connect_to(registry.url()).register("t", r#""long""#), 2);
}
