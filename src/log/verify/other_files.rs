//! Verification of the files other than segments: producer snapshots, leader epochs, topic id, temporary files.

use super::segment::DamageKind;
use super::{AtStart, Finding, Loss, Pass, file_name};
use crate::error::IoContext;
use crate::leader_epochs::{self, LeaderEpochs};
use crate::producers::Producers;
use crate::segment::FoundSegment;
use crate::{LogError, names, partition_metadata};
use ottla_wire::types::Offset;

impl Pass<'_> {
    /// Compares the snapshots at `offset` and below with the state derived from the batches.
    pub(super) fn compare_snapshots(&mut self, offset: Offset) -> Result<(), LogError> {
        while let Some(at) = self.files.snapshots.first().copied().filter(|at| *at <= offset) {
            self.files.snapshots.remove(0);
            self.compare_snapshot(at)?;
        }
        Ok(())
    }

    fn compare_snapshot(&mut self, at: Offset) -> Result<(), LogError> {
        let path = self.folder.file(at, names::SNAPSHOT);
        let bytes = self.folder.disk.read(&path).doing("reading", &path)?.unwrap_or_default();
        let what = match Producers::from_snapshot(&bytes, self.known.at.now, i64::MAX) {
            Err(why) => why,
            Ok(stored) => {
                let ids = stored.describe().into_iter().map(|producer| producer.producer_id);
                self.highest_producer_id = ids.fold(self.highest_producer_id, i64::max);
                match (stored.beyond(at), self.incomplete) {
                    (Some(id), _) => format!("contains writes of producer {id} after the snapshot's offset"),
                    // It may correctly describe batches that no longer exist.
                    (None, true) => return Ok(()),
                    (None, false) => match stored.contradiction(&self.producers, self.verdict.start) {
                        Some(id) => format!("contradicts the batches of producer {id}"),
                        None => return Ok(()),
                    },
                }
            }
        };
        self.add_finding(file_name(at, names::SNAPSHOT), what, AtStart::Repairs);
        Ok(())
    }

    /// Runs the checks that need the state after all batches.
    pub(super) fn check_other_files(&mut self, segments: &[FoundSegment]) -> Result<(), LogError> {
        self.compare_snapshots(self.next_offset)?;
        for at in std::mem::take(&mut self.files.snapshots) {
            let what = format!("is above the log end offset {}", self.next_offset);
            self.add_finding(file_name(at, names::SNAPSHOT), what, AtStart::Repairs);
        }
        for (base, kind) in std::mem::take(&mut self.files.indexes) {
            if segments.binary_search_by_key(&base, |segment| segment.base).is_err() {
                self.add_finding(file_name(base, &kind), "has no segment", AtStart::Repairs);
            }
        }
        for file in std::mem::take(&mut self.files.left_over) {
            let what = match file.ends_with(".deleted") {
                true => "is a deleted file that was not unlinked yet".to_owned(),
                false => "is left from an interrupted operation".to_owned(),
            };
            self.verdict.notes.push(Finding { file, what, at_start: AtStart::Repairs, lost: None });
        }
        self.check_end(segments);
        self.check_epoch_fields();
        self.compare_epochs()?;
        self.check_topic()
    }

    /// Checks that the log starts at the checkpointed log start offset or below.
    pub(super) fn check_start(&mut self, first: Option<&FoundSegment>) {
        let (at, start) = (&self.known.at, self.verdict.start);
        let Some(expected) = at.log_start.filter(|expected| at.clean_shutdown && *expected < start) else { return };
        let file = first.map_or_else(|| self.folder_name(), |first| file_name(first.base, names::LOG));
        let what = format!("is the first segment, but the log start offset is {expected}");
        let lost = Some(Loss { first: expected, last: Some(start - 1), bytes: 0 });
        self.verdict.findings.push(Finding { file, what, at_start: AtStart::Trusts, lost });
    }

    /// The folder's name, for findings about missing files.
    fn folder_name(&self) -> String {
        self.folder.path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Checks that the log reaches the recovery point and the validated position.
    fn check_end(&mut self, segments: &[FoundSegment]) {
        let at = &self.known.at;
        let expected = at.recovery_point.max(at.validated.map_or(0, |validated| validated.next_offset));
        let first = self.next_offset;
        let is_reported =
            self.verdict.findings.iter().any(|finding| finding.lost.is_some_and(|lost| lost.last.is_none()));
        if expected <= first || is_reported {
            return;
        }
        let file = segments.last().map_or_else(|| self.folder_name(), |last| file_name(last.base, names::LOG));
        let what = format!("ends at offset {first}, but by the checkpoints the log reached {expected}");
        let lost = Some(Loss { first, last: Some(expected - 1), bytes: 0 });
        self.verdict.findings.push(Finding { file, what, at_start: AtStart::Ignores, lost });
    }

    /// Finds single batches whose epoch differs from that of their neighbours: the CRC doesn't cover this field.
    ///
    /// The last batch after a crash may have begun an epoch, which a checkpoint that was not synced lacks after a power
    /// loss.
    fn check_epoch_fields(&mut self) {
        let stored = self.stored_epochs();
        let runs = self.runs.clone();
        let mut accepted: Vec<i32> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            let before = accepted.last().copied();
            let after = runs.get(index + 1).map(|run| run.epoch);
            let checkpointed = stored.as_ref().map(|epochs| epochs.at(run.first));
            let neighbours = match (before, after) {
                (Some(before), Some(after)) => (before == after).then_some(before),
                (Some(before), None) => {
                    let may_begin_epoch = !self.known.at.clean_shutdown && run.epoch > before;
                    checkpointed.filter(|epoch| *epoch == before && !may_begin_epoch)
                }
                (None, Some(after)) => checkpointed.filter(|epoch| *epoch == after),
                (None, None) => None,
            };
            match neighbours.filter(|epoch| run.batches == 1 && *epoch != run.epoch) {
                Some(epoch) => {
                    let what = format!("the batch at {} has epoch {}, its neighbours {epoch}", run.position, run.epoch);
                    self.add_finding(file_name(run.segment, names::LOG), what, AtStart::Trusts);
                    self.add_damage(run.segment, run.position, 0, DamageKind::Epoch(epoch));
                }
                None => {
                    accepted.push(run.epoch);
                    self.epochs.assign(run.epoch, run.first);
                }
            }
        }
    }

    pub(super) fn stored_epochs(&self) -> Option<LeaderEpochs> {
        let path = self.folder.path.join(leader_epochs::FILE_NAME);
        let text = self.folder.disk.read(&path).ok().flatten()?;
        LeaderEpochs::parse(&text).ok().filter(|epochs| epochs.latest().is_some())
    }

    fn compare_epochs(&mut self) -> Result<(), LogError> {
        let path = self.folder.path.join(leader_epochs::FILE_NAME);
        let has_records = self.verdict.batches > 0;
        let mut derived = self.epochs.clone();
        if let Some(start) = self.known.at.log_start {
            derived.truncate_start(start);
        }
        let (what, at_start) = match self.folder.disk.read(&path).doing("reading", &path)? {
            None if has_records => ("is missing".to_owned(), AtStart::Repairs),
            None => return Ok(()),
            Some(text) => match LeaderEpochs::parse(&text) {
                Err(why) => (why, AtStart::Repairs),
                Ok(stored) if !stored.agrees_with(&derived, self.next_offset, self.incomplete) => {
                    ("contradicts the epochs of the batches".to_owned(), AtStart::Trusts)
                }
                Ok(_) => return Ok(()),
            },
        };
        self.add_finding(leader_epochs::FILE_NAME, what, at_start);
        Ok(())
    }

    fn check_topic(&mut self) -> Result<(), LogError> {
        let path = self.folder.path.join(partition_metadata::FILE_NAME);
        let expected = self.known.at.topic_id;
        let (what, at_start) = match self.folder.disk.read(&path).doing("reading", &path)? {
            None if expected.is_some() => ("is missing".to_owned(), AtStart::Repairs),
            None => return Ok(()),
            Some(text) => match (partition_metadata::parse(&text), expected) {
                (Err(why), _) => (why, AtStart::Repairs),
                (Ok(found), Some(expected)) if found != expected => {
                    (format!("has topic id {found}, but the topic has {expected}"), AtStart::Refuses)
                }
                (Ok(_), _) => return Ok(()),
            },
        };
        self.add_finding(partition_metadata::FILE_NAME, what, at_start);
        Ok(())
    }
}
