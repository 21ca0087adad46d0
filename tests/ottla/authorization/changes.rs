//! Creation, listing and deletion of ACLs through the APIs, and their durability.

use std::collections::BTreeSet;
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use common::{Broker, Options};
use ottla_wire::protocol::ApiKey;

use super::{AUTHORIZER, address};
use crate::wire::WireClient;

/// Kills of the crash test.
const ROUNDS: u64 = 15;

/// A broker at which everyone is a super user.
fn options() -> Options {
    Broker::with().set("authorizer.class.name", AUTHORIZER).set("super.users", "User:admin;User:ANONYMOUS")
}

fn client(broker: &Broker) -> WireClient {
    WireClient::new(&address(broker), &[])
}

/// Read on the topic `name` for User:a, as an element of a CreateAcls request.
fn acl(name: &str) -> String {
    format!("{{resource_type=2 resource_name={name} principal=User:a host=* operation=3 permission_type=3}}")
}

/// A filter for all ACLs about topics of the name.
fn filter(name: &str) -> String {
    format!("resource_type_filter=2 resource_name_filter={name} operation=1 permission_type=1")
}

fn create(client: &mut WireClient, acls: &[String]) -> String {
    client.call(ApiKey::CreateAcls, 3, &format!("creations=[{}]", acls.join(" ")))
}

