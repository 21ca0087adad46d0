//! Repair of verified files: removes as little as possible, and copies removed data to plain files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::segment::{Damage, DamageKind};
use super::{PartitionFacts, Verdict, verify};
use crate::compact::finish_interrupted;
use crate::error::IoContext;
use crate::file::{Disk, RawFile};
use crate::recovery::SegmentFile;
use crate::segment::PartitionFolder;
use crate::{Log, LogConfig, LogError, OpenParams, leader_epochs, names, partition_metadata};
use ottla_wire::record::{BATCH_OVERHEAD, BatchHeader};
use ottla_wire::types::{LeaderEpoch, Offset};

const CHUNK: u64 = 1 << 20;
/// Positions in a batch: the leader epoch, the CRC, and the start of the bytes that the CRC covers.
const EPOCH_AT: u64 = 12;
const CRC_AT: usize = 17;
const CRC_START: usize = 21;

/// The result of a repair.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Repaired {
    /// Copies of the removed data.
    pub set_aside: Vec<PathBuf>,
    /// The log start offset after the repair.
    pub start: Offset,
    /// The log end offset after the repair.
    pub end: Offset,
}

/// Repairs the findings of `verdict`, which must be of these files. The log is closed and synced afterwards.
///
/// # Errors
/// If the log belongs to another topic (nothing was changed), or if a file can't be read or written (the repair is
/// incomplete).
pub fn repair(disk: &Disk, path: &Path, known: PartitionFacts, verdict: &Verdict) -> Result<Repaired, LogError> {
    let folder = PartitionFolder { disk: disk.clone(), path: path.to_path_buf() };
    check_topic(&folder, known)?;
    if finish_interrupted(&folder, &folder.disk.list(path).doing("listing", path)?.unwrap_or_default())? {
        // Completing the compaction has changed the segments.
        let verdict = verify(disk, path, known, &mut |_| {})?;
        return repair_files(&folder, known, &verdict);
    }
    repair_files(&folder, known, verdict)
}

fn check_topic(folder: &PartitionFolder, known: PartitionFacts) -> Result<(), LogError> {
    let path = folder.path.join(partition_metadata::FILE_NAME);
    let text = folder.disk.read(&path).doing("reading", &path)?;
    let found = text.and_then(|text| partition_metadata::parse(&text).ok());
    match (found, known.at.topic_id) {
        (Some(found), Some(expected)) if found != expected => Err(LogError::OtherTopic { path, expected, found }),
        _ => Ok(()),
    }
}

fn repair_files(folder: &PartitionFolder, known: PartitionFacts, verdict: &Verdict) -> Result<Repaired, LogError> {
    let (disk, path) = (&folder.disk, &*folder.path);
    let mut repaired = Repaired::default();
    let mut damages = verdict.damages.clone();
    // Recovery truncates the end of the log.
    damages.retain(|damage| damage.kind != DamageKind::Tail);
    damages.sort_by_key(|damage| (damage.segment, damage.position));
    for of_segment in damages.chunk_by(|a, b| a.segment == b.segment) {
        rewrite(folder, of_segment, known.compacted, &mut repaired)?;
    }
    for finding in &verdict.findings {
        let derived = [".snapshot", ".txnindex"].iter().any(|kind| finding.file.ends_with(kind));
        if derived || finding.file == leader_epochs::FILE_NAME {
            let path = folder.path.join(&finding.file);
            disk.remove(&path).doing("removing", &path)?;
        }
    }
    let saved = SavedFiles::read(folder)?;
    // With `cleanup_compact`, recovery accepts the remaining gaps.
    let config = LogConfig { cleanup_compact: true, ..LogConfig::default() };
    let at = OpenParams { clean_shutdown: false, recovery_point: 0, validated: None, ..known.at };
    let mut log = Log::open(disk, path, Arc::new(config), at)?;
    if let Some(report) = log.take_open_report() {
        repaired.set_aside.extend(report.set_aside.iter().cloned());
    }
    (repaired.start, repaired.end) = (log.start_offset(), log.end_offset());
    log.close()?.sync()?;
    saved.restore(folder, repaired.end)?;
    disk.sync_folder(path).doing("syncing", path)?;
    Ok(repaired)
}

