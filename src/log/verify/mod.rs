//! Verification and repair of a log's files while no broker has them open.
//!
//! [`verify`] reads all files and changes nothing. It checks batches with their CRCs and records, offsets, indexes,
//! aborted transactions, producer snapshots, leader epochs and temporary files. [`repair`] removes corrupt data, which is
//! copied to plain files first, as recovery does. A batch without records, like those of compaction, takes
//! the place of the lost offsets.
//! Derived files are rebuilt by [`Log::open`](crate::Log::open).

mod directory;
mod other_files;
mod repair;
mod segment;
mod traces;

use std::collections::HashSet;
use std::path::Path;

use super::error::IoContext;
use super::file::Disk;
use super::leader_epochs::LeaderEpochs;
use super::producers::Producers;
use super::segment::{FoundSegment, PartitionFolder};
use super::{LogError, OpenParams, names};
use ottla_wire::types::{LeaderEpoch, Offset, ProducerId, ProducerIdEpoch, sort_by_key};

pub use directory::Directory;
pub use repair::{Repaired, repair};
use segment::Damage;
pub use traces::Traces;

/// The result of a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub findings: Vec<Finding>,
    /// Files that the next start removes or completes; they are not an error.
    pub notes: Vec<Finding>,
    pub segments: usize,
    /// Total bytes of all segments.
    pub bytes: u64,
    pub batches: u64,
    /// Records in valid batches of format 2.
    pub records: u64,
    pub start: Offset,
    /// The offset after the last valid batch.
    pub end: Offset,
    /// The highest producer id in batches and snapshots; -1 if there is none.
    pub highest_producer_id: ProducerId,
    /// The latest epoch in batches and the leader epoch checkpoint; -1 if there is none.
    pub latest_epoch: LeaderEpoch,
    /// Transactions without a marker, by their first offset.
    pub open_transactions: Vec<OpenTransaction>,
    damages: Vec<Damage>,
}

impl Verdict {
    /// The verdict for a log whose folder is missing, with log start offset `start`.
    pub fn without_folder(start: Offset, finding: Finding) -> Verdict {
        Verdict { findings: vec![finding], start, end: start, ..Verdict::default() }
    }
}

/// A transaction without a marker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    pub start: Offset,
    pub producer: ProducerIdEpoch,
}

/// One problem in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file's name in the partition's folder.
    pub file: String,
    pub what: String,
    pub at_start: AtStart,
    /// Records that can't be restored.
    pub lost: Option<Loss>,
}

/// How the start of a broker handles a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtStart {
    /// Rebuilds or removes the file, without changing records.
    Repairs,
    /// Uses the file as it is.
    Trusts,
    /// Copies the rest of the log to a plain file, and truncates the log here.
    Truncates,
    /// Doesn't detect it; reads of these records fail.
    Ignores,
    /// Doesn't open the partition.
    Refuses,
}

/// Lost records, corrupt or missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub first: Offset,
    /// The last lost offset; `None` if the end of the log is lost and its length is unknown.
    pub last: Option<Offset>,
    /// The number of corrupt bytes.
    pub bytes: u64,
}

/// The information about a partition that is outside of its folder.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub at: OpenParams,
    /// Whether the topic is compacted: its offsets may have gaps.
    pub compacted: bool,
}

/// Verifies the log in `path`. Calls `progress` with the number of bytes after each batch.
///
/// # Errors
/// If a file can't be read. Invalid content is a finding, not an error.
pub fn verify(disk: &Disk, path: &Path, known: Known, progress: &mut dyn FnMut(u64)) -> Result<Verdict, LogError> {
    let folder = PartitionFolder { disk: disk.clone(), path: path.to_path_buf() };
    let mut pass = Pass::new(folder, known, progress)?;
    let segments = std::mem::take(&mut pass.files.segments);
    pass.verdict.start = segments.first().map_or(0, |first| first.base);
    pass.next_offset = pass.verdict.start;
    pass.incomplete = pass.verdict.start > 0;
    pass.check_start(segments.first());
    for (index, found) in segments.iter().enumerate() {
        pass.verify_segment(found, segments.get(index + 1))?;
    }
    pass.verdict.segments = segments.len();
    pass.verdict.end = pass.next_offset;
    pass.check_other_files(&segments)?;
    let stored = pass.stored_epochs().and_then(|epochs| epochs.latest());
    pass.verdict.latest_epoch = stored.max(pass.epochs.latest()).unwrap_or(-1);
    let known = pass.producers.describe();
    let open = known.iter().filter_map(|known| {
        let producer = ProducerIdEpoch { producer_id: known.producer_id, epoch: known.epoch };
        Some(OpenTransaction { start: known.current_txn_start?, producer })
    });
    pass.verdict.open_transactions = open.collect();
    sort_by_key(&mut pass.verdict.open_transactions, |open| open.start);
    let known = known.into_iter().map(|producer| producer.producer_id);
    pass.verdict.highest_producer_id = known.fold(pass.highest_producer_id, ProducerId::max);
    Ok(pass.verdict)
}

