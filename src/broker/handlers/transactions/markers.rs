//! WriteTxnMarkers (key 27), versions 1 and 2: markers from another broker's coordinator, or from an administrator who
//! aborts a hanging transaction (`kafka-transactions abort`).

use super::super::authorizer::{Operation, Resource};
use super::super::context::{Answer, Context};
use super::super::errors::ToErrorCode;
use crate::blocking;
use crate::state::transactions::{ForeignMarker, MarkerError};
use ottla_core::machine::Outcome;
use ottla_wire::protocol::messages::write_txn_markers::{
    WritableTxnMarker, WritableTxnMarkerPartitionResult, WritableTxnMarkerResult, WritableTxnMarkerTopicResult,
    WriteTxnMarkersRequest, WriteTxnMarkersResponse,
};
use ottla_wire::types::{ErrorCode, ProducerIdEpoch, TopicPartition};

pub(in super::super) fn write(context: &Context, request: WriteTxnMarkersRequest) -> Answer {
    let may_alter = context.allows(Operation::Alter, Resource::Cluster);
    if !may_alter && let Err(denied) = context.authorize(Operation::ClusterAction, Resource::Cluster) {
        let markers = request.markers.into_iter();
        let refused = markers.map(|marker| results(marker, |_, _| denied.error_code()));
        return WriteTxnMarkersResponse { markers: refused.collect() }.into();
    }
    let context = context.clone();
    // May block: opens the logs that have not been used yet, and syncs if `flush.messages` requires that.
    Answer::parked(async move {
        let written = blocking::run(move || {
            request
                .markers
                .into_iter()
                .filter(has_partitions)
                .map(|marker| results(marker, |marker, partition| write_one(&context, marker, partition)))
                .collect()
        });
        WriteTxnMarkersResponse { markers: written.await.unwrap_or_default() }
    })
}

/// Whether the marker names a partition. If not, the response does not contain it, as in Kafka.
fn has_partitions(marker: &WritableTxnMarker) -> bool {
    marker.topics.iter().any(|topic| !topic.partition_indexes.is_empty())
}

/// Checks values that the append of a marker does not check. Kafka returns UNKNOWN_SERVER_ERROR for them.
fn check(marker: &WritableTxnMarker) -> Result<(), ErrorCode> {
    if marker.producer_id < 0 || marker.transaction_version < 0 {
        return Err(ErrorCode::InvalidRequest);
    }
    if marker.producer_epoch < 0 { Err(ErrorCode::InvalidProducerEpoch) } else { Ok(()) }
}

fn write_one(context: &Context, marker: &WritableTxnMarker, partition: &TopicPartition) -> ErrorCode {
    if let Err(error) = check(marker) {
        return error;
    }
    let foreign = ForeignMarker {
        producer: ProducerIdEpoch { producer_id: marker.producer_id, epoch: marker.producer_epoch },
        outcome: if marker.transaction_result { Outcome::Commit } else { Outcome::Abort },
        coordinator_epoch: marker.coordinator_epoch,
        transaction_version: marker.transaction_version.into(),
    };
    match context.broker.transactions().write_foreign_marker(partition, &foreign) {
        Ok(()) => ErrorCode::None,
        Err(MarkerError::NotServed(error)) => error.error_code(),
        Err(MarkerError::Refused(error)) => error.error_code(),
        Err(MarkerError::Unavailable) => ErrorCode::KafkaStorageError,
    }
}

fn results(
    marker: WritableTxnMarker,
    mut result: impl FnMut(&WritableTxnMarker, &TopicPartition) -> ErrorCode,
) -> WritableTxnMarkerResult {
    let topics = marker.topics.iter().map(|topic| {
        let partitions = topic.partition_indexes.iter().map(|index| WritableTxnMarkerPartitionResult {
            partition_index: *index,
            error_code: result(&marker, &TopicPartition::new(&*topic.name, *index)).code(),
        });
        WritableTxnMarkerTopicResult { name: topic.name.clone(), partitions: partitions.collect() }
    });
    WritableTxnMarkerResult { producer_id: marker.producer_id, topics: topics.collect() }
}
