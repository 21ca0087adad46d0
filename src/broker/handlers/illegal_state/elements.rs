//! Responses with a code for each element of the request.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use super::{ERROR, GENERAL};
use ottla_wire::codec::Str;
use ottla_wire::java::{sort_as_hash_map, sort_by_name, topic_partition_hash};
use ottla_wire::protocol::Response;
use ottla_wire::protocol::messages as m;
use ottla_wire::types::Uuid;

/// The initial capacity of a Java map.
const CAPACITY: usize = 16;
/// The first version of Fetch that has only an error of the whole response.
const FETCH_ERROR_FROM: i16 = 13;
/// The last version of OffsetFetch with an error for each partition is the one before this.
const FETCH_OF_PARTITIONS_BEFORE: i16 = 2;
/// The first version of OffsetFetch with a list of groups.
const FETCH_OF_GROUPS_FROM: i16 = 8;
/// The first version of FindCoordinator with a list of keys.
const SEVERAL_KEYS_FROM: i16 = 4;
/// The first version of AddPartitionsToTxn with a list of transactions.
const TRANSACTIONS_FROM: i16 = 4;

pub(super) fn produce(request: m::produce::ProduceRequest, message: &Str) -> Response {
    use m::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
    let mut partitions: Vec<(Uuid, Str, i32)> = Vec::new();
    for topic in request.topic_data {
        partitions.extend(topic.partition_data.iter().map(|data| (topic.topic_id, topic.name.clone(), data.index)));
    }
    let mut seen = HashSet::new();
    partitions.retain(|partition| seen.insert(partition.clone()));
    // Java's `HashMap.compute` puts a new key in front of the others of its bucket.
    partitions.reverse();
    sort_as_hash_map(&mut partitions, CAPACITY, |(id, name, index)| {
        let of_id = 31i32.wrapping_add(uuid_hash(*id)).wrapping_mul(31);
        of_id.wrapping_add(topic_partition_hash(name, *index))
    });
    let partitions = partitions.into_iter().map(|(topic_id, name, index)| {
        let partition = PartitionProduceResponse {
            index,
            error_code: ERROR,
            base_offset: -1,
            error_message: Some(message.clone()),
            ..Default::default()
        };
        ((topic_id, name), partition)
    });
    let topic = |((topic_id, name), partition_responses)| TopicProduceResponse { name, topic_id, partition_responses };
    ProduceResponse { responses: grouped(partitions).into_iter().map(topic).collect(), ..Default::default() }.into()
}

/// Groups values by their keys, in the order in which the keys occur first.
fn grouped<K: Clone + Eq + Hash, V>(values: impl Iterator<Item = (K, V)>) -> Vec<(K, Vec<V>)> {
    let mut groups: Vec<(K, Vec<V>)> = Vec::new();
    let mut positions = HashMap::new();
    for (key, value) in values {
        let position = *positions.entry(key.clone()).or_insert(groups.len());
        match groups.get_mut(position) {
            Some((_, group)) => group.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    groups
}

/// The partitions of a request, in the order of a Java map of them, grouped by topic in the order of a map of names.
fn of_maps(topics: impl Iterator<Item = (Str, Vec<i32>)>) -> Vec<(Str, Vec<i32>)> {
    let all = topics.flat_map(|(name, indexes)| indexes.into_iter().map(move |index| (name.clone(), index)));
    let mut seen = HashSet::new();
    let mut partitions: Vec<(Str, i32)> = all.filter(|partition| seen.insert(partition.clone())).collect();
    sort_as_hash_map(&mut partitions, CAPACITY, |(topic, partition)| topic_partition_hash(topic, *partition));
    let mut topics = grouped(partitions.into_iter());
    sort_by_name(&mut topics, |(name, _)| name);
    topics
}

/// `hashCode` of Kafka's `Uuid`.
fn uuid_hash(id: Uuid) -> i32 {
    let words = id.0.chunks_exact(4).map(|word| word.try_into().map_or(0, i32::from_be_bytes));
    words.fold(0, |hash, word| hash ^ word)
}

pub(super) fn fetch(version: i16, request: m::fetch::FetchRequest) -> Response {
    use m::fetch::{FetchTopic, FetchableTopicResponse, PartitionData};
    let partition = |partition_index| PartitionData {
        partition_index,
        error_code: ERROR,
        high_watermark: -1,
        aborted_transactions: Some(Vec::new()),
        records: Some(bytes::Bytes::new()),
        ..Default::default()
    };
    let topic = |topic: FetchTopic| FetchableTopicResponse {
        topic: topic.topic,
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|it| partition(it.partition)).collect(),
    };
    let topics = request.topics.into_iter().filter(|_| version < FETCH_ERROR_FROM);
    code!(fetch::FetchResponse, session_id: request.session_id, responses: topics.map(topic).collect())
}

pub(super) fn list_offsets(request: m::list_offsets::ListOffsetsRequest) -> Response {
    use m::list_offsets::{ListOffsetsPartitionResponse, ListOffsetsTopic, ListOffsetsTopicResponse};
    let partition =
        |partition_index| ListOffsetsPartitionResponse { partition_index, error_code: ERROR, ..Default::default() };
    let topic = |topic: ListOffsetsTopic| ListOffsetsTopicResponse {
        name: topic.name,
        partitions: topic.partitions.iter().map(|it| partition(it.partition_index)).collect(),
    };
    let topics = request.topics.into_iter().map(topic).collect();
    m::list_offsets::ListOffsetsResponse { topics, ..Default::default() }.into()
}

pub(super) fn metadata(request: m::metadata::MetadataRequest) -> Response {
    use m::metadata::{MetadataRequestTopic, MetadataResponseTopic};
    let topic = |topic: MetadataRequestTopic| MetadataResponseTopic {
        error_code: ERROR,
        name: Some(topic.name.unwrap_or_default()),
        topic_id: topic.topic_id,
        ..Default::default()
    };
    let topics = request.topics.into_iter().flatten().map(topic).collect();
    code!(metadata::MetadataResponse, topics: topics)
}

pub(super) fn offset_commit(request: m::offset_commit::OffsetCommitRequest) -> Response {
    use m::offset_commit::{OffsetCommitRequestTopic, OffsetCommitResponsePartition, OffsetCommitResponseTopic};
    let partition = |partition_index| OffsetCommitResponsePartition { partition_index, error_code: ERROR };
    let topic = |topic: OffsetCommitRequestTopic| OffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|it| partition(it.partition_index)).collect(),
    };
    let topics = request.topics.into_iter().map(topic).collect();
    m::offset_commit::OffsetCommitResponse { topics, ..Default::default() }.into()
}