/// The state of one pass over a log, from its first batch to its last.
struct Pass<'a> {
    folder: PartitionFolder,
    known: Known,
    progress: &'a mut dyn FnMut(u64),
    files: Files,
    verdict: Verdict,
    /// The offset after the last batch.
    next_offset: Offset,
    producers: Producers,
    /// Producers with records in their open transaction. Batches that compaction has emptied don't count.
    txn_records: HashSet<ProducerId>,
    /// Whether offsets or records are missing before `next_offset`, because of compaction, retention or corruption. State
    /// derived from the batches is then incomplete.
    incomplete: bool,
    epochs: LeaderEpochs,
    /// Runs of batches with the same epoch.
    runs: Vec<Run>,
    /// Base offset and size of the previous segment.
    previous: (Offset, u64),
    highest_producer_id: ProducerId,
}

/// Consecutive batches with the same epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    epoch: LeaderEpoch,
    first: Offset,
    batches: u64,
    /// Base offset of the segment with the first batch.
    segment: Offset,
    /// Position of the first batch.
    position: u64,
}

/// The files of a log in its folder.
#[derive(Debug, Default)]
struct Files {
    segments: Vec<FoundSegment>,
    snapshots: Vec<Offset>,
    /// Base offset and kind of each index.
    indexes: Vec<(Offset, String)>,
    left_over: Vec<String>,
}

impl Files {
    fn read(folder: &PartitionFolder) -> Result<Files, LogError> {
        let mut files = Files::default();
        for name in folder.disk.list(&folder.path).doing("listing", &folder.path)?.unwrap_or_default() {
            match names::parse_file(&name) {
                Some((base, names::LOG)) => {
                    let path = folder.file(base, names::LOG);
                    let size = folder.disk.len(&path).doing("looking at", &path)?.unwrap_or(0);
                    files.segments.push(FoundSegment { base, size, synced: false });
                }
                Some((offset, names::SNAPSHOT)) => files.snapshots.push(offset),
                Some((base, kind @ (names::OFFSET_INDEX | names::TIME_INDEX | names::TXN_INDEX))) => {
                    files.indexes.push((base, kind.to_owned()));
                }
                _ if is_left_over(&name) => files.left_over.push(name),
                _ => {}
            }
        }
        files.segments.sort_unstable_by_key(|segment| segment.base);
        files.snapshots.sort_unstable();
        files.left_over.sort_unstable();
        Ok(files)
    }

    fn has(&self, base: Offset, kind: &str) -> bool {
        self.indexes.iter().any(|(of, found)| *of == base && found == kind)
    }
}

/// Whether a file is marked as deleted or left from an interrupted operation. The next start removes or completes it.
fn is_left_over(name: &str) -> bool {
    [".tmp", ".deleted", ".cleaned", ".swap"].iter().any(|suffix| name.ends_with(suffix))
}

impl<'a> Pass<'a> {
    fn new(folder: PartitionFolder, known: Known, progress: &'a mut dyn FnMut(u64)) -> Result<Pass<'a>, LogError> {
        let files = Files::read(&folder)?;
        Ok(Pass {
            folder,
            known,
            progress,
            files,
            verdict: Verdict::default(),
            next_offset: 0,
            producers: Producers::default(),
            txn_records: HashSet::new(),
            incomplete: false,
            epochs: LeaderEpochs::default(),
            runs: Vec::new(),
            previous: (0, 0),
            highest_producer_id: -1,
        })
    }

    fn add_finding(&mut self, file: impl Into<String>, what: impl Into<String>, at_start: AtStart) {
        self.verdict.findings.push(Finding { file: file.into(), what: what.into(), at_start, lost: None });
    }

    /// Whether the recovery at a start validates a segment's batches from `position` on.
    fn is_scanned(&self, base: Offset, position: u64, next: Option<&FoundSegment>) -> bool {
        let at = &self.known.at;
        match at.validated {
            _ if at.clean_shutdown => false,
            Some(validated) => base > validated.segment || base == validated.segment && position >= validated.position,
            None => next.is_none_or(|next| next.base > at.recovery_point),
        }
    }
}

fn file_name(base: Offset, kind: &str) -> String {
    format!("{base:020}.{kind}")
}