/// The names of the topics that have an ACL.
fn listed(client: &mut WireClient) -> BTreeSet<String> {
    let all = "resource_type_filter=1 pattern_type_filter=1 operation=1 permission_type=1";
    let answer = client.until("error_message=", ApiKey::DescribeAcls, 3, all);
    answer.split("resource_name=").skip(1).map(|rest| rest.split(' ').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn acls_are_listed_and_deleted_in_every_version() {
    let broker = options().start();
    let mut client = client(&broker);
    for version in 0..=3 {
        let created = client.call(ApiKey::CreateAcls, version, &format!("creations=[{} {}]", acl("t"), acl("u")));
        assert_eq!(created, "results=[{error_message=\"\"} {error_message=\"\"}]", "{version}");
        let described = client.call(ApiKey::DescribeAcls, version, &filter("t"));
        let acls = "acls=[{principal=User:a host=* operation=3 permission_type=3}]";
        assert_eq!(described, format!("error_message=\"\" resources=[{{resource_type=2 resource_name=t {acls}}}]"));
        let filters = format!("filters=[{{{}}} {{{}}}]", filter("t"), filter("nothing"));
        let deleted = client.call(ApiKey::DeleteAcls, version, &filters);
        let matching = "resource_type=2 resource_name=t principal=User:a host=* operation=3 permission_type=3";
        assert_eq!(deleted, format!("filter_results=[{{matching_acls=[{{{matching}}}]}} {{}}]"), "{version}");
    }
    assert_eq!(listed(&mut client), BTreeSet::from(["u".to_owned()]));
}

/// The answers are those of Apache Kafka 4.3.
#[test]
fn invalid_creations_are_refused_each_or_all_as_by_kafka() {
    let broker = options().start();
    let mut client = client(&broker);
    let with = |from: &str, to: &str| acl("t").replace(from, to);
    let refused = |message: &str| format!("{{error_code=INVALID_REQUEST error_message=\"{message}\"}}");
    let created = "{error_message=\"\"}".to_owned();
    for (invalid, result) in [
        (with("resource_type=2", "resource_type=99"), refused("Invalid resourceType UNKNOWN")),
        (with("principal", "resource_pattern_type=9 principal"), refused("Invalid patternType UNKNOWN")),
        (with("operation=3", "operation=77"), refused("Invalid operation UNKNOWN")),
        (with("permission_type=3", "permission_type=9"), refused("Invalid permissionType UNKNOWN")),
        (with("resource_name=t", "resource_name=\"\""), refused("Invalid empty resource name")),
        (
            with("resource_type=2", "resource_type=4"),
            refused("The only valid name for the CLUSTER resource is kafka-cluster"),
        ),
        (
            with("User:a", "alice"),
            refused(
                "Could not parse principal from `alice` (no colon is present separating the principal type from the \
                 principal name)",
            ),
        ),
        (with("host=*", "host=\"\""), created.clone()),
        (with("User:a", ":"), created.clone()),
    ] {
        let answer = create(&mut client, &[invalid.clone(), acl("valid")]);
        assert_eq!(answer, format!("results=[{result} {created}]"), "{invalid}");
    }
    // Codes that are for filters: no ACL is created.
    for filter_code in [
        with("resource_type=2", "resource_type=1"),
        with("principal", "resource_pattern_type=1 principal"),
        with("principal", "resource_pattern_type=2 principal"),
        with("operation=3", "operation=1"),
        with("permission_type=3", "permission_type=1"),
    ] {
        let error = "{error_code=UNKNOWN_SERVER_ERROR}";
        assert_eq!(
            create(&mut client, &[filter_code.clone(), acl("never")]),
            format!("results=[{error} {error}]"),
            "{filter_code}"
        );
    }
    for unknown in ["resource_type=0", "operation=0", "permission_type=0", "resource_pattern_type=0 host=*"] {
        let (name, _) = unknown.split_once('=').unwrap_or_default();
        let code = acl("t").replace(&format!("{name}=2"), unknown).replace(&format!("{name}=3"), unknown);
        let code = if name == "resource_pattern_type" { acl("t").replace("host=*", unknown) } else { code };
        assert_eq!(create(&mut client, &[code]), "no answer", "{unknown}");
    }
    assert_eq!(listed(&mut client), ["t", "valid"].map(str::to_owned).into());
}

#[test]
fn filters_with_unknown_codes_match_nothing_and_delete_nothing() {
    let broker = options().start();
    let mut client = client(&broker);
    create(&mut client, &[acl("t")]);
    for (unknown, message) in [
        ("resource_type_filter=99 pattern_type_filter=1 operation=1 permission_type=1", "Unknown patternFilter."),
        ("resource_type_filter=1 pattern_type_filter=9 operation=1 permission_type=1", "Unknown patternFilter."),
        ("resource_type_filter=1 pattern_type_filter=1 operation=99 permission_type=1", "Unknown entryFilter."),
        ("resource_type_filter=1 pattern_type_filter=1 operation=1 permission_type=9", "Unknown entryFilter."),
    ] {
        assert_eq!(client.call(ApiKey::DescribeAcls, 3, unknown), "error_message=\"\"", "{unknown}");
        let deleted = client.call(ApiKey::DeleteAcls, 3, &format!("filters=[{{{unknown}}}]"));
        let expected = format!("filter_results=[{{error_code=INVALID_REQUEST error_message=\"{message}\"}}]");
        assert_eq!(deleted, expected, "{unknown}");
    }
    let closed = "resource_type_filter=0 pattern_type_filter=1 operation=1 permission_type=1";
    assert_eq!(client.call(ApiKey::DescribeAcls, 3, closed), "no answer");
    assert_eq!(client.call(ApiKey::DeleteAcls, 3, &format!("filters=[{{{closed}}}]")), "no answer");
    assert_eq!(listed(&mut client), ["t".to_owned()].into());
}

/// Changes before a kill, by what their client knows.
#[derive(Default)]
struct Changes {
    /// The topics whose ACLs must exist.
    created: BTreeSet<String>,
    /// Those whose ACLs must not exist.
    deleted: BTreeSet<String>,
}

/// Creates and deletes ACLs until the broker has ended. The last change has no reply: its record is written or not.
/// `begun` gets the number of each change.
fn change_until_killed(mut client: WireClient, round: u64, begun: Sender<u64>) -> Changes {
    let mut changes = Changes::default();
    for number in 0.. {
        let _ = begun.send(number);
        let name = format!("t{round}.{number}");
        if !create(&mut client, &[acl(&name)]).starts_with("results=") {
            return changes;
        }
        if number % 2 == 0 {
            changes.created.insert(name);
            continue;
        }
        let deleted = client.call(ApiKey::DeleteAcls, 3, &format!("filters=[{{{}}}]", filter(&name)));
        if !deleted.contains("matching_acls=") {
            return changes;
        }
        changes.deleted.insert(name);
    }
    changes
}

#[test]
fn acknowledged_acl_changes_survive_kills_and_unacknowledged_ones_are_whole_or_absent() {
    let mut broker = options().start();
    let (mut created, mut deleted) = (BTreeSet::new(), BTreeSet::new());
    for round in 0..ROUNDS {
        let client = client(&broker);
        let (begun, changes_begun) = channel();
        let changing = thread::spawn(move || change_until_killed(client, round, begun));
        // At a moment of its own in each round: while the broker works on this change, or just after.
        let reached = changes_begun.iter().take_while(|number| *number < round).count();
        assert_eq!(reached as u64, round, "the changes stopped before the kill");
        thread::sleep(Duration::from_micros(100 * round));
        broker.kill();
        let changes = changing.join().unwrap();
        created.extend(changes.created);
        deleted.extend(changes.deleted);
        broker.restart();
        let found = listed(&mut self::client(&broker));
        assert!(created.is_subset(&found), "lost: {:?}", created.difference(&found));
        assert!(deleted.is_disjoint(&found), "returned: {:?}", deleted.intersection(&found));
        let unacknowledged: Vec<_> = found.difference(&created).collect();
        assert!(unacknowledged.len() as u64 <= round + 1, "{unacknowledged:?}");
    }
    assert!(created.len() > 5 && deleted.len() > 5, "{} and {}", created.len(), deleted.len());
}

/// The words are those of Apache Kafka 4.3 for the same requests.
#[test]
fn decisions_are_logged_with_the_words_of_kafka() {
    let options = || {
        let options = Broker::with().set("authorizer.class.name", AUTHORIZER);
        options.arg("--log-level").arg("info,ottla.authorizer=debug")
    };
    let (broker, _dir) = super::start(options);
    let mut admin = client(&broker).bound_to(super::ADMIN);
    admin.call(ApiKey::CreateTopics, 5, "topics=[{name=topic1 num_partitions=1 replication_factor=1}]");
    let deny = "creations=[{resource_type=2 resource_name=topic1 principal=User:ANONYMOUS host=127.0.0.1 operation=2 \
                permission_type=2}]";
    admin.call(ApiKey::CreateAcls, 3, deny);
    let mut caller = client(&broker);
    for topic in ["topic1", "topic2"] {
        let request = format!("topics=[{{name={topic}}}] include_topic_authorized_operations=true");
        caller.call(ApiKey::Metadata, 9, &request);
    }
    caller.call(ApiKey::Metadata, 9, "topics=null");
    for line in [
        "INFO Principal = User:ANONYMOUS is Denied operation = DESCRIBE from host = 127.0.0.1 on resource = \
         Topic:LITERAL:topic1 for request = Metadata with resourceRefCount = 1 based on rule \
         MatchingAcl(acl=StandardAcl[resourceType=TOPIC, resourceName=topic1, patternType=LITERAL, \
         principal=User:ANONYMOUS, host=127.0.0.1, operation=ALL, permissionType=DENY])",
        "INFO Principal = User:ANONYMOUS is Denied operation = DESCRIBE from host = 127.0.0.1 on resource = \
         Topic:LITERAL:topic2 for request = Metadata with resourceRefCount = 1 based on rule DefaultDeny",
        "DEBUG Principal = User:ANONYMOUS is Allowed operation = ALTER from host = 127.0.0.2 on resource = \
         Cluster:LITERAL:kafka-cluster for request = CreateAcls with resourceRefCount = 1 based on rule \
         MatchingAcl(acl=StandardAcl[resourceType=CLUSTER, resourceName=kafka-cluster, patternType=LITERAL, \
         principal=User:ANONYMOUS, host=127.0.0.2, operation=ALL, permissionType=ALLOW])",
    ] {
        broker.wait_for_log(line);
    }
    // What is only left out of a list is not logged as denied.
    assert_eq!(broker.log().matches("is Denied").count(), 2, "{}", broker.log());
}
