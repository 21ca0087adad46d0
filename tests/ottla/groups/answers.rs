//! The group APIs: coordinators, members, committed offsets, administration.

use std::time::Duration;

use bytes::Bytes;
use ottla::client::{Client, ClientError, Joined, Subscription};
use ottla_wire::protocol::messages::delete_groups::DeleteGroupsRequest;
use ottla_wire::protocol::messages::describe_groups::DescribeGroupsRequest;
use ottla_wire::protocol::messages::find_coordinator::FindCoordinatorRequest;
use ottla_wire::protocol::messages::heartbeat::HeartbeatRequest;
use ottla_wire::protocol::messages::join_group::{JoinGroupRequest, JoinGroupRequestProtocol, JoinGroupResponse};
use ottla_wire::protocol::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use ottla_wire::protocol::messages::list_groups::ListGroupsRequest;
use ottla_wire::protocol::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic,
};
use ottla_wire::protocol::messages::offset_delete::{
    OffsetDeleteRequest, OffsetDeleteRequestPartition, OffsetDeleteRequestTopic,
};
use ottla_wire::protocol::messages::offset_fetch::{
    OffsetFetchRequest, OffsetFetchRequestGroup, OffsetFetchRequestTopics,
};
use ottla_wire::protocol::messages::sync_group::SyncGroupRequest;
use ottla_wire::types::{TopicId, Uuid};

use crate::fixture::{Fixture, code, text};

fn name_of(result: Result<(), ClientError>) -> &'static str {
    match result {
        Ok(()) => "NONE",
        Err(error) => error.code().unwrap_or_else(|| panic!("{error}")).name(),
    }
}

fn joining(group: &str, member: &str) -> JoinGroupRequest {
    JoinGroupRequest {
        group_id: text(group),
        session_timeout_ms: 10_000,
        rebalance_timeout_ms: 10_000,
        member_id: text(member),
        protocol_type: text("consumer"),
        protocols: vec![JoinGroupRequestProtocol { name: text("range"), metadata: Bytes::new() }],
        ..Default::default()
    }
}

async fn join(client: &Client, request: JoinGroupRequest, version: i16) -> (&'static str, JoinGroupResponse) {
    let answer = client.call_at(request, version).await.unwrap();
    (code(answer.error_code), answer)
}

/// A group of one member, which is its leader and has its assignment.
async fn stable_group(client: &Client, group: &str) -> Joined {
    let subscription = Subscription {
        group: group.to_owned(),
        protocol_type: "consumer".to_owned(),
        protocols: vec![("range".to_owned(), Bytes::new())],
        session_timeout: Duration::from_secs(10),
        rebalance_timeout: Duration::from_secs(10),
        instance_id: None,
    };
    let joined = client.join_group(&subscription, "").await.unwrap();
    client.sync_group(&joined, &[(joined.member.id.clone(), Bytes::from_static(b"all"))]).await.unwrap();
    joined
}

#[tokio::test]
async fn find_coordinator_returns_this_broker_for_every_group_and_transactional_id() {
    let fixture = Fixture::start().await;
    let node = fixture.client.metadata(None).await.unwrap().brokers[0].node_id;
    for version in 0..=6 {
        for (key_type, expect, found) in
            [(0, "NONE", node), (1, "NONE", node), (2, "INVALID_REQUEST", -1), (9, "INVALID_REQUEST", -1)]
        {
            if version == 0 && key_type != 0 {
                continue;
            }
            let keys = ["group", "", "group"].map(text);
            let request = FindCoordinatorRequest { key: text("group"), key_type, coordinator_keys: keys.to_vec() };
            let answer = fixture.client.call_at(request, version).await.unwrap();
            let results = match version < 4 {
                true => vec![(code(answer.error_code), answer.node_id)],
                false => answer.coordinators.iter().map(|one| (code(one.error_code), one.node_id)).collect(),
            };
            assert_eq!(results, vec![(expect, found); if version < 4 { 1 } else { 3 }], "{key_type} in {version}");
        }
    }
}