/// Valid transaction indexes and producer snapshots, kept in memory. Opening the log rebuilds these files from the
/// batches, but the kept files may describe batches that no longer exist.
struct SavedFiles(Vec<(Offset, &'static str, Vec<u8>)>);

impl SavedFiles {
    fn read(folder: &PartitionFolder) -> Result<SavedFiles, LogError> {
        let mut saved = Vec::new();
        for name in folder.disk.list(&folder.path).doing("listing", &folder.path)?.unwrap_or_default() {
            let (offset, kind) = match names::parse_file(&name) {
                Some((at, names::SNAPSHOT)) => (at, names::SNAPSHOT),
                Some((base, names::TXN_INDEX)) => (base, names::TXN_INDEX),
                _ => continue,
            };
            let path = folder.file(offset, kind);
            let bytes = folder.disk.read(&path).doing("reading", &path)?.unwrap_or_default();
            saved.push((offset, kind, bytes));
        }
        Ok(SavedFiles(saved))
    }

    /// Restores the files that still belong to the log, which ends at `end`.
    fn restore(self, folder: &PartitionFolder, end: Offset) -> Result<(), LogError> {
        for (offset, kind, bytes) in self.0 {
            let path = folder.file(offset, kind);
            let segment = folder.file(offset, names::LOG);
            let belongs = match kind {
                names::SNAPSHOT => offset <= end,
                _ => folder.disk.len(&segment).doing("reading the size of", &segment)?.is_some(),
            };
            let now = folder.disk.read(&path).doing("reading", &path)?;
            if belongs && now.as_deref() != Some(&*bytes) {
                folder.disk.write_atomic(&path, &bytes, true).doing("writing", &path)?;
            }
        }
        Ok(())
    }
}

/// Rewrites a segment without its corrupt parts: writes a temporary file, then renames it.
fn rewrite(
    folder: &PartitionFolder,
    damages: &[Damage],
    compacted: bool,
    repaired: &mut Repaired,
) -> Result<(), LogError> {
    let Some(base) = damages.first().map(|damage| damage.segment) else { return Ok(()) };
    let path = folder.file(base, names::LOG);
    let size = folder.disk.len(&path).doing("reading the size of", &path)?.unwrap_or(0);
    let segment_file = SegmentFile { folder, base, size, sealed: true };
    let raw = segment_file.open()?;
    for damage in damages.iter().filter(|damage| damage.len > 0 && matches!(damage.kind, DamageKind::Missing { .. })) {
        repaired.set_aside.push(segment_file.set_aside_part(damage.position, damage.position + damage.len)?);
    }
    let temporary = names::with_suffix(&path, "tmp");
    folder.disk.remove(&temporary).doing("removing", &temporary)?;
    let to = folder.disk.open_to_write(&temporary).doing("writing", &temporary)?;
    let mut copy = Copy { from: &raw, to, written: 0 };
    let copied = (|| -> io::Result<()> {
        let mut reached = 0;
        for damage in damages {
            copy.copy_range(reached, damage.position)?;
            reached = copy.write_replacement(damage, compacted)?;
        }
        copy.copy_range(reached, size)?;
        folder.disk.sync_file(&copy.to)
    })();
    copied.doing("writing", &temporary)?;
    folder.disk.rename(&temporary, &path).doing("renaming", &temporary)?;
    folder.disk.sync_folder(&folder.path).doing("syncing", &folder.path)
}

/// A copy of a segment to a new file.
struct Copy<'a> {
    from: &'a RawFile,
    to: RawFile,
    written: u64,
}

impl Copy<'_> {
    fn copy_range(&mut self, from: u64, to: u64) -> io::Result<()> {
        let mut at = from;
        while at < to {
            let mut bytes = vec![0; (to - at).min(CHUNK) as usize];
            self.from.read_exact_at(at, &mut bytes)?;
            self.write(&bytes)?;
            at += bytes.len() as u64;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.to.write_all_at(self.written, bytes)?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes the replacement for a damaged part. Returns the position in the old file where the copy continues.
    fn write_replacement(&mut self, damage: &Damage, compacted: bool) -> io::Result<u64> {
        let position = damage.position;
        match damage.kind {
            DamageKind::Missing { first, last } => {
                let delta = i32::try_from(last - first).ok().filter(|_| last >= first && !compacted);
                if let Some(delta) = delta {
                    self.write(&empty_batch(first, delta, damage.epoch))?;
                }
                Ok(position + damage.len)
            }
            DamageKind::Offset(offset) => {
                self.write(&offset.to_be_bytes())?;
                Ok(position + 8)
            }
            DamageKind::Epoch(epoch) => {
                self.copy_range(position, position + EPOCH_AT)?;
                self.write(&epoch.to_be_bytes())?;
                Ok(position + EPOCH_AT + 4)
            }
            DamageKind::Tail => Ok(position),
        }
    }
}

/// A batch without records for lost offsets, as compaction writes it. Clients skip it.
fn empty_batch(first: Offset, last_offset_delta: i32, epoch: LeaderEpoch) -> [u8; BATCH_OVERHEAD] {
    let header =
        BatchHeader { base_offset: first, last_offset_delta, partition_leader_epoch: epoch, ..BatchHeader::default() };
    let mut bytes = header.to_bytes();
    let crc = crc32c::crc32c(&bytes[CRC_START..]);
    bytes[CRC_AT..CRC_START].copy_from_slice(&crc.to_be_bytes());
    bytes
}
