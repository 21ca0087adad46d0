//! Whether the metadata log's files may be believed.
//!
//! Other logs are believed after a clean stop, and give up a torn tail after a crash. What this one loses is topics, and
//! the broker would put their partitions out of the way: so all of it is read and checked at every start (as Apache Kafka
//! does), and a start on damage is refused before anything was changed.

use super::open::OpenError;
use crate::log::verify::{AtStart, Finding, Known, Verdict, verify};
use crate::log::{LogDir, LogError, PartitionState};
use crate::types::{TimestampMs, TopicId, TopicPartition};

/// Reads the metadata log whole.
///
/// # Errors
/// [`OpenError::DamagedMetadata`], but for the torn tail that a crash may leave: nobody was told of what was in it.
pub(super) fn check(log_dir: &LogDir, id: &TopicPartition, now: TimestampMs) -> Result<(), OpenError> {
    let at = log_dir.open_at(id, Some(TopicId::METADATA), now);
    let folder = log_dir.partition_path(id);
    let verdict = verify(log_dir.disk(), &folder, Known { at, compacted: false }, &mut |_| {})?;
    let clean = log_dir.clean_shutdown();
    let damage = verdict.findings.iter().find(|finding| is_damage(finding, clean));
    let refused = match damage {
        _ if holds_nothing(&verdict) && has_partitions(log_dir, id)? => OpenError::MissingMetadata { folder },
        Some(finding) => OpenError::DamagedMetadata { what: format!("{}: {}", finding.file, finding.what), folder },
        None => return Ok(()),
    };
    if clean {
        // The next start is to refuse as well: opening the directory has taken the mark away.
        log_dir.mark_clean(-1)?;
    }
    Err(refused)
}

/// Whether records are lost that somebody was told of. After a crash these are the ones that others follow.
fn is_damage(finding: &Finding, clean: bool) -> bool {
    match finding.lost {
        Some(lost) => clean || lost.last.is_some(),
        None => finding.file.ends_with(".log") && finding.at_start != AtStart::Mends,
    }
}

fn holds_nothing(verdict: &Verdict) -> bool {
    verdict.bytes == 0
}

fn has_partitions(log_dir: &LogDir, id: &TopicPartition) -> Result<bool, LogError> {
    let found = log_dir.partitions()?;
    Ok(found.iter().any(|found| found.state == PartitionState::Live && found.partition != *id))
}