#[tokio::test]
async fn invalid_join_returns_its_error_code() {
    let fixture = Fixture::start().await;
    let joined = stable_group(&fixture.client, "group").await;
    for (what, request, expect) in [
        ("no group", joining("", ""), "INVALID_GROUP_ID"),
        (
            "too short a session",
            JoinGroupRequest { session_timeout_ms: 1, ..joining("new", "") },
            "INVALID_SESSION_TIMEOUT",
        ),
        (
            "too long a session",
            JoinGroupRequest { session_timeout_ms: i32::MAX, ..joining("new", "") },
            "INVALID_SESSION_TIMEOUT",
        ),
        ("an unknown member", joining("new", "unknown"), "UNKNOWN_MEMBER_ID"),
        ("an unknown member of an existing group", joining("group", "unknown"), "UNKNOWN_MEMBER_ID"),
        (
            "no protocols",
            JoinGroupRequest { protocols: Vec::new(), ..joining("new", "") },
            "INCONSISTENT_GROUP_PROTOCOL",
        ),
        (
            "another type",
            JoinGroupRequest { protocol_type: text("connect"), ..joining("group", "") },
            "INCONSISTENT_GROUP_PROTOCOL",
        ),
    ] {
        for version in [0, 3, 5, 9] {
            assert_eq!(join(&fixture.client, request.clone(), version).await.0, expect, "{what}, version {version}");
        }
    }
    drop(joined);
}

#[tokio::test]
async fn join_from_version_4_returns_member_id_required_first() {
    let fixture = Fixture::start().await;
    for version in 0..=9 {
        let group = format!("group-{version}");
        let (error, first) = join(&fixture.client, joining(&group, ""), version).await;
        assert!(first.member_id.starts_with("ottla-"), "{}", first.member_id);
        if version < 4 {
            assert_eq!((error, first.generation_id), ("NONE", 1), "version {version}");
            continue;
        }
        assert_eq!((error, first.generation_id), ("MEMBER_ID_REQUIRED", -1), "version {version}");
        let (error, second) = join(&fixture.client, joining(&group, &first.member_id), version).await;
        assert_eq!((error, second.generation_id, second.members.len()), ("NONE", 1, 1), "version {version}");
        assert_eq!(second.leader, first.member_id);
        assert_eq!(second.protocol_type.as_deref(), (version >= 7).then_some("consumer"));
    }
}

#[tokio::test]
async fn heartbeat_and_sync_check_member_and_generation() {
    let fixture = Fixture::start().await;
    let joined = stable_group(&fixture.client, "group").await;
    let member = &*joined.member.id;
    for (group, generation, member, expect) in [
        ("group", 1, member, "NONE"),
        ("group", 7, member, "ILLEGAL_GENERATION"),
        ("group", 1, "unknown", "UNKNOWN_MEMBER_ID"),
        ("missing", 1, member, "UNKNOWN_MEMBER_ID"),
        ("", 1, member, "INVALID_GROUP_ID"),
    ] {
        let heartbeat = HeartbeatRequest {
            group_id: text(group),
            generation_id: generation,
            member_id: text(member),
            group_instance_id: None,
        };
        let sync = SyncGroupRequest {
            group_id: text(group),
            generation_id: generation,
            member_id: text(member),
            ..Default::default()
        };
        for version in 0..=4 {
            let answer = fixture.client.call_at(heartbeat.clone(), version).await.unwrap();
            assert_eq!(code(answer.error_code), expect, "heartbeat {version}: {group} {generation} {member}");
            let answer = fixture.client.call_at(sync.clone(), version).await.unwrap();
            assert_eq!(code(answer.error_code), expect, "sync {version}: {group} {generation} {member}");
        }
    }
    for (protocol_type, protocol_name, expect) in [
        (Some("consumer"), Some("range"), "NONE"),
        (Some("other"), Some("range"), "INCONSISTENT_GROUP_PROTOCOL"),
        (Some("consumer"), Some("other"), "INCONSISTENT_GROUP_PROTOCOL"),
        (None, Some("range"), "INCONSISTENT_GROUP_PROTOCOL"),
        (None, None, "INCONSISTENT_GROUP_PROTOCOL"),
    ] {
        let request = SyncGroupRequest {
            group_id: text("group"),
            generation_id: 1,
            member_id: text(member),
            protocol_type: protocol_type.map(text),
            protocol_name: protocol_name.map(text),
            ..Default::default()
        };
        let answer = fixture.client.call_at(request, 5).await.unwrap();
        assert_eq!(code(answer.error_code), expect, "{protocol_type:?} {protocol_name:?}");
    }
}

