//! A log directory that no broker has open.

use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::{AtStart, Finding, Repaired, Traces};
use crate::checkpoints::read_checkpoint;
use crate::error::IoContext;
use crate::file::Disk;
use crate::log_dir::{self, CLEAN_SHUTDOWN, FIRST_DIRTY, HIGH_WATERMARKS, LOG_STARTS, POSITIONS, RECOVERY_POINTS};
use crate::meta_properties::{META_PROPERTIES, MetaProperties};
use crate::{
    FoundPartition, LogDirError, LogError, OpenParams, PartitionState, Validated, checkpoint, names, positions,
};
use ottla_wire::types::{InOrder as _, Offset, TimestampMs, TopicId, TopicPartition};

type Offsets = HashMap<TopicPartition, Offset>;

/// A log directory that no broker has open.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    disk: Disk,
    _lock: Option<File>,
    findings: Vec<Finding>,
    traces: Traces,
    clean_shutdown: bool,
    recovery_points: Offsets,
    log_starts: Offsets,
    first_dirty: Offsets,
    high_watermarks: Offsets,
    validated: HashMap<TopicPartition, Validated>,
}

impl Directory {
    /// Locks the directory and reads its checkpoints.
    ///
    /// # Errors
    /// `InUse` if a broker has it open; others if it can't be read.
    pub fn lock(path: &Path) -> Result<Directory, LogDirError> {
        Directory::read(path, Some(log_dir::lock(path)?))
    }

    /// Like [`Directory::lock`], but writes nothing, so that it works without write permission. A directory without a
    /// `.lock` file is not locked.
    ///
    /// # Errors
    /// Like [`Directory::lock`].
    pub fn lock_to_read(path: &Path) -> Result<Directory, LogDirError> {
        Directory::read(path, log_dir::lock_to_read(path)?)
    }

    fn read(path: &Path, lock: Option<File>) -> Result<Directory, LogDirError> {
        let disk = Disk::plain();
        let mut findings = Vec::new();
        let traces = Traces::of(&disk, path)?;
        check_meta(&disk, path, &mut findings)?;
        let mut offsets = |name: &str, at_start: AtStart| -> Result<Offsets, LogDirError> {
            match read_checkpoint(&disk, &path.join(name)) {
                Ok(offsets) => Ok(offsets),
                Err(LogError::Corrupt { why, .. }) => {
                    findings.push(Finding { file: name.to_owned(), what: why, at_start, lost: None });
                    Ok(Offsets::new())
                }
                Err(error) => Err(error.into()),
            }
        };
        // Without recovery points recovery only takes longer; without log starts deleted records would reappear.
        let recovery_points = offsets(RECOVERY_POINTS, AtStart::Repairs)?;
        let log_starts = offsets(LOG_STARTS, AtStart::Refuses)?;
        let first_dirty = offsets(FIRST_DIRTY, AtStart::Repairs)?;
        let high_watermarks = offsets(HIGH_WATERMARKS, AtStart::Repairs)?;
        let marker = path.join(CLEAN_SHUTDOWN);
        let clean_shutdown = disk.len(&marker).doing("reading the size of", &marker)?.is_some();
        let file = path.join(POSITIONS);
        let text = disk.read(&file).doing("reading", &file)?.unwrap_or_default();
        let validated = positions::parse(&text, positions::boot_id().as_deref()).of_this_boot();
        Ok(Directory {
            path: path.to_path_buf(),
            disk,
            _lock: lock,
            findings,
            traces,
            clean_shutdown,
            recovery_points,
            log_starts,
            first_dirty,
            high_watermarks,
            validated,
        })
    }

    pub fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The problems of the directory's own files.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// The traces of the brokers that used the directory, at the time of locking.
    pub fn traces(&self) -> Traces {
        self.traces
    }

    /// Lists all partition folders.
    pub fn partitions(&self) -> Result<Vec<FoundPartition>, LogError> {
        log_dir::partitions_of(&self.disk, &self.path)
    }

    /// Whether the partition was compacted: its offsets may have gaps.
    pub fn was_compacted(&self, partition: &TopicPartition) -> bool {
        self.first_dirty.contains_key(partition)
    }

