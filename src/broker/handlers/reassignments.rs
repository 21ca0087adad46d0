//! Replica assignment and leader election: AlterReplicaLogDirs (key 34, versions 0 to 2), ElectLeaders (43, 0 to 2),
//! AlterPartitionReassignments (45, 0 to 1) and ListPartitionReassignments (46, version 0).
//!
//! With one broker and one log directory there is nothing to move. A request for the current state succeeds; all others
//! are refused with Apache Kafka's errors.
//!
//! Departures: in a metadata log from a larger cluster, partitions cannot be moved off brokers that no longer exist
//! (INVALID_REPLICA_ASSIGNMENT), and a replica that was out of sync cannot become the leader
//! (ELIGIBLE_LEADERS_NOT_AVAILABLE). Version 0 of AlterReplicaLogDirs, which Apache Kafka no longer supports, is
//! answered like the others.

use std::collections::BTreeMap;

use super::authorizer::{Denied, Operation, Resource};
use super::context::{Answer, Context};
use super::errors::{Refused, ToErrorCode};
use ottla_core::metadata::{Image, PartitionImage, check_assignment};
use ottla_wire::codec::Str;
use ottla_wire::protocol::messages::alter_partition_reassignments::{
    AlterPartitionReassignmentsRequest, AlterPartitionReassignmentsResponse, ReassignablePartition,
    ReassignablePartitionResponse, ReassignableTopicResponse,
};
use ottla_wire::protocol::messages::alter_replica_log_dirs::{
    AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopicResult, AlterReplicaLogDirsRequest,
    AlterReplicaLogDirsResponse,
};
use ottla_wire::protocol::messages::elect_leaders::{
    ElectLeadersRequest, ElectLeadersResponse, PartitionResult, ReplicaElectionResult,
};
use ottla_wire::protocol::messages::list_partition_reassignments::{
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse, OngoingPartitionReassignment,
    OngoingTopicReassignment,
};
use ottla_wire::types::{ErrorCode, PartitionIndex};

pub(super) fn alter_log_dirs(context: &Context, request: AlterReplicaLogDirsRequest) -> Answer {
    let cluster = context.broker.cluster();
    let log_dir = context.broker.log_dir().absolute_path().display().to_string();
    // Of several directories for one partition, the last one applies.
    let mut requested: BTreeMap<Str, BTreeMap<PartitionIndex, bool>> = BTreeMap::new();
    for dir in request.dirs {
        let is_log_dir = *dir.path == *log_dir;
        for topic in dir.topics {
            let partitions = topic.partitions.into_iter().map(|index| (index, is_log_dir));
            requested.entry(topic.name).or_default().extend(partitions);
        }
    }
    let authorized = context.authorize(Operation::Alter, Resource::Cluster);
    let result = |name: &str, index, is_log_dir: bool| match (authorized, cluster.partition(name, index)) {
        (Err(denied), _) => denied.error_code(),
        _ if !is_log_dir => ErrorCode::LogDirNotFound,
        (_, Err(why)) => why.error_code(),
        (_, Ok(_)) => ErrorCode::None,
    };
    let results = requested.into_iter().map(|(topic_name, partitions)| AlterReplicaLogDirTopicResult {
        partitions: partitions
            .into_iter()
            .map(|(partition_index, is_log_dir)| AlterReplicaLogDirPartitionResult {
                partition_index,
                error_code: result(&topic_name, partition_index, is_log_dir).code(),
            })
            .collect(),
        topic_name,
    });
    AlterReplicaLogDirsResponse { results: results.collect(), ..Default::default() }.into()
}

/// The kind of election.
#[derive(Clone, Copy)]
enum Election {
    /// Elects the first of the partition's replicas.
    Preferred,
    /// Elects any replica, even one that is out of sync, if there is no leader.
    Unclean,
}

pub(super) fn elect_leaders(context: &Context, request: ElectLeadersRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::Alter, Resource::Cluster) {
        return refused_election(request, denied.error_code(), denied.message());
    }
    let election = match (context.version(), request.election_type) {
        // Version 0 has one type, and no field for it.
        (0, _) | (_, 0) => Election::Preferred,
        (_, 1) => Election::Unclean,
        (_, other) => return unknown_election(request, other),
    };
    let image = &context.broker.cluster().image;
    let replica_election_results = match request.topic_partitions {
        Some(topics) => topics
            .into_iter()
            .map(|topic| {
                let elected = topic.partitions.into_iter().map(|index| elect(image, &topic.topic, index, election));
                ReplicaElectionResult { partition_result: elected.collect(), topic: topic.topic }
            })
            .collect(),
        None => elect_all(image, election),
    };
    ElectLeadersResponse { replica_election_results, ..Default::default() }.into()
}

/// The results for all topics, without partitions that need no election.
fn elect_all(image: &Image, election: Election) -> Vec<ReplicaElectionResult> {
    let topics = image.topics_by_name().into_iter().map(|topic| {
        let elected = topic.partitions().map(|(index, _)| elect(image, &topic.name, index, election));
        let partition_result = elected.filter(|one| one.error_code != ErrorCode::ElectionNotNeeded.code()).collect();
        ReplicaElectionResult { topic: (&*topic.name).into(), partition_result }
    });
    topics.collect()
}

/// The result for one partition: always an error, because at its start this broker became the leader of all
/// partitions that it can lead.
fn elect(image: &Image, topic: &str, index: PartitionIndex, election: Election) -> PartitionResult {
    let (error, message) = match image.topic(topic).map(|it| it.partition(index)) {
        None => (ErrorCode::UnknownTopicOrPartition, format!("No such topic as {topic}")),
        Some(None) => (ErrorCode::UnknownTopicOrPartition, format!("No such partition as {topic}-{index}")),
        Some(Some(partition)) => election_error(partition, election),
    };
    PartitionResult { partition_id: index, error_code: error.code(), error_message: Some(message.into()) }
}

