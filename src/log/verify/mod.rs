//! Verification of a log's files while no broker has them open, and their repair.
//!
//! [`verify`] reads everything and changes nothing: batches with their CRCs and the records inside, offsets, indexes,
//! aborted transactions, snapshots of producers, leader epochs, what is left over. [`repair`] does what it says would
//! be done: damaged stretches are set aside in plain files as recovery does, an empty batch stands for the offsets
//! that are gone (as compaction leaves them), and what is derived is written anew by [`Log::open`](crate::Log::open) itself.

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
use super::segment::{Found, Place};
use super::{LogError, OpenAt, names};
use ottla_wire::types::{LeaderEpoch, Offset, ProducerId};

pub use directory::Directory;
pub use repair::{Repaired, repair};
use segment::Damage;
pub use traces::Traces;

/// What verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    pub findings: Vec<Finding>,
    /// What the next start clears away or finishes, and nothing is wrong with.
    pub notes: Vec<Finding>,
    pub segments: usize,
    /// Of all segments.
    pub bytes: u64,
    pub batches: u64,
    /// In batches that are whole; those of format 2.
    pub records: u64,
    pub start: Offset,
    /// The offset after the last whole batch.
    pub end: Offset,
    /// The highest that a batch or a snapshot has; -1 if there is none.
    pub highest_producer_id: ProducerId,
    /// The newest that a batch says, or the file of epochs; -1 if there is none.
    pub latest_epoch: LeaderEpoch,
    damages: Vec<Damage>,
}

impl Verdict {
    /// Of a log whose folder is gone, which began at `start`.
    pub fn without_folder(start: Offset, finding: Finding) -> Verdict {
        Verdict { findings: vec![finding], start, end: start, ..Verdict::default() }
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The file's name in the partition's folder.
    pub file: String,
    pub what: String,
    pub at_start: AtStart,
    /// What can't be brought back.
    pub lost: Option<Loss>,
}

/// What the start of a broker does about a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AtStart {
    /// Writes the file anew, or removes it: no record is touched.
    Repairs,
    /// Believes the file as it is.
    Trusts,
    /// Ends the log here, and sets the rest aside.
    Truncates,
    /// Doesn't look there; who reads there is told of an error.
    Ignores,
    /// Doesn't open the partition.
    Refuses,
}

/// Records that are gone, damaged or absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loss {
    pub first: Offset,
    /// The last offset lost; `None` where the log's end is lost, and nobody knows how much there was.
    pub last: Option<Offset>,
    /// Damaged bytes.
    pub bytes: u64,
}

/// What is known of a partition beside its folder.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    pub at: OpenAt,
    /// Whether the topic is compacted: its offsets may have gaps.
    pub compacted: bool,
}

/// Reads all of the log in `folder`. `progress` is told of bytes as they are read.
///
/// # Errors
/// If a file can't be read; what is wrong with its content is a finding.
pub fn verify(disk: &Disk, folder: &Path, known: Known, progress: &mut dyn FnMut(u64)) -> Result<Verdict, LogError> {
    let place = Place { disk: disk.clone(), folder: folder.to_path_buf() };
    let mut pass = Pass::new(place, known, progress)?;
    let segments = std::mem::take(&mut pass.files.segments);
    pass.verdict.start = segments.first().map_or(0, |first| first.base);
    pass.next_offset = pass.verdict.start;
    pass.incomplete = pass.verdict.start > 0;
    pass.check_start(segments.first());
    for (index, found) in segments.iter().enumerate() {
        pass.segment(found, segments.get(index + 1))?;
    }
    pass.verdict.segments = segments.len();
    pass.verdict.end = pass.next_offset;
    pass.check_other_files(&segments)?;
    let stored = pass.stored_epochs().and_then(|epochs| epochs.latest());
    pass.verdict.latest_epoch = stored.max(pass.epochs.latest()).unwrap_or(-1);
    let known = pass.producers.describe().into_iter().map(|producer| producer.producer_id);
    pass.verdict.highest_producer_id = known.fold(pass.highest_producer_id, ProducerId::max);
    Ok(pass.verdict)
}

/// One reading of a log, from its first batch to its last.
struct Pass<'a> {
    place: Place,
    known: Known,
    progress: &'a mut dyn FnMut(u64),
    files: Files,
    verdict: Verdict,
    /// The offset that follows all that was read.
    next_offset: Offset,
    producers: Producers,
    /// Who has records in the transaction that is open, not just batches that compaction has emptied.
    txn_records: HashSet<ProducerId>,
    /// Whether offsets or records are missing before `next_offset`: by compaction, retention or damage. What is derived
    /// from the batches is then less than what was known when they all were there.
    incomplete: bool,
    epochs: LeaderEpochs,
    /// Runs of batches of one epoch: where each begins.
    runs: Vec<Run>,
    /// Base and size of the segment before.
    previous: (Offset, u64),
    highest_producer_id: ProducerId,
}

/// Batches one after another that were written in the same epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    epoch: LeaderEpoch,
    first: Offset,
    batches: u64,
    /// Where the first of them lies.
    segment: Offset,
    position: u64,
}

/// The names in a folder that are a log's.
#[derive(Debug, Default)]
struct Files {
    segments: Vec<Found>,
    snapshots: Vec<Offset>,
    /// Base offset and kind of each index.
    indexes: Vec<(Offset, String)>,
    left_over: Vec<String>,
}

impl Files {
    fn read(place: &Place) -> Result<Files, LogError> {
        let mut files = Files::default();
        for name in place.disk.list(&place.folder).doing("listing", &place.folder)?.unwrap_or_default() {
            match names::parse_file(&name) {
                Some((base, names::LOG)) => {
                    let path = place.file(base, names::LOG);
                    let size = place.disk.len(&path).doing("looking at", &path)?.unwrap_or(0);
                    files.segments.push(Found { base, size, synced: false });
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

/// What waits for its removal, or interrupted work leaves; the next start removes it, or finishes it.
fn is_left_over(name: &str) -> bool {
    [".tmp", ".deleted", ".cleaned", ".swap"].iter().any(|suffix| name.ends_with(suffix))
}

impl<'a> Pass<'a> {
    fn new(place: Place, known: Known, progress: &'a mut dyn FnMut(u64)) -> Result<Pass<'a>, LogError> {
        let files = Files::read(&place)?;
        Ok(Pass {
            place,
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

    /// Whether a start reads a segment's batches from `position` on again, and checks them.
    fn is_scanned(&self, base: Offset, position: u64, next: Option<&Found>) -> bool {
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
