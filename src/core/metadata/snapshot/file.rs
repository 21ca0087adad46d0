//! Snapshots as files (KIP-630): batches like a log's, between a header and a footer.

use bytes::Bytes;

use super::snapshot_records;
use crate::metadata::batches::MAX_BATCH_BYTES;
use crate::metadata::image::Image;
use crate::metadata::records::{MetadataRecord, RecordDecodeError, control};
use ottla_wire::codec::EncodeError;
use ottla_wire::record::control::ControlType;
use ottla_wire::record::{self, BatchBuilder, Codec, RecordError};
use ottla_wire::types::{LeaderEpoch, Offset, TimestampMs};

/// What a snapshot stands for: the log before `end_offset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SnapshotId {
    /// The offset of the first record that is not in it.
    pub end_offset: Offset,
    /// The epoch of the last record that is.
    pub epoch: LeaderEpoch,
}

/// A snapshot that can't be written, or whose file is not a whole one.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("snapshot: {0}")]
    Batch(#[from] RecordError),
    #[error("snapshot: {0}")]
    Record(#[from] RecordDecodeError),
    #[error("snapshot: {0}")]
    Encode(#[from] EncodeError),
    #[error("snapshot: a record without a value")]
    NoValue,
    #[error("snapshot: its {0} is missing")]
    Incomplete(&'static str),
}

impl SnapshotId {
    /// The name of its file: `<end offset>-<epoch>.checkpoint`.
    pub fn file_name(self) -> String {
        format!("{:020}-{:010}.checkpoint", self.end_offset, self.epoch)
    }

    /// The snapshot that a file of that name is; None for other files.
    pub fn from_file_name(name: &str) -> Option<SnapshotId> {
        let (end_offset, epoch) = name.strip_suffix(".checkpoint")?.split_once('-')?;
        let id = SnapshotId { end_offset: end_offset.parse().ok()?, epoch: epoch.parse().ok()? };
        (id.file_name() == name).then_some(id)
    }
}

/// The content of a snapshot's file. `last_timestamp` is that of the last batch of the log that is
/// in it, `now` the time of its making.
pub fn write_snapshot(
    image: &Image,
    id: SnapshotId,
    last_timestamp: TimestampMs,
    now: TimestampMs,
) -> Result<Vec<Bytes>, SnapshotError> {
    let mut file = File { chunks: Vec::new(), next_offset: 0, epoch: id.epoch, now };
    file.control(ControlType::SnapshotHeader, control::snapshot_header(last_timestamp)?)?;
    file.records(snapshot_records(image))?;
    file.control(ControlType::SnapshotFooter, control::snapshot_footer()?)?;
    Ok(file.chunks)
}

/// The content of `bootstrap.checkpoint`: the records that a new metadata log is to begin with.
pub fn write_bootstrap(records: Vec<MetadataRecord>, now: TimestampMs) -> Result<Vec<Bytes>, SnapshotError> {
    let mut file = File { chunks: Vec::new(), next_offset: 0, epoch: 0, now };
    file.control(ControlType::SnapshotHeader, control::snapshot_header(0)?)?;
    file.records(records)?;
    file.control(ControlType::SnapshotFooter, control::snapshot_footer()?)?;
    Ok(file.chunks)
}

/// The records in a snapshot's file; to be replayed before the log from its end offset on.
///
/// # Errors
/// If a batch is damaged, a record not understood, or the header or the footer missing.
pub fn read_snapshot(file: &Bytes) -> Result<Vec<MetadataRecord>, SnapshotError> {
    let mut records = Vec::new();
    let (mut begun, mut ended) = (false, false);
    for batch in record::batches(file) {
        let batch = batch?;
        batch.check_crc()?;
        for entry in batch.records() {
            let entry = entry?;
            if batch.header().is_control() {
                match ControlType::from_key(entry.key.as_deref().unwrap_or_default())? {
                    Some(ControlType::SnapshotHeader) => begun = true,
                    Some(ControlType::SnapshotFooter) => ended = true,
                    _ => {}
                }
            } else if begun {
                records.push(MetadataRecord::decode(&entry.value.ok_or(SnapshotError::NoValue)?)?);
            }
        }
    }
    match (begun, ended) {
        (true, true) => Ok(records),
        (false, _) => Err(SnapshotError::Incomplete("header")),
        (_, false) => Err(SnapshotError::Incomplete("footer")),
    }
}

/// A snapshot's file in the making.
struct File {
    chunks: Vec<Bytes>,
    next_offset: Offset,
    epoch: LeaderEpoch,
    now: TimestampMs,
}

impl File {
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
    fn a_file_holds_the_records_it_was_made_of() {
        let mut cluster = TestCluster::started();
        cluster.create_named("t", 3);
        assert_eq!(read_snapshot(&file()).unwrap(), snapshot_records(cluster.image()));
    }

    #[test]
    fn every_part_of_a_file_is_refused() {
        let whole = file();
        for end in 0..whole.len() {
            assert!(read_snapshot(&whole.slice(..end)).is_err(), "{end} of {} bytes", whole.len());
        }
    }

    #[test]
    fn files_are_named_as_kafka_names_them() {
        assert_eq!(ID.file_name(), "00000000000000000164-0000000004.checkpoint");
        assert_eq!(SnapshotId::from_file_name(&ID.file_name()), Some(ID));
        for other in ["164-4.checkpoint", "bootstrap.checkpoint", "00000000000000000164-0000000004.checkpoint.part"] {
            assert_eq!(SnapshotId::from_file_name(other), None, "{other}");
        }
    }
}
