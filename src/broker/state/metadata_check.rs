//! Verifies the files of the metadata log at the start.
//!
//! Other logs are trusted after a clean stop, and lose at most an incomplete end after a crash. If this log loses
//! records, topics are lost, and the broker would rename the folders of their partitions. So all of it is read and
//! verified at every start, as in Apache Kafka, and damage refuses the start before anything is changed.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::metadata::Snapshot;
use super::open::OpenError;
use ottla_core::metadata::{SnapshotId, read_snapshot};
use ottla_log::verify::{AtStart, Finding, PartitionFacts, Verdict, verify};
use ottla_log::{LogDir, LogError, PartitionState};
use ottla_wire::types::{Offset, TimestampMs, TopicId, TopicPartition, sort_by};

/// Reads and verifies the whole metadata log. Returns the snapshot from which it continues, if it does not begin at
/// offset 0.
///
/// # Errors
/// [`OpenError::DamagedMetadata`] and [`OpenError::MissingMetadata`]. An incomplete batch at the end after a crash is
/// no error, because it was never acknowledged.
pub(super) fn check(log_dir: &LogDir, id: &TopicPartition, now: TimestampMs) -> Result<Option<Snapshot>, OpenError> {
    let at = log_dir.open_at(id, Some(TopicId::METADATA), now);
    let folder = log_dir.partition_path(id);
    let verdict = verify(log_dir.disk(), &folder, PartitionFacts { at, compacted: false }, &mut |_| {})?;
    let clean = log_dir.clean_shutdown();
    let damage = verdict.findings.iter().find(|finding| is_damage(finding, clean));
    let refused = match damage {
        _ if is_empty(&verdict) && has_partitions(log_dir, id)? => {
            OpenError::MissingMetadata { folder, data: log_dir.paths() }
        }
        Some(finding) => damaged(log_dir, folder, format!("{}: {}", finding.file, finding.what)),
        None if verdict.start == 0 => return Ok(None),
        None => match snapshot(log_dir, &folder, verdict.start, verdict.end)? {
            Some(found) => return Ok(Some(found)),
            None => {
                let what = format!("it begins at offset {}, and no snapshot has what came before", verdict.start);
                damaged(log_dir, folder, what)
            }
        },
    };
    // So that the next start refuses as well.
    log_dir.restore_clean_marker()?;
    Err(refused)
}

fn damaged(log_dir: &LogDir, folder: PathBuf, what: String) -> OpenError {
    OpenError::DamagedMetadata { folder, what, data: log_dir.paths() }
}

/// The newest readable snapshot from which a log from `start` to `end` continues.
fn snapshot(log_dir: &LogDir, folder: &Path, start: Offset, end: Offset) -> Result<Option<Snapshot>, LogError> {
    let mut ids: Vec<SnapshotId> =
        log_dir.files_of(folder)?.iter().filter_map(|name| SnapshotId::from_file_name(name)).collect();
    sort_by(&mut ids, |a, b| b.cmp(a));
    for id in ids.into_iter().filter(|id| (start..=end).contains(&id.end_offset)) {
        let file = folder.join(id.file_name());
        match log_dir.read_file(&file)?.map(|file| read_snapshot(&Bytes::from(file))) {
            Some(Ok(records)) => return Ok(Some(Snapshot { end_offset: id.end_offset, records })),
            Some(Err(error)) => tracing::warn!(file = %file.display(), %error, "skipped an unreadable snapshot"),
            None => {}
        }
    }
    Ok(None)
}

/// Whether acknowledged records are lost. After a crash, these are the lost records that have others behind them.
fn is_damage(finding: &Finding, clean: bool) -> bool {
    match finding.lost {
        Some(lost) => clean || lost.last.is_some(),
        None => finding.file.ends_with(".log") && finding.at_start != AtStart::Repairs,
    }
}

/// Whether the log has no records.
fn is_empty(verdict: &Verdict) -> bool {
    verdict.bytes == 0
}

/// Whether the directory has other partitions.
fn has_partitions(log_dir: &LogDir, id: &TopicPartition) -> Result<bool, LogError> {
    let found = log_dir.partitions()?;
    Ok(found.iter().any(|found| found.state == PartitionState::Live && found.partition != *id))
}