#[tokio::test]
async fn leave_group_answers_each_member() {
    let fixture = Fixture::start().await;
    let joined = stable_group(&fixture.client, "group").await;
    let identity = |member: &str, instance: Option<&str>| MemberIdentity {
        member_id: text(member),
        group_instance_id: instance.map(text),
        ..Default::default()
    };
    let request = LeaveGroupRequest {
        group_id: text("group"),
        members: vec![identity("unknown", None), identity("", Some("missing")), identity(&joined.member.id, None)],
        ..Default::default()
    };
    let answer = fixture.client.call_at(request, 5).await.unwrap();
    let results: Vec<_> = answer.members.iter().map(|member| code(member.error_code)).collect();
    assert_eq!((code(answer.error_code), results), ("NONE", vec!["UNKNOWN_MEMBER_ID", "UNKNOWN_MEMBER_ID", "NONE"]));
    let again = LeaveGroupRequest { group_id: text("group"), member_id: text(&joined.member.id), ..Default::default() };
    assert_eq!(code(fixture.client.call_at(again, 2).await.unwrap().error_code), "UNKNOWN_MEMBER_ID");
}

fn commit(
    group: &str,
    topic: &str,
    id: TopicId,
    partitions: &[(i32, i64)],
    metadata: Option<&str>,
) -> OffsetCommitRequest {
    let partition = |&(partition_index, committed_offset): &(i32, i64)| OffsetCommitRequestPartition {
        partition_index,
        committed_offset,
        committed_metadata: metadata.map(text),
        ..Default::default()
    };
    let topic = OffsetCommitRequestTopic {
        name: text(topic),
        topic_id: id,
        partitions: partitions.iter().map(partition).collect(),
    };
    OffsetCommitRequest { group_id: text(group), topics: vec![topic], ..Default::default() }
}

#[tokio::test]
async fn offset_commit_answers_each_partition() {
    let fixture = Fixture::start().await;
    let id = fixture.client.create_topic("t", 2, &[]).await.unwrap();
    let long = "x".repeat(5000);
    for version in 0..=10 {
        let unknown = if version < 10 { "UNKNOWN_TOPIC_OR_PARTITION" } else { "UNKNOWN_TOPIC_ID" };
        for (request, expect) in [
            (commit("g", "t", id, &[(0, 5), (9, 1)], None), &["NONE", "UNKNOWN_TOPIC_OR_PARTITION"][..]),
            (commit("g", "missing", Uuid([7; 16]), &[(0, 5)], None), &[unknown]),
            (commit("g", "t", id, &[(0, 5)], Some(&long)), &["OFFSET_METADATA_TOO_LARGE"]),
            (commit("g", "t", id, &[(0, 6)], Some("m")), &["NONE"]),
        ] {
            let answer = fixture.client.call_at(request, version).await.unwrap();
            let results: Vec<_> = answer.topics[0].partitions.iter().map(|one| code(one.error_code)).collect();
            assert_eq!(results, expect, "version {version}");
        }
        let committed = fixture.client.committed_offsets("g", "t", &[0, 1]).await.unwrap();
        let results: Vec<_> = committed.iter().map(|one| (one.offset, one.metadata.as_deref())).collect();
        assert_eq!(results, [(6, Some("m")), (-1, Some(""))], "version {version}");
    }
}