pub(super) fn offset_fetch(version: i16, request: m::offset_fetch::OffsetFetchRequest) -> Response {
    use m::offset_fetch::{
        OffsetFetchRequestTopic, OffsetFetchResponseGroup, OffsetFetchResponsePartition, OffsetFetchResponseTopic,
    };
    let partition = |partition_index: &i32| OffsetFetchResponsePartition {
        partition_index: *partition_index,
        committed_offset: -1,
        metadata: Some(Str::new()),
        error_code: ERROR,
        ..Default::default()
    };
    let topic = |topic: OffsetFetchRequestTopic| OffsetFetchResponseTopic {
        name: topic.name,
        partitions: topic.partition_indexes.iter().map(partition).collect(),
    };
    let topics = request.topics.into_iter().flatten().filter(|_| version < FETCH_OF_PARTITIONS_BEFORE);
    let group = |group_id| OffsetFetchResponseGroup { group_id, topics: Vec::new(), error_code: ERROR };
    let groups = request.groups.into_iter().filter(|_| version >= FETCH_OF_GROUPS_FROM);
    let groups = groups.map(|it| group(it.group_id)).collect();
    code!(offset_fetch::OffsetFetchResponse, topics: topics.map(topic).collect(), groups: groups)
}

pub(super) fn find_coordinator(version: i16, request: m::find_coordinator::FindCoordinatorRequest) -> Response {
    use m::find_coordinator::{Coordinator, FindCoordinatorResponse};
    if version < SEVERAL_KEYS_FROM {
        return code!(find_coordinator::FindCoordinatorResponse, error_message: Some(GENERAL), node_id: -1, port: -1);
    }
    let key = |key| Coordinator {
        key,
        node_id: -1,
        port: -1,
        error_code: ERROR,
        error_message: Some(GENERAL),
        ..Default::default()
    };
    let coordinators = request.coordinator_keys.into_iter().map(key).collect();
    FindCoordinatorResponse { coordinators, ..Default::default() }.into()
}

pub(super) fn describe_groups(request: m::describe_groups::DescribeGroupsRequest) -> Response {
    use m::describe_groups::{DescribeGroupsResponse, DescribedGroup};
    let group = |group_id| DescribedGroup { error_code: ERROR, group_id, ..Default::default() };
    let groups = request.groups.into_iter().map(group).collect();
    DescribeGroupsResponse { groups, ..Default::default() }.into()
}

