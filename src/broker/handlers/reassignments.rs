//! Where partitions are and who leads them: AlterReplicaLogDirs (key 34, versions 0 to 2), ElectLeaders
//! (43, 0 to 2), AlterPartitionReassignments (45, 0 to 1) and ListPartitionReassignments (46, version 0).
//!
//! One broker with one log directory has everything where it can be: what is already so succeeds, and
//! everything else is refused as Apache Kafka refuses it.
//!
//! Departures: in a metadata log taken over from a larger cluster, a partition is not moved off brokers
//! that are gone (INVALID_REPLICA_ASSIGNMENT), nor led by a replica that was out of sync
//! (ELIGIBLE_LEADERS_NOT_AVAILABLE). Version 0 of AlterReplicaLogDirs, which Apache Kafka has dropped, is
//! answered like the others.

use std::collections::BTreeMap;

use super::context::{Answer, Context};
use super::errors::ToErrorCode;
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
    ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse,
};
use ottla_wire::types::{ErrorCode, PartitionIndex};

pub(super) fn alter_log_dirs(context: &Context, request: AlterReplicaLogDirsRequest) -> Answer {
    let cluster = context.broker.cluster();
    let ours = context.broker.log_dir().absolute_path().display().to_string();
    // Of several directories for one partition the last counts.
    let mut asked: BTreeMap<Str, BTreeMap<PartitionIndex, bool>> = BTreeMap::new();
    for dir in request.dirs {
        let is_ours = *dir.path == *ours;
        for topic in dir.topics {
            let partitions = topic.partitions.into_iter().map(|index| (index, is_ours));
            asked.entry(topic.name).or_default().extend(partitions);
        }
    }
    let result = |name: &str, index, is_ours: bool| match cluster.partition(name, index) {
        _ if !is_ours => ErrorCode::LogDirNotFound,
        Err(why) => why.error_code(),
        Ok(_) => ErrorCode::None,
    };
    let results = asked.into_iter().map(|(topic_name, partitions)| AlterReplicaLogDirTopicResult {
        partitions: partitions
            .into_iter()
            .map(|(partition_index, is_ours)| AlterReplicaLogDirPartitionResult {
                partition_index,
                error_code: result(&topic_name, partition_index, is_ours).code(),
            })
            .collect(),
        topic_name,
    });
    AlterReplicaLogDirsResponse { results: results.collect(), ..Default::default() }.into()
}

type Refused = (ErrorCode, String);

/// Which replica shall lead.
#[derive(Clone, Copy)]
enum Election {
    /// The first of the partition's replicas.
    Preferred,
    /// Any, if there is no leader, be it out of sync.
    Unclean,
}

pub(super) fn elect_leaders(context: &Context, request: ElectLeadersRequest) -> Answer {
    let election = match (context.version(), request.election_type) {
        // There was one type before there was a field for it.
        (0, _) | (_, 0) => Election::Preferred,
        (_, 1) => Election::Unclean,
        (_, other) => return unknown_election(request, other),
    };
    let image = &context.broker.cluster().image;
    let replica_election_results = match request.topic_partitions {
        Some(topics) => topics
            .into_iter()
            .map(|topic| {
                let elected = topic.partitions.into_iter().map(|index| elected(image, &topic.topic, index, election));
                ReplicaElectionResult { partition_result: elected.collect(), topic: topic.topic }
            })
            .collect(),
        None => elected_everywhere(image, election),
    };
    ElectLeadersResponse { replica_election_results, ..Default::default() }.into()
}

/// Every topic, with those partitions where more is to be said than that there is nothing to do.
fn elected_everywhere(image: &Image, election: Election) -> Vec<ReplicaElectionResult> {
    let topics = image.topics_by_name().into_iter().map(|topic| {
        let elected = topic.partitions().map(|(index, _)| elected(image, &topic.name, index, election));
        let partition_result = elected.filter(|one| one.error_code != ErrorCode::ElectionNotNeeded.code()).collect();
        ReplicaElectionResult { topic: (&*topic.name).into(), partition_result }
    });
    topics.collect()
}

/// The outcome for one partition. This broker made itself the leader of whatever it could when it
/// started, so there is never anything left to do.
fn elected(image: &Image, topic: &str, index: PartitionIndex, election: Election) -> PartitionResult {
    let (error, message) = match image.topic(topic).map(|it| it.partition(index)) {
        None => (ErrorCode::UnknownTopicOrPartition, format!("No such topic as {topic}")),
        Some(None) => (ErrorCode::UnknownTopicOrPartition, format!("No such partition as {topic}-{index}")),
        Some(Some(partition)) => why_not_elected(partition, election),
    };
    PartitionResult { partition_id: index, error_code: error.code(), error_message: Some(message.into()) }
}

fn why_not_elected(partition: &PartitionImage, election: Election) -> Refused {
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

/// Says of everything asked that there is no such election.
fn unknown_election(request: ElectLeadersRequest, election_type: i8) -> Answer {
    // As in Kafka, nothing is wrong with an election of nothing.
    let nothing = request.topic_partitions.as_ref().is_some_and(Vec::is_empty);
    let error_code = if nothing { ErrorCode::None } else { ErrorCode::InvalidRequest }.code();
    let refused = |partition_id| PartitionResult {
        partition_id,
        error_code,
        error_message: Some(format!("Unknown election type {election_type}").into()),
    };
    let topics = request.topic_partitions.unwrap_or_default().into_iter().map(|topic| ReplicaElectionResult {
        topic: topic.topic,
        partition_result: topic.partitions.into_iter().map(refused).collect(),
    });
    ElectLeadersResponse { error_code, replica_election_results: topics.collect(), ..Default::default() }.into()
}

pub(super) fn alter(context: &Context, request: AlterPartitionReassignmentsRequest) -> Answer {
    let image = &context.broker.cluster().image;
    // Kafka says "no error" with an empty message where nothing was asked.
    let error_message = request.topics.is_empty().then(Str::new);
    let responses = request.topics.into_iter().map(|topic| {
        let partitions = topic.partitions.iter().map(|partition| {
            let refused = reassigned(image, &topic.name, partition).err();
            ReassignablePartitionResponse {
                partition_index: partition.partition_index,
                error_code: refused.as_ref().map_or(ErrorCode::None, |(error, _)| *error).code(),
                error_message: refused.and_then(|(_, why)| why).map(Str::from),
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

/// Whether a partition is where it is asked to be.
fn reassigned(image: &Image, topic: &str, asked: &ReassignablePartition) -> Result<(), (ErrorCode, Option<String>)> {
    let unknown = |why| (ErrorCode::UnknownTopicOrPartition, Some(why));
    let invalid = |why| Err((ErrorCode::InvalidReplicaAssignment, Some(why)));
    let index = asked.partition_index;
    let found = image.topic(topic).ok_or_else(|| unknown(format!("Unable to find a topic named {topic}.")))?;
    let partition =
        found.partition(index).ok_or_else(|| unknown(format!("Unable to find partition {topic}:{index}.")))?;
    let Some(replicas) = &asked.replicas else {
        return Err((ErrorCode::NoReassignmentInProgress, None));
    };
    check_assignment(replicas, |id| image.brokers().contains_key(&id)).or_else(invalid)?;
    match replicas[..] == partition.replicas[..] {
        true => Ok(()),
        false => invalid("Nothing can be moved: this is the only broker that runs.".to_owned()),
    }
}

/// Nothing ever moves.
pub(super) fn list(_request: ListPartitionReassignmentsRequest) -> Answer {
    ListPartitionReassignmentsResponse::default().into()
}
