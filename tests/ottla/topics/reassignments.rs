//! ElectLeaders, AlterPartitionReassignments, ListPartitionReassignments and AlterReplicaLogDirs.

use ottla_wire::protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, ReassignablePartition, ReassignableTopic,
};
use ottla_wire::protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDir, AlterReplicaLogDirTopic, AlterReplicaLogDirsRequest,
};
use ottla_wire::protocol::messages::elect_leaders::{ElectLeadersRequest, TopicPartitions};
use ottla_wire::protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsTopics,
};

use crate::fixture::{Fixture, code, text};

/// Calls ElectLeaders; returns the top-level error, then `topic-partition error: message` for each partition.
async fn elect(fixture: &Fixture, version: i16, election_type: i8, topics: Option<&[(&str, &[i32])]>) -> Vec<String> {
    let topic = |(name, indexes): &(&str, &[i32])| TopicPartitions { topic: text(name), partitions: indexes.to_vec() };
    let topic_partitions = topics.map(|topics| topics.iter().map(topic).collect());
    let request = ElectLeadersRequest { election_type, topic_partitions, ..Default::default() };
    let answer = fixture.client.call_at(request, version).await.unwrap();
    let mut lines = vec![code(answer.error_code).to_owned()];
    for topic in &answer.replica_election_results {
        for it in &topic.partition_result {
            let message = it.error_message.as_deref().unwrap_or_default();
            lines.push(format!("{}-{} {}: {message}", topic.topic, it.partition_id, code(it.error_code)));
        }
        if topic.partition_result.is_empty() {
            lines.push(format!("{}: nothing", topic.topic));
        }
    }
    lines
}

const NOT_NEEDED: &str = "ELECTION_NOT_NEEDED: Leader election not needed for topic partition.";

#[tokio::test]
async fn elect_leaders_returns_election_not_needed() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    fixture.topic("u", &[]).await;
    let (preferred, unclean) = (0, 1);
    for version in 0..=2 {
        // In version 0, which clients of Kafka 2.2 and 2.3 use, it is a success.
        let not_needed =
            if version == 0 { NOT_NEEDED.replace("ELECTION_NOT_NEEDED", "NONE") } else { NOT_NEEDED.to_owned() };
        for election in [preferred, unclean] {
            let all = elect(&fixture, version, election, None).await;
            assert_eq!(all, ["NONE", "t: nothing", "u: nothing"]);
            let some = elect(&fixture, version, election, Some(&[("t", &[0, 1, 0]), ("missing", &[0])])).await;
            let expect = [
                "NONE".to_owned(),
                format!("t-0 {not_needed}"),
                "t-1 UNKNOWN_TOPIC_OR_PARTITION: No such partition as t-1".to_owned(),
                format!("t-0 {not_needed}"),
                "missing-0 UNKNOWN_TOPIC_OR_PARTITION: No such topic as missing".to_owned(),
            ];
            assert_eq!(some, expect);
        }
    }
    assert_eq!(
        elect(&fixture, 0, 7, Some(&[("t", &[0])])).await,
        ["NONE", "t-0 NONE: Leader election not needed for topic partition."]
    );
    let unknown = ["INVALID_REQUEST", "t-0 INVALID_REQUEST: Unknown election type 7"];
    assert_eq!(elect(&fixture, 2, 7, Some(&[("t", &[0])])).await, unknown);
    assert_eq!(elect(&fixture, 2, 7, None).await, ["INVALID_REQUEST"]);
}

#[tokio::test]
async fn reassignment_to_an_unregistered_broker_is_refused() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    let unregistered = "INVALID_REPLICA_ASSIGNMENT The manual partition assignment includes broker 7, but no such broker is registered.";
    for (topic, partition_index, replicas, expect) in [
        ("t", 0, Some(&[1][..]), "NONE "),
        ("t", 0, None, "NO_REASSIGNMENT_IN_PROGRESS "),
        ("t", 0, Some(&[7]), unregistered),
        ("t", 0, Some(&[1, 7]), unregistered),
        (
            "t",
            0,
            Some(&[1, 1]),
            "INVALID_REPLICA_ASSIGNMENT The manual partition assignment includes the broker 1 more than once.",
        ),
        (
            "t",
            0,
            Some(&[]),
            "INVALID_REPLICA_ASSIGNMENT The manual partition assignment includes an empty replica list.",
        ),
        ("t", 9, Some(&[1]), "UNKNOWN_TOPIC_OR_PARTITION Unable to find partition t:9."),
        ("missing", 0, None, "UNKNOWN_TOPIC_OR_PARTITION Unable to find a topic named missing."),
    ] {
        let partitions = vec![ReassignablePartition { partition_index, replicas: replicas.map(<[i32]>::to_vec) }];
        for version in 0..=1 {
            let request = AlterPartitionReassignmentsRequest {
                allow_replication_factor_change: version == 0,
                topics: vec![ReassignableTopic { name: text(topic), partitions: partitions.clone() }],
                ..Default::default()
            };
            let answer = fixture.client.call_at(request, version).await.unwrap();
            assert_eq!((code(answer.error_code), answer.allow_replication_factor_change), ("NONE", version == 0));
            let result = &answer.responses[0].partitions[0];
            let message = result.error_message.as_deref().unwrap_or_default();
            assert_eq!(format!("{} {message}", code(result.error_code)), expect);
        }
    }
    let topic = ListPartitionReassignmentsTopics { name: text("t"), partition_indexes: vec![0, 9] };
    for topics in [None, Some(vec![topic])] {
        let request = ListPartitionReassignmentsRequest { topics, ..Default::default() };
        let response = fixture.client.call(request).await.unwrap();
        assert_eq!((code(response.error_code), response.topics.len()), ("NONE", 0));
    }
}

#[tokio::test]
async fn alter_replica_log_dirs_to_another_directory_returns_log_dir_not_found() {
    let fixture = Fixture::start().await;
    fixture.topic("t", &[]).await;
    let ours = fixture.broker.data_dir().display().to_string();
    let slashed = format!("{ours}/");
    for (dirs, topic, index, expect) in [
        (&[&*ours][..], "t", 0, "NONE"),
        (&[&slashed], "t", 0, "LOG_DIR_NOT_FOUND"),
        (&["/elsewhere"], "t", 0, "LOG_DIR_NOT_FOUND"),
        (&[&ours, "/elsewhere"], "t", 0, "LOG_DIR_NOT_FOUND"),
        (&["/elsewhere", &ours], "t", 0, "NONE"),
        (&[&ours], "t", 1, "UNKNOWN_TOPIC_OR_PARTITION"),
        (&[&ours], "missing", 0, "UNKNOWN_TOPIC_OR_PARTITION"),
        (&["/elsewhere"], "missing", 0, "LOG_DIR_NOT_FOUND"),
    ] {
        let topics = vec![AlterReplicaLogDirTopic { name: text(topic), partitions: vec![index] }];
        let dir = |path: &&str| AlterReplicaLogDir { path: text(path), topics: topics.clone() };
        let request = AlterReplicaLogDirsRequest { dirs: dirs.iter().map(dir).collect() };
        for version in 0..=2 {
            let response = fixture.client.call_at(request.clone(), version).await.unwrap();
            let [result] = &response.results[..] else { panic!("{response:?}") };
            assert_eq!((&*result.topic_name, result.partitions.len()), (topic, 1));
            assert_eq!(code(result.partitions[0].error_code), expect, "{dirs:?} {topic}-{index}");
        }
    }
}