    /// Collects the checkpoints of the partition, as a start does.
    pub fn open_at(&self, partition: &TopicPartition, topic_id: Option<TopicId>, now: TimestampMs) -> OpenParams {
        OpenParams {
            clean_shutdown: self.clean_shutdown,
            recovery_point: self.recovery_points.get(partition).copied().unwrap_or(0),
            validated: self.validated.get(partition).copied(),
            log_start: self.log_starts.get(partition).copied(),
            topic_id,
            ..OpenParams::fresh(now)
        }
    }

    /// Repairs the directory's own files: renames each unreadable checkpoint, and returns the new paths. Call it before
    /// [`Directory::write_checkpoints`], which writes new files.
    pub fn repair(&mut self) -> Result<Vec<PathBuf>, LogError> {
        let mut renamed = Vec::new();
        for finding in self.findings.iter().filter(|finding| finding.file != META_PROPERTIES) {
            let path = self.path.join(&finding.file);
            let new_path = names::with_suffix(&path, "cut");
            self.disk.rename(&path, &new_path).doing("renaming", &path)?;
            renamed.push(new_path);
        }
        self.disk.sync_folder(&self.path).doing("syncing", &self.path)?;
        Ok(renamed)
    }

    /// The content of `meta.properties`, if it is valid.
    pub fn meta(&self) -> Option<MetaProperties> {
        MetaProperties::read(&self.path).ok().flatten()
    }

    /// Lists partitions with records according to the checkpoints but without a folder, with their offset ranges.
    pub fn partitions_without_folder(&self, present: &[FoundPartition]) -> Vec<(TopicPartition, Range<Offset>)> {
        let has_folder = |partition: &TopicPartition| {
            present.iter().any(|found| found.state == PartitionState::Live && found.partition == *partition)
        };
        let checkpoints = [&self.recovery_points, &self.log_starts, &self.high_watermarks];
        let named: BTreeSet<&TopicPartition> =
            checkpoints.into_iter().flat_map(|it| it.keys()).chain(self.validated.keys()).in_order();
        // Ottla's recovery points are at or before the last batch, and the positions file may be missing.
        let reached = |partition: &TopicPartition| {
            let offset_in = |checkpoint: &Offsets| checkpoint.get(partition).copied().unwrap_or(0);
            let end = offset_in(&self.recovery_points).max(offset_in(&self.high_watermarks));
            let validated = self.validated.get(partition).map_or(0, |validated| validated.next_offset);
            offset_in(&self.log_starts)..end.max(validated)
        };
        let lost = named.into_iter().filter(|partition| !has_folder(partition));
        lost.map(|partition| (partition.clone(), reached(partition))).filter(|(_, lost)| !lost.is_empty()).collect()
    }

    /// Writes the start and end offsets of repaired logs to the checkpoints, so that a start doesn't expect lost
    /// records.
    pub fn write_checkpoints(&mut self, repaired: &[(TopicPartition, Repaired)]) -> Result<(), LogError> {
        for (partition, repaired) in repaired {
            self.recovery_points.insert(partition.clone(), repaired.end);
            self.log_starts.insert(partition.clone(), repaired.start);
            self.validated.remove(partition);
        }
        for (name, offsets) in [(RECOVERY_POINTS, &self.recovery_points), (LOG_STARTS, &self.log_starts)] {
            let mut entries: Vec<_> = offsets.iter().collect();
            entries.sort();
            let lines = entries.iter().map(|(at, offset)| format!("{} {} {offset}", at.topic, at.partition));
            let path = self.path.join(name);
            let text = checkpoint::format(lines);
            self.disk.write_atomic(&path, text.as_bytes(), true).doing("writing", &path)?;
        }
        // The positions file only saves time.
        let path = self.path.join(POSITIONS);
        self.disk.remove(&path).doing("removing", &path)?;
        self.disk.sync_folder(&self.path).doing("syncing", &self.path)
    }
}

fn check_meta(disk: &Disk, path: &Path, findings: &mut Vec<Finding>) -> Result<(), LogDirError> {
    let file = path.join(META_PROPERTIES);
    let what = match disk.read(&file).doing("reading", &file)?.map(|text| MetaProperties::parse(&text)) {
        Some(Ok(_)) => return Ok(()),
        Some(Err(why)) => (why.to_string(), AtStart::Refuses),
        None => ("is missing: write a new one with `ottla kafka-storage format`".to_owned(), AtStart::Refuses),
    };
    let (what, at_start) = what;
    findings.push(Finding { file: META_PROPERTIES.to_owned(), what, at_start, lost: None });
    Ok(())
}
