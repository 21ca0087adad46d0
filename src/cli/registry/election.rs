//! Elects the leader among the registries of a group, which alone writes to the topic.
//!
//! The registries are members of a consumer group with the protocol type `sr`, as those of Confluent: each sends its
//! identity as JSON, and the member that the coordinator chooses assigns to all the identity of the leader, which is the
//! eligible one with the smallest URL. So registries of both kinds elect one leader.

use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::topic::Cluster;
use ottla_client::{Client, ClientError, Joined, Member, Subscription};
use ottla_wire::protocol::messages::metadata::MetadataRequest;
use ottla_wire::types::ErrorCode;

const PROTOCOL_TYPE: &str = "sr";
const PROTOCOL: &str = "v0";
/// The version of identities and assignments.
const FORMAT_VERSION: i32 = 1;
/// The error of an assignment if two members have the same URL.
const DUPLICATE_URLS: i16 = 1;
/// As in Confluent's registry.
const SESSION_TIMEOUT: Duration = Duration::from_secs(10);
const REBALANCE_TIMEOUT: Duration = Duration::from_secs(300);
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(3);
/// The time between two attempts to join after a failure.
const RETRY_BACKOFF: Duration = Duration::from_millis(500);
/// Log a failure again after this number of attempts that failed in sequence.
const ATTEMPTS_PER_LINE: u32 = 40;
/// How long leaving the group may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// Who writes to the topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leader {
    Unknown,
    This,
    /// The URL of another registry.
    Other(String),
}

/// What a registry says about itself, with Confluent's order of fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub host: String,
    pub port: u16,
    #[serde(rename = "master_eligibility", default)]
    pub is_eligible: bool,
    #[serde(default = "http")]
    pub scheme: String,
    #[serde(default = "format_version")]
    version: i32,
    /// Whether it is the leader already. Registries before 6 refuse an identity with this field.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    leader: bool,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Assignment {
    error: i16,
    /// The member id of the leader.
    #[serde(rename = "master", default, skip_serializing_if = "Option::is_none")]
    leader: Option<String>,
    #[serde(rename = "master_identity", default, skip_serializing_if = "Option::is_none")]
    identity: Option<Identity>,
    #[serde(default = "format_version")]
    version: i32,
}

fn format_version() -> i32 {
    FORMAT_VERSION
}

fn http() -> String {
    "http".to_owned()
}

impl Identity {
    pub fn new(scheme: &str, host: &str, port: u16, is_eligible: bool) -> Identity {
        let (host, scheme) = (host.to_owned(), scheme.to_owned());
        Identity { host, port, is_eligible, scheme, version: FORMAT_VERSION, leader: false }
    }

    pub fn url(&self) -> String {
        format!("{}://{}:{}", self.scheme, self.host, self.port)
    }
}

/// A member of the group of registries.
pub struct Election {
    cluster: Cluster,
    group: String,
    identity: Identity,
    leader: watch::Sender<Leader>,
}

impl Election {
    pub fn new(cluster: Cluster, group: &str, identity: Identity) -> Election {
        let mut cluster = cluster;
        // A join waits for the other members.
        cluster.options.timeout = REBALANCE_TIMEOUT + SESSION_TIMEOUT;
        Election { cluster, group: group.to_owned(), identity, leader: watch::Sender::new(Leader::Unknown) }
    }

    pub fn leader(&self) -> watch::Receiver<Leader> {
        self.leader.subscribe()
    }

