//! Whether the metadata log's files may be believed.
//!
//! Other logs are believed after a clean stop, and give up a torn tail after a crash. What this one loses is topics, and
//! the broker would put their partitions out of the way: so all of it is read and checked at every start (as Apache Kafka
//! does), and a start on damage is refused before anything was changed.

use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::metadata::Snapshot;
use super::open::OpenError;
use ottla_core::metadata::{SnapshotId, read_snapshot};
use ottla_log::verify::{AtStart, Finding, Known, Verdict, verify};
use ottla_log::{LogDir, LogError, PartitionState};
use ottla_wire::types::{Offset, TimestampMs, TopicId, TopicPartition, sort_by};

/// Reads the metadata log whole.
///
/// # Errors
/// [`OpenError::DamagedMetadata`], except for the incomplete batch that a crash may leave at the end: it was never acknowledged.
pub(super) fn check(log_dir: &LogDir, id: &TopicPartition, now: TimestampMs) -> Result<Option<Snapshot>, OpenError> {
    let at = log_dir.open_at(id, Some(TopicId::METADATA), now);
    let folder = log_dir.partition_path(id);
    let verdict = verify(log_dir.disk(), &folder, Known { at, compacted: false }, &mut |_| {})?;
    let clean = log_dir.clean_shutdown();
    let damage = verdict.findings.iter().find(|finding| is_damage(finding, clean));
    let refused = match damage {
        _ if holds_nothing(&verdict) && has_partitions(log_dir, id)? => {
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
    // The next start is to refuse as well.
    log_dir.restore_clean_marker()?;
    Err(refused)
}

fn damaged(log_dir: &LogDir, folder: PathBuf, what: String) -> OpenError {
    OpenError::DamagedMetadata { folder, what, data: log_dir.paths() }
}

/// The newest snapshot that a log from `start` to `end` goes on from; unreadable ones are skipped.
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

/// Whether acknowledged records are lost. After a crash those are the ones with others behind them.
fn is_damage(finding: &Finding, clean: bool) -> bool {
    match finding.lost {
        Some(lost) => clean || lost.last.is_some(),
        None => finding.file.ends_with(".log") && finding.at_start != AtStart::Repairs,
    }
}

fn holds_nothing(verdict: &Verdict) -> bool {
    verdict.bytes == 0
}

fn has_partitions(log_dir: &LogDir, id: &TopicPartition) -> Result<bool, LogError> {
    let found = log_dir.partitions()?;
    Ok(found.iter().any(|found| found.state == PartitionState::Live && found.partition != *id))
}