pub(super) fn delete_topics(request: m::delete_topics::DeleteTopicsRequest) -> Response {
    use m::delete_topics::{DeletableTopicResult, DeleteTopicsResponse};
    let result = |name, topic_id| DeletableTopicResult { name, topic_id, error_code: ERROR, ..Default::default() };
    let by_name = request.topic_names.into_iter().map(|name| result(Some(name), Uuid::ZERO));
    let by_either = request.topics.into_iter().map(|topic| result(topic.name, topic.topic_id));
    DeleteTopicsResponse { responses: by_name.chain(by_either).collect(), ..Default::default() }.into()
}

pub(super) fn delete_records(request: m::delete_records::DeleteRecordsRequest) -> Response {
    use m::delete_records::{DeleteRecordsPartitionResult, DeleteRecordsTopic, DeleteRecordsTopicResult};
    let partition =
        |partition_index| DeleteRecordsPartitionResult { partition_index, low_watermark: -1, error_code: ERROR };
    let topic = |topic: DeleteRecordsTopic| DeleteRecordsTopicResult {
        name: topic.name,
        partitions: topic.partitions.iter().map(|it| partition(it.partition_index)).collect(),
    };
    let topics = request.topics.into_iter().map(topic).collect();
    m::delete_records::DeleteRecordsResponse { topics, ..Default::default() }.into()
}

pub(super) fn offset_for_leader_epoch(request: m::offset_for_leader_epoch::OffsetForLeaderEpochRequest) -> Response {
    use m::offset_for_leader_epoch::{EpochEndOffset, OffsetForLeaderTopic, OffsetForLeaderTopicResult};
    let partition = |partition| EpochEndOffset { error_code: ERROR, partition, ..Default::default() };
    let topic = |topic: OffsetForLeaderTopic| OffsetForLeaderTopicResult {
        topic: topic.topic,
        partitions: topic.partitions.iter().map(|it| partition(it.partition)).collect(),
    };
    let topics = request.topics.into_iter().map(topic).collect();
    m::offset_for_leader_epoch::OffsetForLeaderEpochResponse { topics, ..Default::default() }.into()
}

pub(super) fn add_partitions_to_txn(
    version: i16,
    request: m::add_partitions_to_txn::AddPartitionsToTxnRequest,
) -> Response {
    use m::add_partitions_to_txn::{
        AddPartitionsToTxnPartitionResult, AddPartitionsToTxnResponse, AddPartitionsToTxnTopic,
        AddPartitionsToTxnTopicResult,
    };
    if version >= TRANSACTIONS_FROM {
        return code!(add_partitions_to_txn::AddPartitionsToTxnResponse);
    }
    let partition = |partition_index: &i32| AddPartitionsToTxnPartitionResult {
        partition_index: *partition_index,
        partition_error_code: ERROR,
    };
    let topic = |topic: AddPartitionsToTxnTopic| AddPartitionsToTxnTopicResult {
        name: topic.name,
        results_by_partition: topic.partitions.iter().map(partition).collect(),
    };
    let topics = request.v3_and_below_topics.into_iter().map(topic);
    AddPartitionsToTxnResponse { results_by_topic_v3_and_below: topics.collect(), ..Default::default() }.into()
}

pub(super) fn write_txn_markers(request: m::write_txn_markers::WriteTxnMarkersRequest) -> Response {
    use m::write_txn_markers::{
        WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
        WriteTxnMarkersResponse,
    };
    let partition = |partition_index| WritableTxnMarkerPartitionResult { partition_index, error_code: ERROR };
    let topic = |(name, indexes): (Str, Vec<i32>)| WritableTxnMarkerTopicResult {
        name,
        partitions: indexes.into_iter().map(partition).collect(),
    };
    let capacity = request.markers.len();
    // Of several markers of a producer, the last one counts.
    let by_producer = grouped(request.markers.into_iter().map(|marker| (marker.producer_id, marker)));
    let mut markers: Vec<_> = by_producer.into_iter().filter_map(|(_, mut markers)| markers.pop()).collect();
    sort_as_hash_map(&mut markers, capacity, |marker| (marker.producer_id ^ (marker.producer_id >> 32)) as i32);
    let marker = |marker: m::write_txn_markers::WritableTxnMarker| {
        let topics = marker.topics.into_iter().map(|topic| (topic.name, topic.partition_indexes));
        WritableTxnMarkerResult {
            producer_id: marker.producer_id,
            topics: of_maps(topics).into_iter().map(topic).collect(),
        }
    };
    WriteTxnMarkersResponse { markers: markers.into_iter().map(marker).collect() }.into()
}

