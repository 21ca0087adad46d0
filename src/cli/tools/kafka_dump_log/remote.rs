//! Records of `__remote_log_metadata`, the topic with the metadata of Kafka's remote storage (KIP-405).
//!
//! Source: the `Remote….json` schemas in Kafka's `storage`, and `toString` of the classes in
//! `server.log.remote.storage`. Ottla has no remote storage and writes no such records.

use bytes::Bytes;

use ottla_wire::codec::{DecodeError, Message, Reader, Str, messages, read_record_frame, structs};
use ottla_wire::types::{Uuid, sort_by};

structs! {
    /// The metadata of a segment in remote storage.
    struct RemoteLogSegmentMetadataRecord {
        remote_log_segment_id: RemoteLogSegmentIdEntry = 0..;
        start_offset: i64 = 0..;
        end_offset: i64 = 0..;
        broker_id: i32 = 0..;
        max_timestamp_ms: i64 = 0..;
        event_timestamp_ms: i64 = 0..;
        segment_leader_epochs: Vec<SegmentLeaderEpochEntry> = 0..;
        segment_size_in_bytes: i32 = 0..;
        custom_metadata: Option<Bytes> = 0..;
        remote_log_segment_state: i8 = 0..;
        txn_index_empty: bool = 0.., tag 0;
    }

    /// See [`RemoteLogSegmentMetadataRecord`].
    struct RemoteLogSegmentIdEntry {
        topic_id_partition: TopicIdPartitionEntry = 0..;
        id: Uuid = 0..;
    }

    /// See [`RemoteLogSegmentIdEntry`].
    struct TopicIdPartitionEntry {
        name: Str = 0..;
        id: Uuid = 0..;
        partition: i32 = 0..;
    }

    /// See [`RemoteLogSegmentMetadataRecord`].
    struct SegmentLeaderEpochEntry {
        leader_epoch: i32 = 0..;
        offset: i64 = 0..;
    }

    /// A change of a segment's state.
    struct RemoteLogSegmentMetadataUpdateRecord {
        remote_log_segment_id: RemoteLogSegmentIdEntry = 0..;
        broker_id: i32 = 0..;
        event_timestamp_ms: i64 = 0..;
        custom_metadata: Option<Bytes> = 0..;
        remote_log_segment_state: i8 = 0..;
    }

    /// The deletion of a partition's segments.
    struct RemotePartitionDeleteMetadataRecord {
        topic_id_partition: TopicIdPartitionEntry = 0..;
        broker_id: i32 = 0..;
        event_timestamp_ms: i64 = 0..;
        remote_partition_delete_state: i8 = 0..;
    }
}

messages! {
    RemoteLogSegmentMetadataRecord, versions 0..=0, flexible 0;
    RemoteLogSegmentMetadataUpdateRecord, versions 0..=0, flexible 0;
    RemotePartitionDeleteMetadataRecord, versions 0..=0, flexible 0;
}

const SEGMENT_STATES: &[&str] =
    &["COPY_SEGMENT_STARTED", "COPY_SEGMENT_FINISHED", "DELETE_SEGMENT_STARTED", "DELETE_SEGMENT_FINISHED"];
const PARTITION_STATES: &[&str] = &["DELETE_PARTITION_MARKED", "DELETE_PARTITION_STARTED", "DELETE_PARTITION_FINISHED"];

/// Formats a record as Java's `toString` does. The error is the message for an invalid record.
pub fn record(value: &Bytes) -> Result<String, String> {
    let mut reader = Reader::new(value.clone());
    let frame = read_record_frame(&mut reader).map_err(message)?;
    let text = match frame.kind {
        0 => segment(&read(&mut reader, frame.version)?),
        1 => update(&read(&mut reader, frame.version)?),
        2 => deletion(&read(&mut reader, frame.version)?),
        kind => return Err(format!("Unknown metadata id {kind}")),
    };
    match reader.remaining() {
        0 => Ok(text),
        left => Err(format!("Found {left} byte(s) of garbage after {}", frame.kind)),
    }
}

fn read<M: Message>(reader: &mut Reader, version: i16) -> Result<M, String> {
    M::read(reader, version).map_err(message)
}

fn message(error: DecodeError) -> String {
    error.to_string()
}

fn segment(record: &RemoteLogSegmentMetadataRecord) -> String {
    let mut epochs: Vec<_> =
        record.segment_leader_epochs.iter().map(|entry| (entry.leader_epoch, entry.offset)).collect();
    sort_by(&mut epochs, Ord::cmp);
    let epochs: Vec<_> = epochs.iter().map(|(epoch, offset)| format!("{epoch}={offset}")).collect();
    format!(
        "RemoteLogSegmentMetadata{{remoteLogSegmentId={}, startOffset={}, endOffset={}, brokerId={}, maxTimestampMs={}, \
         eventTimestampMs={}, segmentLeaderEpochs={{{}}}, segmentSizeInBytes={}, customMetadata={}, state={}, \
         txnIdxEmpty={}}}",
        segment_id(&record.remote_log_segment_id),
        record.start_offset,
        record.end_offset,
        record.broker_id,
        record.max_timestamp_ms,
        record.event_timestamp_ms,
        epochs.join(", "),
        record.segment_size_in_bytes,
        custom(record.custom_metadata.as_ref()),
        state(SEGMENT_STATES, record.remote_log_segment_state),
        record.txn_index_empty,
    )
}

fn update(record: &RemoteLogSegmentMetadataUpdateRecord) -> String {
    format!(
        "RemoteLogSegmentMetadataUpdate{{remoteLogSegmentId={}, customMetadata={}, state={}, eventTimestampMs={}, \
         brokerId={}}}",
        segment_id(&record.remote_log_segment_id),
        custom(record.custom_metadata.as_ref()),
        state(SEGMENT_STATES, record.remote_log_segment_state),
        record.event_timestamp_ms,
        record.broker_id,
    )
}

fn deletion(record: &RemotePartitionDeleteMetadataRecord) -> String {
    format!(
        "RemotePartitionDeleteMetadata{{topicPartition={}, state={}, eventTimestampMs={}, brokerId={}}}",
        partition(&record.topic_id_partition),
        state(PARTITION_STATES, record.remote_partition_delete_state),
        record.event_timestamp_ms,
        record.broker_id,
    )
}

fn segment_id(id: &RemoteLogSegmentIdEntry) -> String {
    format!("RemoteLogSegmentId{{topicIdPartition={}, id={}}}", partition(&id.topic_id_partition), id.id)
}

fn partition(entry: &TopicIdPartitionEntry) -> String {
    format!("{}:{}-{}", entry.id, entry.name, entry.partition)
}

fn custom(metadata: Option<&Bytes>) -> String {
    metadata.map_or_else(
        || "Optional.empty".to_owned(),
        |bytes| format!("Optional[CustomMetadata{{{} bytes}}]", bytes.len()),
    )
}

fn state(names: &[&'static str], id: i8) -> &'static str {
    usize::try_from(id).ok().and_then(|id| names.get(id).copied()).unwrap_or("null")
}
