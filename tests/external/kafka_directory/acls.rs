//! ACLs that one of the brokers wrote are listed and enforced by the other.

use std::path::Path;

use crate::harness::trials;
use crate::java::java;
use common::Broker;
use libtest_mimic::Trial;
use ottla::client::Client;
use ottla_wire::protocol::messages::create_acls::{AclCreation, CreateAclsRequest};
use ottla_wire::protocol::messages::delete_acls::{DeleteAclsFilter, DeleteAclsRequest};
use ottla_wire::protocol::messages::describe_acls::DescribeAclsRequest;
use ottla_wire::record::{BatchBuilder, Codec};
use tempfile::TempDir;

use super::apache::{ApacheKafka, QUIET};

const AUTHORIZER: &str = "org.apache.kafka.metadata.authorizer.StandardAuthorizer";
/// Codes of ACLs: resource types, pattern types, operations, permissions.
const ANY: i8 = 1;
const TOPIC: i8 = 2;
const GROUP: i8 = 3;
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
const READ: i8 = 3;
const WRITE: i8 = 4;
const DENY: i8 = 2;
const ALLOW: i8 = 3;

/// `(resource type, name, pattern type, principal, operation, permission)`.
type Acl = (i8, &'static str, i8, &'static str, i8, i8);

const OF_KAFKA: [Acl; 4] = [
    (TOPIC, "codecs", LITERAL, "User:ANONYMOUS", WRITE, ALLOW),
    (TOPIC, "secret", PREFIXED, "User:*", WRITE, DENY),
    (GROUP, "*", LITERAL, "User:alice", READ, ALLOW),
    (TOPIC, "removed", LITERAL, "User:alice", READ, ALLOW),
];
const OF_OURS: [Acl; 2] =
    [(TOPIC, "ours-", PREFIXED, "User:ANONYMOUS", WRITE, ALLOW), (GROUP, "ours", LITERAL, "User:bob", READ, DENY)];

async fn acls_of_each_broker_are_listed_and_enforced_by_the_other() {
    let Some(java) = java() else { return };
    let dir = TempDir::with_prefix("ottla-test-").unwrap();
    let data = dir.path().join("data");
    let settings = format!("{QUIET}authorizer.class.name={AUTHORIZER}\nsuper.users=User:ANONYMOUS\n");
    let theirs = ApacheKafka::start(java, &data, &settings).await;
    let client = Client::connect(theirs.address()).await.unwrap();
    for topic in ["codecs", "secret-1", "other", "ours-1"] {
        client.create_topic(topic, 1, &[]).await.unwrap();
    }
    create(&client, &OF_KAFKA).await;
    remove(&client, "removed").await;
    let written = listed(&client).await;
    assert_eq!(written.len(), OF_KAFKA.len() - 1);
    theirs.stop();

    let mut ours = start(&data, "User:ANONYMOUS");
    let client = Client::connect(ours.bootstrap_servers()).await.unwrap();
    assert_eq!(listed(&client).await, written);
    create(&client, &OF_OURS).await;
    let both = listed(&client).await;
    ours.stop();
    let mut ours = start(&data, "User:nobody");
    let outcomes = produce_to_all(ours.bootstrap_servers()).await;
    assert_eq!(outcomes, [("codecs", true), ("secret-1", false), ("other", false), ("ours-1", true)]);
    ours.stop();

    // Apache Kafka's own requests are those of User:ANONYMOUS too, so it has to stay a super user.
    let theirs = ApacheKafka::start(java, &data, &settings).await;
    let client = Client::connect(theirs.address()).await.unwrap();
    assert_eq!(listed(&client).await, both);
    remove(&client, "ours").await;
    assert_eq!(listed(&client).await.len(), both.len() - 1);
    theirs.stop();
}

fn start(data: &Path, super_users: &str) -> Broker {
    Broker::with().data_dir(data).set("authorizer.class.name", AUTHORIZER).set("super.users", super_users).start()
}

async fn create(client: &Client, acls: &[Acl]) {
    let creation = |&(resource_type, name, pattern, principal, operation, permission_type): &Acl| AclCreation {
        resource_type,
        resource_name: name.into(),
        resource_pattern_type: pattern,
        principal: principal.into(),
        host: "*".into(),
        operation,
        permission_type,
    };
    let answer = client.call(CreateAclsRequest { creations: acls.iter().map(creation).collect() }).await.unwrap();
    assert!(answer.results.iter().all(|result| result.error_code == 0), "{answer:?}");
}

/// Removes the ACLs about resources of this name.
async fn remove(client: &Client, name: &str) {
    let filter = DeleteAclsFilter {
        resource_type_filter: ANY,
        resource_name_filter: Some(name.into()),
        operation: ANY,
        permission_type: ANY,
        ..Default::default()
    };
    let answer = client.call(DeleteAclsRequest { filters: vec![filter] }).await.unwrap();
    assert_eq!(answer.filter_results[0].matching_acls.len(), 1, "{answer:?}");
}

/// All ACLs, sorted.
async fn listed(client: &Client) -> Vec<String> {
    let all = DescribeAclsRequest {
        resource_type_filter: ANY,
        pattern_type_filter: ANY,
        operation: ANY,
        permission_type: ANY,
        ..Default::default()
    };
    let mut found = Vec::new();
    for resource in client.call(all).await.unwrap().resources {
        let pattern = (resource.resource_type, resource.resource_name, resource.pattern_type);
        found.extend(resource.acls.iter().map(|acl| format!("{pattern:?} {acl:?}")));
    }
    found.sort();
    found
}

/// Which topics accept a record.
async fn produce_to_all(address: &str) -> Vec<(&'static str, bool)> {
    let client = Client::connect(address).await.unwrap();
    let mut outcomes = Vec::new();
    for topic in ["codecs", "secret-1", "other", "ours-1"] {
        let mut batch = BatchBuilder::new(Codec::None);
        batch.append(1_700_000_000_000, None, Some(b"x"), &[]);
        let records = batch.build().unwrap().bytes().clone();
        outcomes.push((topic, client.produce(topic, 0, records).await.is_ok()));
    }
    outcomes
}

pub fn tests() -> Vec<Trial> {
    trials![on_tokio: acls_of_each_broker_are_listed_and_enforced_by_the_other]
}