fn election_error(partition: &PartitionImage, election: Election) -> Refused {
    let preferred = partition.replicas.first() == Some(&partition.leader);
    let (error, message) = match election {
        Election::Preferred if !preferred => {
            (ErrorCode::PreferredLeaderNotAvailable, "The preferred leader was not available.")
        }
        Election::Unclean if !partition.has_leader() => {
            (ErrorCode::EligibleLeadersNotAvailable, "Eligible topic partition leaders are not available.")
        }
        _ => (ErrorCode::ElectionNotNeeded, "Leader election not needed for topic partition."),
    };
    (error, message.to_owned())
}

/// The response to an unknown election type.
fn unknown_election(request: ElectLeadersRequest, election_type: i8) -> Answer {
    // As in Kafka, not an error if the request names no topics.
    let nothing = request.topic_partitions.as_ref().is_some_and(Vec::is_empty);
    let error = if nothing { ErrorCode::None } else { ErrorCode::InvalidRequest };
    refused_election(request, error, &format!("Unknown election type {election_type}"))
}

/// The response with one error, for the request and each of its partitions.
fn refused_election(request: ElectLeadersRequest, error: ErrorCode, message: &str) -> Answer {
    let error_code = error.code();
    let refused = |partition_id| PartitionResult { partition_id, error_code, error_message: Some(message.into()) };
    let topics = request.topic_partitions.unwrap_or_default().into_iter().map(|topic| ReplicaElectionResult {
        topic: topic.topic,
        partition_result: topic.partitions.into_iter().map(refused).collect(),
    });
    ElectLeadersResponse { error_code, replica_election_results: topics.collect(), ..Default::default() }.into()
}

pub(super) fn alter(context: &Context, request: AlterPartitionReassignmentsRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::Alter, Resource::Cluster) {
        return denied_reassignment(request, denied);
    }
    let image = &context.broker.cluster().image;
    // As in Kafka, the message is empty instead of null if the request names no topics.
    let error_message = request.topics.is_empty().then(Str::new);
    let responses = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let refused = check_reassignment(image, &topic.name, partition).err();
            ReassignablePartitionResponse {
                partition_index: partition.partition_index,
                error_code: refused.as_ref().map_or(ErrorCode::None, |(error, _)| *error).code(),
                error_message: refused.and_then(|(_, message)| message).map(Str::from),
            }
        });
        ReassignableTopicResponse { partitions: partitions.collect(), name: topic.name }
    });
    AlterPartitionReassignmentsResponse {
        allow_replication_factor_change: request.allow_replication_factor_change,
        error_message,
        responses: responses.collect(),
        ..Default::default()
    }
    .into()
}

/// The response with one error, for the request and each of its partitions.
fn denied_reassignment(request: AlterPartitionReassignmentsRequest, denied: Denied) -> Answer {
    let (error_code, message) = (denied.error_code().code(), Str::from_static(denied.message()));
    let refused = |partition: ReassignablePartition| ReassignablePartitionResponse {
        partition_index: partition.partition_index,
        error_code,
        error_message: Some(message.clone()),
    };
    let responses = request.topics.into_iter().map(|topic| ReassignableTopicResponse {
        partitions: topic.partitions.into_iter().map(refused).collect(),
        name: topic.name,
    });
    AlterPartitionReassignmentsResponse {
        error_code,
        error_message: Some(message.clone()),
        responses: responses.collect(),
        ..Default::default()
    }
    .into()
}

/// Checks that a partition already has the requested replicas.
fn check_reassignment(
    image: &Image,
    topic: &str,
    requested: &ReassignablePartition,
) -> Result<(), (ErrorCode, Option<String>)> {
    let unknown = |message| (ErrorCode::UnknownTopicOrPartition, Some(message));
    let invalid = |message| Err((ErrorCode::InvalidReplicaAssignment, Some(message)));
    let index = requested.partition_index;
    let found = image.topic(topic).ok_or_else(|| unknown(format!("Unable to find a topic named {topic}.")))?;
    let partition =
        found.partition(index).ok_or_else(|| unknown(format!("Unable to find partition {topic}:{index}.")))?;
    let Some(replicas) = &requested.replicas else {
        return Err((ErrorCode::NoReassignmentInProgress, None));
    };
    check_assignment(replicas, |id| image.brokers().contains_key(&id)).or_else(invalid)?;
    match replicas[..] == partition.replicas[..] {
        true => Ok(()),
        false => invalid("Nothing can be moved: this is the only broker that runs.".to_owned()),
    }
}

/// Lists no reassignments, because there are none with one broker.
pub(super) fn list(context: &Context, request: ListPartitionReassignmentsRequest) -> Answer {
    if let Err(denied) = context.authorize(Operation::Describe, Resource::Cluster) {
        // As in Kafka, with an empty entry for each requested partition.
        let topics = request.topics.into_iter().flatten().map(|topic| OngoingTopicReassignment {
            name: topic.name,
            partitions: topic
                .partition_indexes
                .into_iter()
                .map(|partition_index| OngoingPartitionReassignment { partition_index, ..Default::default() })
                .collect(),
        });
        return ListPartitionReassignmentsResponse {
            error_code: denied.error_code().code(),
            error_message: Some(Str::from_static(denied.message())),
            topics: topics.collect(),
            ..Default::default()
        }
        .into();
    }
    ListPartitionReassignmentsResponse::default().into()
}