    /// Takes part until `stop` is set; then leaves the group.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut member = None;
        let mut failures = 0;
        while !*stop.borrow() {
            let why = tokio::select! {
                why = self.take_part(&mut member, &mut failures) => why,
                _ = stop.wait_for(|stop| *stop) => break,
            };
            self.leader.send_replace(Leader::Unknown);
            // A coordinator that is just being made needs a second attempt.
            if failures % ATTEMPTS_PER_LINE == 2 {
                tracing::warn!(group = self.group, error = why, "failed to elect a leader, trying again");
            }
            failures += 1;
            tokio::select! {
                () = sleep(RETRY_BACKOFF) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
        self.leader.send_replace(Leader::Unknown);
        if let Some(member) = member {
            let _ = timeout(LEAVE_TIMEOUT, self.leave(&member)).await;
        }
    }

    async fn leave(&self, member: &Member) -> Result<(), String> {
        self.coordinator().await?.leave_group(member).await.map_err(|error| error.to_string())
    }

    async fn coordinator(&self) -> Result<Client, String> {
        let client = self.cluster.connect().await?;
        let coordinator = client.find_coordinator(&self.group).await.map_err(|error| error.to_string())?;
        let request = MetadataRequest { topics: Some(Vec::new()), ..Default::default() };
        let metadata = client.call(request).await.map_err(|error| error.to_string())?;
        self.cluster.connect_to(client, &metadata, coordinator.node_id).await
    }

    /// Joins, and stays a member until a failure. Returns the reason.
    async fn take_part(&self, member: &mut Option<Member>, failures: &mut u32) -> String {
        let client = match timeout(SESSION_TIMEOUT, self.coordinator()).await {
            Ok(Ok(client)) => client,
            Ok(Err(why)) => return why,
            Err(_) => return "no broker answers".to_owned(),
        };
        loop {
            let ended = match self.join(&client, member).await {
                Ok(joined) => {
                    *failures = 0;
                    self.stay(&client, &joined).await
                }
                Err(error) => error,
            };
            // Another leader may be elected from now on.
            self.leader.send_replace(Leader::Unknown);
            match ended.code() {
                Some(ErrorCode::RebalanceInProgress) => {}
                Some(ErrorCode::UnknownMemberId | ErrorCode::IllegalGeneration | ErrorCode::FencedInstanceId) => {
                    *member = None;
                }
                _ => return ended.to_string(),
            }
        }
    }

    async fn join(&self, client: &Client, member: &mut Option<Member>) -> Result<Joined, ClientError> {
        let metadata = serde_json::to_vec(&self.identity).unwrap_or_default();
        let subscription = Subscription {
            group: self.group.clone(),
            protocol_type: PROTOCOL_TYPE.to_owned(),
            protocols: vec![(PROTOCOL.to_owned(), Bytes::from(metadata))],
            session_timeout: SESSION_TIMEOUT,
            rebalance_timeout: REBALANCE_TIMEOUT,
            instance_id: None,
        };
        let id = member.as_ref().map(|member| member.id.clone()).unwrap_or_default();
        let joined = client.join_group(&subscription, &id).await?;
        *member = Some(joined.member.clone());
        let assignments = match joined.leader == joined.member.id {
            true => assignments(&joined.members),
            false => Vec::new(),
        };
        let assignment = client.sync_group(&joined, &assignments).await?;
        let leader = leader_of(&assignment, &joined.member.id);
        match &leader {
            Leader::This => tracing::info!(group = self.group, "this registry is the leader"),
            Leader::Other(url) => tracing::info!(group = self.group, leader = url, "another registry is the leader"),
            Leader::Unknown => tracing::error!(
                group = self.group,
                url = self.identity.url(),
                "no leader: no member is eligible, or two have the same URL; set host.name to a name of this one alone"
            ),
        }
        self.leader.send_replace(leader);
        Ok(joined)
    }

    /// Sends heartbeats until one fails.
    async fn stay(&self, client: &Client, joined: &Joined) -> ClientError {
        let mut last = Instant::now();
        loop {
            sleep(HEARTBEAT_INTERVAL).await;
            // After this time, the coordinator may have removed this member.
            let left = SESSION_TIMEOUT.saturating_sub(last.elapsed());
            match timeout(left, client.heartbeat(&joined.member)).await {
                Ok(Ok(())) => last = Instant::now(),
                Ok(Err(error)) => return error,
                Err(_) => return ClientError::Disconnected("the coordinator does not answer".to_owned()),
            }
        }
    }
}

/// Chooses the leader, and assigns it to all members.
fn assignments(members: &[(String, Bytes)]) -> Vec<(String, Bytes)> {
    let known: Vec<(&str, Identity)> = members
        .iter()
        .filter_map(|(id, metadata)| Some((id.as_str(), serde_json::from_slice::<Identity>(metadata).ok()?)))
        .collect();
    let mut urls: Vec<String> = known.iter().map(|(_, identity)| identity.url()).collect();
    urls.sort();
    urls.dedup();
    let eligible = || known.iter().filter(|(_, identity)| identity.is_eligible);
    // A leader stays the leader if its registry says so; if two say so, neither counts.
    let mut sitting = eligible().filter(|(_, identity)| identity.leader);
    let sitting = sitting.next().filter(|_| sitting.next().is_none());
    let chosen = sitting.or_else(|| eligible().min_by_key(|(_, identity)| identity.url()));
    let assignment = Assignment {
        error: if urls.len() == known.len() { 0 } else { DUPLICATE_URLS },
        leader: chosen.map(|(id, _)| (*id).to_owned()),
        identity: chosen.map(|(_, identity)| identity.clone()),
        version: FORMAT_VERSION,
    };
    let bytes = Bytes::from(serde_json::to_vec(&assignment).unwrap_or_default());
    members.iter().map(|(id, _)| (id.clone(), bytes.clone())).collect()
}

fn leader_of(assignment: &[u8], own_id: &str) -> Leader {
    match serde_json::from_slice(assignment) {
        Ok(Assignment { error: 0, leader: Some(leader), .. }) if leader == own_id => Leader::This,
        Ok(Assignment { error: 0, identity: Some(identity), .. }) => Leader::Other(identity.url()),
        _ => Leader::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: &str, identity: &Identity) -> (String, Bytes) {
        (id.to_owned(), Bytes::from(serde_json::to_vec(identity).unwrap()))
    }

    #[test]
    fn identity_and_assignment_are_written_as_confluents_registry_writes_them() {
        let identity = Identity::new("http", "h", 8081, true);
        // With `"leader":false` at the end from 7.8 on.
        let text = r#"{"host":"h","port":8081,"master_eligibility":true,"scheme":"http","version":1}"#;
        assert_eq!(serde_json::to_string(&identity).unwrap(), text);
        let assigned = assignments(&[member("m", &identity)]);
        let expected = format!(r#"{{"error":0,"master":"m","master_identity":{text},"version":1}}"#);
        assert_eq!(std::str::from_utf8(&assigned[0].1).unwrap(), expected);
    }

    #[test]
    fn identities_and_assignments_of_every_release_are_read() {
        let identity = Identity::new("http", "h", 8081, true);
        for text in [
            r#"{"host":"h","port":8081,"master_eligibility":true,"version":1}"#,
            r#"{"version":1,"host":"h","port":8081,"master_eligibility":true,"scheme":"http"}"#,
            r#"{"host":"h","port":8081,"master_eligibility":true,"scheme":"http","version":1,"leader":false,"more":1}"#,
        ] {
            assert_eq!(serde_json::from_str::<Identity>(text).unwrap(), identity, "{text}");
            let other = Leader::Other("http://h:8081".to_owned());
            let assignment = format!(r#"{{"error":0,"master":"m","master_identity":{text},"version":1}}"#);
            assert_eq!(leader_of(assignment.as_bytes(), "other"), other, "{text}");
            assert_eq!(leader_of(assignment.as_bytes(), "m"), Leader::This, "{text}");
        }
        let none = r#"{"version":1,"error":0,"master":null,"master_identity":null}"#;
        assert_eq!(leader_of(none.as_bytes(), "m"), Leader::Unknown);
    }

    #[test]
    fn eligible_member_with_the_smallest_url_is_the_leader_for_all() {
        let (a, b) = (Identity::new("http", "a", 1, false), Identity::new("http", "b", 1, true));
        let c = Identity::new("http", "c", 1, true);
        let assigned = assignments(&[member("1", &c), member("2", &b), member("3", &a)]);
        assert_eq!(assigned.len(), 3);
        let leaders: Vec<Leader> = assigned.iter().map(|(id, bytes)| leader_of(bytes, id)).collect();
        let other = Leader::Other("http://b:1".to_owned());
        assert_eq!(leaders, [other.clone(), Leader::This, other]);
    }

    #[test]
    fn members_with_the_same_url_and_members_that_are_not_eligible_have_no_leader() {
        let (a, b) = (Identity::new("http", "a", 1, true), Identity::new("http", "b", 1, false));
        for members in [vec![member("1", &a), member("2", &a)], vec![member("1", &b)]] {
            let assigned = assignments(&members);
            assert!(assigned.iter().all(|(id, bytes)| leader_of(bytes, id) == Leader::Unknown));
        }
        assert_eq!(leader_of(b"?", "1"), Leader::Unknown);
    }

    #[test]
    fn sitting_leader_stays_the_leader() {
        let (a, mut b) = (Identity::new("http", "a", 1, true), Identity::new("http", "b", 1, true));
        b.leader = true;
        let assigned = assignments(&[member("1", &a), member("2", &b)]);
        assert_eq!(leader_of(&assigned[1].1, "2"), Leader::This);
    }
}