#[tokio::test]
async fn offset_commit_to_an_active_group_by_a_non_member_is_refused() {
    let fixture = Fixture::start().await;
    let id = fixture.topic("t", &[]).await;
    let joined = stable_group(&fixture.client, "g").await;
    let member = &*joined.member.id;
    for (group, generation, member, expect) in [
        ("g", 1, member, "NONE"),
        ("g", -1, "", "UNKNOWN_MEMBER_ID"),
        ("g", 7, member, "ILLEGAL_GENERATION"),
        ("g", 1, "unknown", "UNKNOWN_MEMBER_ID"),
        ("other", -1, "", "NONE"),
        ("new", 3, "unknown", "ILLEGAL_GENERATION"),
    ] {
        let request = OffsetCommitRequest {
            generation_id_or_member_epoch: generation,
            member_id: text(member),
            ..commit(group, "t", id, &[(0, 5)], None)
        };
        let answer = fixture.client.call_at(request, 8).await.unwrap();
        let error = code(answer.topics[0].partitions[0].error_code);
        assert_eq!(error, expect, "{group} {generation} {member}");
    }
    assert_eq!(name_of(fixture.client.commit_offsets("g", Some(&joined.member), "t", &[(0, 6)]).await), "NONE");
}

/// OffsetFetch of several groups as text: `group!error` or `group:partition=offset,...`.
async fn fetched(fixture: &Fixture, version: i16, groups: Vec<OffsetFetchRequestGroup>) -> Vec<String> {
    let request = OffsetFetchRequest { groups, ..Default::default() };
    let answer = fixture.client.call_at(request, version).await.unwrap();
    let group = |group: &ottla_wire::protocol::messages::offset_fetch::OffsetFetchResponseGroup| {
        let partitions = group.topics.iter().flat_map(|topic| &topic.partitions);
        let results = partitions.map(|one| match one.error_code {
            0 => format!("{}={}", one.partition_index, one.committed_offset),
            error => format!("{}!{}", one.partition_index, code(error)),
        });
        match group.error_code {
            0 => format!("{}:{}", group.group_id, results.collect::<Vec<_>>().join(",")),
            error => format!("{}!{}", group.group_id, code(error)),
        }
    };
    answer.groups.iter().map(group).collect()
}

#[tokio::test]
async fn offset_fetch_of_several_groups_answers_each_group() {
    let fixture = Fixture::start().await;
    let id = fixture.client.create_topic("t", 2, &[]).await.unwrap();
    fixture.client.commit_offsets("g", None, "t", &[(0, 5)]).await.unwrap();
    let of = |group: &str, topic_id: TopicId, partition_indexes: Vec<i32>| OffsetFetchRequestGroup {
        group_id: text(group),
        topics: Some(vec![OffsetFetchRequestTopics { name: text("t"), topic_id, partition_indexes }]),
        ..Default::default()
    };
    let all = |group: &str| OffsetFetchRequestGroup { group_id: text(group), ..Default::default() };
    for version in 8..=10 {
        let results = fetched(&fixture, version, vec![of("g", id, vec![0, 1]), of("missing", id, vec![0])]).await;
        assert_eq!(results, ["g:0=5,1=-1", "missing:0=-1"], "version {version}");
        let results = fetched(&fixture, version, vec![all("g"), all("missing")]).await;
        assert_eq!(results, ["g:0=5", "missing:"], "version {version}");
    }
    let results = fetched(&fixture, 10, vec![of("g", Uuid([7; 16]), vec![0])]).await;
    assert_eq!(results, ["g:0!UNKNOWN_TOPIC_ID"]);
}

