//! What stands beside the segments: snapshots of producers, epochs, the topic's id, leftovers.

use super::segment::DamageKind;
use super::{AtStart, Finding, Loss, Pass, file_name};
use crate::error::IoContext;
use crate::leader_epochs::{self, LeaderEpochs};
use crate::producers::Producers;
use crate::segment::Found;
use crate::{LogError, names, partition_metadata};
use ottla_wire::types::Offset;

impl Pass<'_> {
    /// Compares the snapshots taken at `offset` and before with what the batches before say.
    pub(super) fn compare_snapshots(&mut self, offset: Offset) -> Result<(), LogError> {
        while let Some(at) = self.files.snapshots.first().copied().filter(|at| *at <= offset) {
            self.files.snapshots.remove(0);
            self.compare_snapshot(at)?;
        }
        Ok(())
    }

    fn compare_snapshot(&mut self, at: Offset) -> Result<(), LogError> {
        let path = self.place.file(at, names::SNAPSHOT);
        let bytes = self.place.disk.read(&path).doing("reading", &path)?.unwrap_or_default();
        let what = match Producers::from_snapshot(&bytes, self.known.at.now, i64::MAX) {
            Err(why) => why,
            Ok(stored) => {
                let ids = stored.describe().into_iter().map(|producer| producer.producer_id);
                self.highest_producer_id = ids.fold(self.highest_producer_id, i64::max);
                match (stored.beyond(at), self.incomplete) {
                    (Some(id), _) => format!("tells of producer {id} what comes after it"),
                    // It knows of batches that are gone, and rightly so.
                    (None, true) => return Ok(()),
                    (None, false) => match stored.contradiction(&self.producers, self.verdict.start) {
                        Some(id) => format!("tells other things of producer {id} than its batches"),
                        None => return Ok(()),
                    },
                }
            }
        };
        self.add_finding(file_name(at, names::SNAPSHOT), what, AtStart::Repairs);
        Ok(())
    }

    /// Everything that can only be judged once all batches are read.
    pub(super) fn check_other_files(&mut self, segments: &[Found]) -> Result<(), LogError> {
        self.compare_snapshots(self.next_offset)?;
        for at in std::mem::take(&mut self.files.snapshots) {
            let what = format!("is of the log before offset {at}, which ends at {}", self.next_offset);
            self.add_finding(file_name(at, names::SNAPSHOT), what, AtStart::Repairs);
        }
        for (base, kind) in std::mem::take(&mut self.files.indexes) {
            if segments.binary_search_by_key(&base, |segment| segment.base).is_err() {
                self.add_finding(file_name(base, &kind), "belongs to no segment", AtStart::Repairs);
            }
        }
        for file in std::mem::take(&mut self.files.left_over) {
            let what = match file.ends_with(".deleted") {
                true => "waits for its removal".to_owned(),
                false => "is left over from work that was interrupted".to_owned(),
            };
            self.verdict.notes.push(Finding { file, what, at_start: AtStart::Repairs, lost: None });
        }
        self.check_end(segments);
        self.check_epoch_fields();
        self.compare_epochs()?;
        self.check_topic()
    }

    /// Who closed the log wrote down where it began.
    pub(super) fn check_start(&mut self, first: Option<&Found>) {
        let (at, start) = (&self.known.at, self.verdict.start);
        let Some(told) = at.log_start.filter(|told| at.clean_shutdown && *told < start) else { return };
        let file = first.map_or_else(|| self.folder_name(), |first| file_name(first.base, names::LOG));
        let what = format!("the log was known to begin at offset {told}, and begins with this segment");
        let lost = Some(Loss { first: told, last: Some(start - 1), bytes: 0 });
        self.verdict.findings.push(Finding { file, what, at_start: AtStart::Trusts, lost });
    }

    /// What a finding names that is of no file: there is none.
    fn folder_name(&self) -> String {
        self.place.folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Records that were known to be on disk have to be there.
    fn check_end(&mut self, segments: &[Found]) {
        let at = &self.known.at;
        let promised = at.recovery_point.max(at.validated.map_or(0, |validated| validated.next_offset));
        let first = self.next_offset;
        let is_told = self.verdict.findings.iter().any(|finding| finding.lost.is_some_and(|lost| lost.last.is_none()));
        if promised <= first || is_told {
            return;
        }
        let file = segments.last().map_or_else(|| self.folder_name(), |last| file_name(last.base, names::LOG));
        let what = format!("ends at offset {first}, although it was known to reach {promised}");
        let lost = Some(Loss { first, last: Some(promised - 1), bytes: 0 });
        self.verdict.findings.push(Finding { file, what, at_start: AtStart::Ignores, lost });
    }

    /// A single batch of another epoch than those around it: the field is outside of what the CRC covers.
    fn check_epoch_fields(&mut self) {
        let stored = self.stored_epochs();
        let runs = self.runs.clone();
        let mut kept: Vec<i32> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            let before = kept.last().copied();
            let after = runs.get(index + 1).map(|run| run.epoch);
            let told = stored.as_ref().map(|epochs| epochs.at(run.first));
            let around = match (before, after) {
                (Some(before), Some(after)) => (before == after).then_some(before),
                (Some(before), None) => told.filter(|told| *told == before),
                (None, Some(after)) => told.filter(|told| *told == after),
                (None, None) => None,
            };
            match around.filter(|epoch| run.batches == 1 && *epoch != run.epoch) {
                Some(epoch) => {
                    let what =
                        format!("the batch at {} says epoch {}, those around it {epoch}", run.position, run.epoch);
                    self.add_finding(file_name(run.segment, names::LOG), what, AtStart::Trusts);
                    self.add_damage(run.segment, run.position, 0, DamageKind::Epoch(epoch));
                }
                None => {
                    kept.push(run.epoch);
                    self.epochs.assign(run.epoch, run.first);
                }
            }
        }
    }

    pub(super) fn stored_epochs(&self) -> Option<LeaderEpochs> {
        let path = self.place.folder.join(leader_epochs::FILE_NAME);
        let text = self.place.disk.read(&path).ok().flatten()?;
        LeaderEpochs::parse(&text).ok().filter(|epochs| epochs.latest().is_some())
    }

    fn compare_epochs(&mut self) -> Result<(), LogError> {
        let path = self.place.folder.join(leader_epochs::FILE_NAME);
        let has_records = self.verdict.batches > 0;
        let mut derived = self.epochs.clone();
        if let Some(start) = self.known.at.log_start {
            derived.truncate_start(start);
        }
        let what = match self.place.disk.read(&path).doing("reading", &path)? {
            None if has_records => "is missing".to_owned(),
            None => return Ok(()),
            Some(text) => match LeaderEpochs::parse(&text) {
                Err(why) => why,
                Ok(stored) if !stored.agrees_with(&derived, self.next_offset, self.incomplete) => {
                    "tells other epochs than the batches".to_owned()
                }
                Ok(_) => return Ok(()),
            },
        };
        let at_start = if what.starts_with("tells") { AtStart::Trusts } else { AtStart::Repairs };
        self.add_finding(leader_epochs::FILE_NAME, what, at_start);
        Ok(())
    }

    fn check_topic(&mut self) -> Result<(), LogError> {
        let path = self.place.folder.join(partition_metadata::FILE_NAME);
        let expected = self.known.at.topic_id;
        let (what, at_start) = match self.place.disk.read(&path).doing("reading", &path)? {
            None if expected.is_some() => ("is missing".to_owned(), AtStart::Repairs),
            None => return Ok(()),
            Some(text) => match (partition_metadata::parse(&text), expected) {
                (Err(why), _) => (why, AtStart::Repairs),
                (Ok(found), Some(expected)) if found != expected => {
                    (format!("is of topic id {found}, the topic's is {expected}"), AtStart::Refuses)
                }
                (Ok(_), _) => return Ok(()),
            },
        };
        self.add_finding(partition_metadata::FILE_NAME, what, at_start);
        Ok(())
    }
}
