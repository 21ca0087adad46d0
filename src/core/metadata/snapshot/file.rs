//! Snapshot files (KIP-630): record batches between a header and a footer.

use bytes::Bytes;

use super::snapshot_records;
use crate::metadata::batches::MAX_BATCH_BYTES;
use crate::metadata::image::Image;
use crate::metadata::records::{MetadataRecord, RecordDecodeError, control};
use ottla_wire::codec::EncodeError;
use ottla_wire::record::control::ControlType;
use ottla_wire::record::{self, BatchBuilder, Codec, RecordError};
use ottla_wire::types::{LeaderEpoch, Offset, TimestampMs};

/// Identifies a snapshot, which replaces the log before `end_offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// The offset after the last record that the snapshot includes.
    pub end_offset: Offset,
    /// The leader epoch of the last record that the snapshot includes.
    pub epoch: LeaderEpoch,
}

/// Why a snapshot could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("snapshot: {0}")]
    Batch(#[from] RecordError),
    #[error("snapshot: {0}")]
    Record(#[from] RecordDecodeError),
    #[error("snapshot: {0}")]
    Encode(#[from] EncodeError),
    #[error("snapshot: a record has no value")]
    NoValue,
    #[error("snapshot: the {0} is missing")]
    Incomplete(&'static str),
}

impl SnapshotId {
    /// The file name: `<end offset>-<epoch>.checkpoint`.
    pub fn file_name(self) -> String {
        format!("{:020}-{:010}.checkpoint", self.end_offset, self.epoch)
    }

    /// Parses a snapshot's file name; `None` for names of other files.
    pub fn from_file_name(name: &str) -> Option<SnapshotId> {
        let (end_offset, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
        let id = SnapshotId { end_offset: end_offset.parse().ok()?, epoch: epoch.parse().ok()? };
        (id.file_name() == name).then_some(id)
    }
}

/// Encodes a snapshot file. `last_timestamp` is the timestamp of the last batch that the snapshot includes, `now` the
/// time of its creation.
pub fn write_snapshot(
    image: &Image,
    id: SnapshotId,
    last_timestamp: TimestampMs,
    now: TimestampMs,
) -> Result<Vec<Bytes>, SnapshotError> {
    let mut file = SnapshotWriter { chunks: Vec::new(), next_offset: 0, epoch: id.epoch, now };
    file.control(ControlType::SnapshotHeader, control::snapshot_header(last_timestamp)?)?;
    file.records(snapshot_records(image))?;
    file.control(ControlType::SnapshotFooter, control::snapshot_footer()?)?;
    Ok(file.chunks)
}

/// Encodes `bootstrap.checkpoint`, the first records of a new metadata log.
pub fn write_bootstrap(records: Vec<MetadataRecord>, now: TimestampMs) -> Result<Vec<Bytes>, SnapshotError> {
    let mut file = SnapshotWriter { chunks: Vec::new(), next_offset: 0, epoch: 0, now };
    file.control(ControlType::SnapshotHeader, control::snapshot_header(0)?)?;
    file.records(records)?;
    file.control(ControlType::SnapshotFooter, control::snapshot_footer()?)?;
    Ok(file.chunks)
}

/// Reads the records of a snapshot file. Replay them before the log from its end offset on.
///
/// # Errors
/// If a batch is corrupt, a record cannot be decoded, or the header or the footer is missing.
pub fn read_snapshot(file: &Bytes) -> Result<Vec<MetadataRecord>, SnapshotError> {
    let mut records = Vec::new();
    let (mut has_header, mut has_footer) = (false, false);
    for batch in record::batches(file) {
        let batch = batch?;
        batch.check_crc()?;
        for entry in batch.records() {
            let entry = entry?;
            if batch.header().is_control() {
                match ControlType::from_key(entry.key.as_deref().unwrap_or_default())? {
                    Some(ControlType::SnapshotHeader) => has_header = true,
                    Some(ControlType::SnapshotFooter) => has_footer = true,
                    _ => {}
                }
            } else if has_header {
                records.push(MetadataRecord::decode(&entry.value.ok_or(SnapshotError::NoValue)?)?);
            }
        }
    }
    match (has_header, has_footer) {
        (true, true) => Ok(records),
        (false, _) => Err(SnapshotError::Incomplete("header")),
        (_, false) => Err(SnapshotError::Incomplete("footer")),
    }
}

/// Builds a snapshot file.
struct SnapshotWriter {
    chunks: Vec<Bytes>,
    next_offset: Offset,
    epoch: LeaderEpoch,
    now: TimestampMs,
}

impl SnapshotWriter {
    fn control(&mut self, kind: ControlType, value: Bytes) -> Result<(), SnapshotError> {
        let mut batch = BatchBuilder::new(Codec::None).control();
        batch.append(self.now, Some(&kind.to_key()), Some(&value), &[]);
        self.push(batch)
    }

    fn records(&mut self, records: Vec<MetadataRecord>) -> Result<(), SnapshotError> {
        let mut batch = BatchBuilder::new(Codec::None);
        for record in records {
            let value = record.encode()?;
            if !batch.is_empty() && batch.uncompressed_size() + value.len() > MAX_BATCH_BYTES {
                self.push(std::mem::replace(&mut batch, BatchBuilder::new(Codec::None)))?;
            }
            batch.append(self.now, None, Some(&value), &[]);
        }
        self.push(batch)
    }

    fn push(&mut self, batch: BatchBuilder) -> Result<(), SnapshotError> {
        let records = Offset::try_from(batch.len()).unwrap_or(Offset::MAX);
        let batch = batch.placed_at(self.next_offset, self.epoch).build()?;
        self.next_offset += records;
        self.chunks.push(batch.bytes().clone());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::tests::TestCluster;

    const ID: SnapshotId = SnapshotId { end_offset: 164, epoch: 4 };

    fn file() -> Bytes {
        let mut cluster = TestCluster::started();
        cluster.create_named("t", 3);
        Bytes::from(write_snapshot(cluster.image(), ID, 1, 2).unwrap().concat())
    }

    #[test]
    fn snapshot_file_is_read_back_with_the_same_records() {
        let mut cluster = TestCluster::started();
        cluster.create_named("t", 3);
        assert_eq!(read_snapshot(&file()).unwrap(), snapshot_records(cluster.image()));
    }

    #[test]
    fn truncated_snapshot_file_is_rejected() {
        let whole = file();
        for end in 0..whole.len() {
            assert!(read_snapshot(&whole.slice(..end)).is_err(), "{end} of {} bytes", whole.len());
        }
    }

    #[test]
    fn snapshot_file_names_have_kafkas_format() {
        assert_eq!(ID.file_name(), "00000000000000000164-0000000004.checkpoint");
        assert_eq!(SnapshotId::from_file_name(&ID.file_name()), Some(ID));
        for other in ["164-4.checkpoint", "bootstrap.checkpoint", "00000000000000000164-0000000004.checkpoint.part"] {
            assert_eq!(SnapshotId::from_file_name(other), None, "{other}");
        }
    }
}