#[tokio::test]
async fn groups_are_described_and_listed_by_state() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    stable_group(&fixture.client, "stable").await;
    fixture.client.commit_offsets("offsets", None, "t", &[(0, 5)]).await.unwrap();
    for version in 0..=6 {
        let groups = ["stable", "offsets", "missing"].map(text).to_vec();
        let request = DescribeGroupsRequest { groups, include_authorized_operations: true };
        let answer = fixture.client.call_at(request, version).await.unwrap();
        let results: Vec<_> = answer
            .groups
            .iter()
            .map(|group| (code(group.error_code), &*group.group_state, group.members.len()))
            .collect();
        let missing = if version < 6 { "NONE" } else { "GROUP_ID_NOT_FOUND" };
        assert_eq!(results, [("NONE", "Stable", 1), ("NONE", "Empty", 0), (missing, "Dead", 0)], "version {version}");
        let operations: Vec<_> = answer.groups.iter().map(|group| group.authorized_operations).collect();
        let (of_existing, of_missing) =
            if version < 3 { (i32::MIN, i32::MIN) } else { (3400, if version < 6 { 3400 } else { i32::MIN }) };
        assert_eq!(operations, [of_existing, of_existing, of_missing], "version {version}");
    }
    for (states, types, expect) in [
        (&[][..], &[][..], &["offsets", "stable"][..]),
        (&["Stable"], &[], &["stable"]),
        (&["empty"], &[], &["offsets"]),
        (&["Bogus"], &[], &[]),
        (&[], &["classic"], &["offsets", "stable"]),
        (&[], &["consumer"], &[]),
    ] {
        let request = ListGroupsRequest {
            states_filter: states.iter().copied().map(text).collect(),
            types_filter: types.iter().copied().map(text).collect(),
        };
        let answer = fixture.client.call_at(request, 5).await.unwrap();
        let mut results: Vec<_> = answer.groups.iter().map(|group| &*group.group_id).collect();
        results.sort_unstable();
        assert_eq!((code(answer.error_code), results), ("NONE", expect.to_vec()), "{states:?} {types:?}");
    }
}

#[tokio::test]
async fn delete_groups_of_a_group_with_members_returns_non_empty_group() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    let joined = stable_group(&fixture.client, "used").await;
    fixture.client.commit_offsets("left", None, "t", &[(0, 5)]).await.unwrap();
    let delete = async |groups: &[&str]| {
        let request = DeleteGroupsRequest { groups_names: groups.iter().copied().map(text).collect() };
        let answer = fixture.client.call(request).await.unwrap();
        answer.results.iter().map(|result| code(result.error_code)).collect::<Vec<_>>()
    };
    let expect = ["NON_EMPTY_GROUP", "NONE", "GROUP_ID_NOT_FOUND"];
    assert_eq!(delete(&["used", "left", "missing", "missing"]).await, expect);
    assert_eq!(fixture.client.committed_offsets("left", "t", &[0]).await.unwrap()[0].offset, -1);
    fixture.client.leave_group(&joined.member).await.unwrap();
    assert_eq!(delete(&["used"]).await, ["NONE"]);
}

#[tokio::test]
async fn offset_delete_answers_each_partition() {
    let fixture = Fixture::start().await;
    fixture.client.create_topic("t", 2, &[]).await.unwrap();
    fixture.client.commit_offsets("g", None, "t", &[(0, 5), (1, 6)]).await.unwrap();
    let delete = async |group: &str, topic: &str, partitions: &[i32]| {
        let partition = |&partition_index: &i32| OffsetDeleteRequestPartition { partition_index };
        let topic =
            OffsetDeleteRequestTopic { name: text(topic), partitions: partitions.iter().map(partition).collect() };
        let request = OffsetDeleteRequest { group_id: text(group), topics: vec![topic] };
        let answer = fixture.client.call(request).await.unwrap();
        let results = answer.topics.iter().flat_map(|topic| &topic.partitions).map(|one| code(one.error_code));
        (code(answer.error_code), results.collect::<Vec<_>>())
    };
    assert_eq!(delete("missing", "t", &[0]).await, ("GROUP_ID_NOT_FOUND", vec![]));
    assert_eq!(delete("g", "t", &[0, 9]).await, ("NONE", vec!["NONE", "UNKNOWN_TOPIC_OR_PARTITION"]));
    assert_eq!(delete("g", "missing", &[0]).await, ("NONE", vec!["UNKNOWN_TOPIC_OR_PARTITION"]));
    let left: Vec<_> = fixture.client.committed_offsets("g", "t", &[0, 1]).await.unwrap();
    assert_eq!(left.iter().map(|one| one.offset).collect::<Vec<_>>(), [-1, 6]);
}