pub(super) fn txn_offset_commit(request: m::txn_offset_commit::TxnOffsetCommitRequest) -> Response {
    use m::txn_offset_commit::{
        TxnOffsetCommitRequestTopic, TxnOffsetCommitResponsePartition, TxnOffsetCommitResponseTopic,
    };
    let partition = |partition_index| TxnOffsetCommitResponsePartition { partition_index, error_code: ERROR };
    let topic = |topic: TxnOffsetCommitRequestTopic| TxnOffsetCommitResponseTopic {
        name: topic.name,
        topic_id: topic.topic_id,
        partitions: topic.partitions.iter().map(|it| partition(it.partition_index)).collect(),
    };
    let topics = request.topics.into_iter().map(topic).collect();
    m::txn_offset_commit::TxnOffsetCommitResponse { topics, ..Default::default() }.into()
}

pub(super) fn describe_configs(request: m::describe_configs::DescribeConfigsRequest) -> Response {
    use m::describe_configs::{DescribeConfigsResource, DescribeConfigsResult};
    let result = |it: DescribeConfigsResource| DescribeConfigsResult {
        error_code: ERROR,
        error_message: Some(GENERAL),
        resource_type: it.resource_type,
        resource_name: it.resource_name,
        configs: Vec::new(),
    };
    let results = request.resources.into_iter().map(result).collect();
    m::describe_configs::DescribeConfigsResponse { results, ..Default::default() }.into()
}

pub(super) fn alter_replica_log_dirs(request: m::alter_replica_log_dirs::AlterReplicaLogDirsRequest) -> Response {
    use m::alter_replica_log_dirs::{
        AlterReplicaLogDirPartitionResult, AlterReplicaLogDirTopic, AlterReplicaLogDirTopicResult,
    };
    let partition = |index: &i32| AlterReplicaLogDirPartitionResult { partition_index: *index, error_code: ERROR };
    let topic = |topic: AlterReplicaLogDirTopic| AlterReplicaLogDirTopicResult {
        topic_name: topic.name,
        partitions: topic.partitions.iter().map(partition).collect(),
    };
    let results = request.dirs.into_iter().flat_map(|dir| dir.topics).map(topic).collect();
    m::alter_replica_log_dirs::AlterReplicaLogDirsResponse { results, ..Default::default() }.into()
}

pub(super) fn elect_leaders(request: m::elect_leaders::ElectLeadersRequest, message: &Str) -> Response {
    use m::elect_leaders::{PartitionResult, ReplicaElectionResult, TopicPartitions};
    let partition = |partition_id: &i32| PartitionResult {
        partition_id: *partition_id,
        error_code: ERROR,
        error_message: Some(message.clone()),
    };
    let topic = |topic: TopicPartitions| ReplicaElectionResult {
        topic: topic.topic,
        partition_result: topic.partitions.iter().map(partition).collect(),
    };
    let results = request.topic_partitions.into_iter().flatten().map(topic).collect();
    code!(elect_leaders::ElectLeadersResponse, replica_election_results: results)
}

pub(super) fn alter_partition_reassignments(
    request: m::alter_partition_reassignments::AlterPartitionReassignmentsRequest,
    message: &Str,
) -> Response {
    use m::alter_partition_reassignments::{
        ReassignablePartitionResponse, ReassignableTopic, ReassignableTopicResponse,
    };
    let partition = |partition_index| ReassignablePartitionResponse {
        partition_index,
        error_code: ERROR,
        error_message: Some(message.clone()),
    };
    let topic = |topic: ReassignableTopic| ReassignableTopicResponse {
        name: topic.name,
        partitions: topic.partitions.iter().map(|it| partition(it.partition_index)).collect(),
    };
    let responses = request.topics.into_iter().map(topic).collect();
    code!(
        alter_partition_reassignments::AlterPartitionReassignmentsResponse,
        error_message: Some(message.clone()),
        responses: responses
    )
}

pub(super) fn alter_client_quotas(request: m::alter_client_quotas::AlterClientQuotasRequest) -> Response {
    use m::alter_client_quotas::{RequestEntryData, ResponseEntryData};
    let entry = |entry: RequestEntryData| ResponseEntryData {
        error_code: ERROR,
        error_message: Some(GENERAL),
        entity: entry.entity,
    };
    let entries = request.entries.into_iter().map(entry).collect();
    m::alter_client_quotas::AlterClientQuotasResponse { entries, ..Default::default() }.into()
}

pub(super) fn describe_producers(request: m::describe_producers::DescribeProducersRequest) -> Response {
    use m::describe_producers::{PartitionResponse, TopicRequest, TopicResponse};
    let partition =
        |index: &i32| PartitionResponse { partition_index: *index, error_code: ERROR, ..Default::default() };
    let topic = |topic: TopicRequest| TopicResponse {
        name: topic.name,
        partitions: topic.partition_indexes.iter().map(partition).collect(),
    };
    let topics = request.topics.into_iter().map(topic).collect();
    m::describe_producers::DescribeProducersResponse { topics, ..Default::default() }.into()
}
