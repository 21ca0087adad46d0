//! Verification of a segment: its batches, and its indexes.

use std::io;

use super::{AtStart, Finding, Loss, Pass, Run, file_name};
use crate::append::parse_marker;
use crate::error::IoContext;
use crate::file::RawFile;
use crate::index_file::Entry;
use crate::offset_index::OffsetEntry;
use crate::recovery::SegmentFile;
use crate::segment::FoundSegment;
use crate::time_index::TimeEntry;
use crate::txn_index;
use crate::walk::{Source, Step, Walk};
use crate::{AbortedTxn, LogError, names};
use ottla_wire::record::{Batch, BatchHeader, MAGIC_V2};
use ottla_wire::types::{LeaderEpoch, NO_TIMESTAMP, Offset};

/// A damaged part of a segment that a repair replaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Damage {
    pub(super) segment: Offset,
    /// Position in the segment.
    pub(super) position: u64,
    /// Length in bytes; 0 if bytes are missing there.
    pub(super) len: u64,
    /// The epoch of the previous batch; -1 if there is none.
    pub(super) epoch: LeaderEpoch,
    pub(super) kind: DamageKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DamageKind {
    /// The part is removed; the offsets from `first` to `last` are missing.
    Missing { first: Offset, last: Offset },
    /// The end of the log is removed.
    Tail,
    /// The batch is valid except for its base offset, which should be this.
    Offset(Offset),
    /// The batch is valid except for its leader epoch, which should be this.
    Epoch(i32),
}

/// The next valid batch after a corrupt part.
struct NextBatch {
    position: u64,
    offset: Offset,
}

impl Pass<'_> {
    /// Verifies a segment; `next` is the one after it.
    pub(super) fn verify_segment(&mut self, found: &FoundSegment, next: Option<&FoundSegment>) -> Result<(), LogError> {
        self.verdict.bytes += found.size;
        let expected = self.next_offset;
        if found.base > expected && !self.known.compacted {
            self.report_missing_offsets(found.base, expected, found.base - 1, next);
        }
        self.incomplete |= found.base > expected;
        self.next_offset = self.next_offset.max(found.base);
        let folder = self.folder.clone();
        let segment_file = SegmentFile { folder: &folder, base: found.base, size: found.size, sealed: next.is_some() };
        let raw = segment_file.open()?;
        let mut indexes = Indexes::open(self, found)?;
        let mut aborted = Vec::new();
        let mut walk = Walk::new(Source::Raw(&raw), 0, found.size, self.next_offset);
        loop {
            let reached = walk.position();
            match walk.step().doing_with("reading", || folder.file(found.base, names::LOG))? {
                Step::End => break,
                Step::Batch { position, header } if self.is_valid(&segment_file, &walk, position, &header)? => {
                    indexes.check_batch(position, &header);
                    self.verify_batch(found.base, position, &header, &walk, &mut aborted)?;
                }
                Step::Batch { .. } | Step::Broken { .. } => {
                    let next_batch = self.skip_damage(&segment_file, &raw, reached, next)?;
                    let Some(next_batch) = next_batch else { break };
                    walk = Walk::new(Source::Raw(&raw), next_batch.position, found.size, next_batch.offset);
                }
            }
        }
        indexes.finish(self, found, next.is_some());
        self.previous = (found.base, found.size);
        self.compare_aborted(found, &aborted)
    }

    /// Whether a batch's CRC matches and its offsets are the expected ones.
    fn is_valid(
        &self,
        segment_file: &SegmentFile<'_>,
        walk: &Walk<'_>,
        position: u64,
        header: &BatchHeader,
    ) -> Result<bool, LogError> {
        let path = || self.folder.file(segment_file.base, names::LOG);
        if header.last_offset() - segment_file.base > i64::from(i32::MAX) {
            return Ok(false);
        }
        if !walk.crc_matches(position, header).doing_with("reading", path)? {
            return Ok(false);
        }
        if header.base_offset == self.next_offset {
            return Ok(true);
        }
        // A gap. The base offset is wrong if no gap is allowed, or if the next batch doesn't continue after this one.
        let next = header_at(segment_file, position + header.size() as u64)?;
        Ok(self.known.compacted && next.is_none_or(|next| next.base_offset >= header.next_offset()))
    }

    /// Verifies the records of a valid batch and updates the derived state.
    fn verify_batch(
        &mut self,
        segment: Offset,
        position: u64,
        header: &BatchHeader,
        walk: &Walk<'_>,
        aborted: &mut Vec<AbortedTxn>,
    ) -> Result<(), LogError> {
        self.incomplete |= header.base_offset > self.next_offset;
        self.compare_snapshots(header.base_offset)?;
        (self.progress)(header.size() as u64);
        self.verdict.batches += 1;
        self.incomplete |= lacks_records(header);
        self.next_offset = header.next_offset();
        self.highest_producer_id = self.highest_producer_id.max(header.producer_id);
        self.track_epoch(segment, position, header);
        let path = self.folder.file(segment, names::LOG);
        let bytes = walk.batch_bytes(position, header).doing("reading", &path)?;
        if header.magic == MAGIC_V2 {
            let batch = Batch::parse(&bytes);
            let outcome = batch.as_ref().map_err(ToString::to_string).and_then(check_records);
            if let Err(why) = outcome {
                let what = format!("the batch at {position} has a correct CRC, but its records are invalid: {why}");
                self.add_finding(file_name(segment, names::LOG), what, AtStart::Trusts);
            }
            self.verdict.records += u64::try_from(header.record_count).unwrap_or(0);
            let marker = batch.ok().filter(|_| header.is_control()).and_then(|batch| parse_marker(&batch).ok()?);
            let now = self.known.at.now;
            match marker {
                Some(marker) => {
                    let txn = self.producers.replay_marker(&marker, header.base_offset, now);
                    let has_records = self.txn_records.remove(&marker.producer_id);
                    aborted.extend(txn.filter(|_| has_records));
                }
                None if header.has_producer_id() && !header.is_control() => {
                    self.producers.apply(header, now);
                    if header.is_transactional() && header.record_count > 0 {
                        self.txn_records.insert(header.producer_id);
                    }
                }
                None => {}
            }
        }
        Ok(())
    }

    fn track_epoch(&mut self, segment: Offset, position: u64, header: &BatchHeader) {
        let epoch = header.partition_leader_epoch;
        if epoch < 0 {
            return;
        }
        match self.runs.last_mut() {
            Some(run) if run.epoch == epoch => run.batches += 1,
            _ => self.runs.push(Run { epoch, first: header.base_offset, batches: 1, segment, position }),
        }
    }

    /// Reports the damage at `position` and returns the next valid batch.
    fn skip_damage(
        &mut self,
        segment_file: &SegmentFile<'_>,
        raw: &RawFile,
        position: u64,
        next: Option<&FoundSegment>,
    ) -> Result<Option<NextBatch>, LogError> {
        let segment = segment_file.base;
        let file = file_name(segment, names::LOG);
        let scanned = self.is_scanned(segment, position, next);
        let at_start = if scanned { AtStart::Truncates } else { AtStart::Ignores };
        if let Some(size) = self.size_if_misplaced(segment_file, raw, position)? {
            let offset = self.next_offset;
            let what = format!("the batch at {position} is valid, but its base offset is not {offset}");
            self.add_finding(file, what, at_start);
            self.add_damage(segment, position, size, DamageKind::Offset(offset));
            let header = header_at(segment_file, position)?;
            let delta = header.map_or(0, |header| i64::from(header.last_offset_delta));
            self.next_offset = offset + delta + 1;
            return Ok(Some(NextBatch { position: position + size, offset: self.next_offset }));
        }
        let path = || self.folder.file(segment, names::LOG);
        let next_batch = find_next_batch(segment_file, raw, position, self.next_offset).doing_with("reading", path)?;
        let end = next_batch.as_ref().map_or(segment_file.size, |next_batch| next_batch.position);
        let first = self.next_offset;
        // A start that does not scan the damage keeps the log's end, and so must a repair: offsets are not used twice.
        let known_end = (!scanned).then(|| self.known_end()).filter(|end| *end > first);
        let after =
            next_batch.as_ref().map(|next_batch| next_batch.offset).or(next.map(|next| next.base)).or(known_end);
        let zeros = next_batch.is_none() && segment_file.is_zero_from(raw, position).doing_with("reading", path)?;
        let what = match (zeros, &next_batch) {
            (true, _) => format!("{} bytes at {position} are zeros: unused preallocated space", end - position),
            (false, Some(_)) => format!("{} bytes at {position} are not a valid batch", end - position),
            (false, None) => format!("the last {} bytes, from {position} on, are not a valid batch", end - position),
        };
        let kind = match after {
            Some(after) if after > first => DamageKind::Missing { first, last: after - 1 },
            // The offsets before and after the damage are consecutive: none is missing.
            Some(_) => DamageKind::Missing { first, last: first - 1 },
            None => DamageKind::Tail,
        };
        let is_unused = zeros && !matches!(kind, DamageKind::Missing { first, last } if last >= first);
        let last = after.map(|after| after - 1);
        let lost = (!is_unused).then_some(Loss { first, last, bytes: end - position });
        let at_start = if is_unused { AtStart::Repairs } else { at_start };
        self.verdict.findings.push(Finding { file, what, at_start, lost });
        self.add_damage(segment, position, end - position, kind);
        self.next_offset = after.unwrap_or(first).max(first);
        self.incomplete |= self.next_offset > first;
        Ok(next_batch)
    }

    /// The log end offset according to the checkpoints; 0 if there are none.
    fn known_end(&self) -> Offset {
        let at = &self.known.at;
        at.recovery_point.max(at.validated.map_or(0, |validated| validated.next_offset))
    }

    /// Reports offsets that are missing between two segments.
    fn report_missing_offsets(&mut self, segment: Offset, first: Offset, last: Offset, next: Option<&FoundSegment>) {
        let scanned = self.is_scanned(segment, 0, next);
        let what = format!("the offsets {first} to {last} before it are missing");
        let lost = Some(Loss { first, last: Some(last), bytes: 0 });
        let at_start = if scanned { AtStart::Truncates } else { AtStart::Ignores };
        self.verdict.findings.push(Finding { file: file_name(segment, names::LOG), what, at_start, lost });
        // Repaired at the end of the previous segment.
        let (segment, position) = self.previous;
        self.add_damage(segment, position, 0, DamageKind::Missing { first, last });
    }

    pub(super) fn add_damage(&mut self, segment: Offset, position: u64, len: u64, kind: DamageKind) {
        let epoch = self.runs.last().map_or(-1, |run| run.epoch);
        self.verdict.damages.push(Damage { segment, position, len, epoch, kind });
    }

    /// Returns the size of the batch at `position` if only its base offset is wrong. Without allowed gaps, its offset
    /// must be the next one.
    fn size_if_misplaced(
        &self,
        segment_file: &SegmentFile<'_>,
        raw: &RawFile,
        position: u64,
    ) -> Result<Option<u64>, LogError> {
        let Some(header) = header_at(segment_file, position)?.filter(|_| !self.known.compacted) else {
            return Ok(None);
        };
        let size = header.size() as u64;
        let fits = size <= segment_file.size - position && header.last_offset_delta >= 0;
        let path = || self.folder.file(segment_file.base, names::LOG);
        let walk = Walk::new(Source::Raw(raw), position, segment_file.size, 0);
        if !fits || header.base_offset == self.next_offset || header.magic != MAGIC_V2 {
            return Ok(None);
        }
        if !walk.crc_matches(position, &header).doing_with("reading", path)? {
            return Ok(None);
        }
        let after = self.next_offset + i64::from(header.last_offset_delta) + 1;
        let next = header_at(segment_file, position + size)?;
        Ok(next.is_none_or(|next| next.base_offset == after).then_some(size))
    }

    fn compare_aborted(&mut self, found: &FoundSegment, derived: &[AbortedTxn]) -> Result<(), LogError> {
        let path = self.folder.file(found.base, names::TXN_INDEX);
        let len = self.folder.disk.len(&path).doing("reading the size of", &path)?.unwrap_or(0);
        let stored = txn_index::read(&self.folder.disk, &path).doing("reading", &path)?;
        // Transactions that began before the log start can't be derived from the batches.
        let known = |txn: &&AbortedTxn| txn.first_offset >= self.verdict.start;
        let matches = match self.incomplete || self.known.compacted {
            true => {
                // Entries are kept after compaction removes the records and markers of the transaction.
                let is_of_segment = |txn: &AbortedTxn| (found.base..self.next_offset).contains(&txn.last_offset);
                let is_stored = |txn: &AbortedTxn| stored.iter().any(|stored| covers(stored, txn));
                stored.iter().all(is_of_segment) && derived.iter().all(is_stored)
            }
            false => stored.iter().filter(known).eq(derived),
        };
        if !matches || len != (stored.len() * txn_index::SIZE) as u64 {
            let what = "contradicts the aborted transactions of the segment".to_owned();
            self.add_finding(file_name(found.base, names::TXN_INDEX), what, AtStart::Trusts);
        }
        Ok(())
    }
}

/// Whether records were removed from a batch.
fn lacks_records(header: &BatchHeader) -> bool {
    header.magic == MAGIC_V2 && i64::from(header.record_count) <= i64::from(header.last_offset_delta)
}

/// Whether an entry is of the transaction `derived` from the batches. Its first batches may be missing there.
fn covers(stored: &AbortedTxn, derived: &AbortedTxn) -> bool {
    stored.producer_id == derived.producer_id
        && stored.last_offset == derived.last_offset
        && stored.first_offset <= derived.first_offset
}

/// Parses every record and checks its offset.
fn check_records(batch: &Batch) -> Result<(), String> {
    let (first, last) = (batch.header().base_offset, batch.header().last_offset());
    let mut next = first;
    for record in batch.records() {
        let record = record.map_err(|error| error.to_string())?;
        if record.offset < next || record.offset > last {
            return Err(format!("a record has offset {}, not between {next} and {last}", record.offset));
        }
        next = record.offset + 1;
    }
    Ok(())
}

/// Parses the batch header at `position`, if there is one.
fn header_at(segment_file: &SegmentFile<'_>, position: u64) -> Result<Option<BatchHeader>, LogError> {
    let raw = segment_file.open()?;
    let path = || segment_file.folder.file(segment_file.base, names::LOG);
    match Walk::new(Source::Raw(&raw), position, segment_file.size, Offset::MIN).step().doing_with("reading", path)? {
        Step::Batch { header, .. } => Ok(Some(header)),
        Step::End | Step::Broken { .. } => Ok(None),
    }
}

/// Finds the next valid batch after the damage at `position`: first where the batch's length points to, then by a
/// search.
fn find_next_batch(
    segment_file: &SegmentFile<'_>,
    raw: &RawFile,
    position: u64,
    next_offset: Offset,
) -> io::Result<Option<NextBatch>> {
    let at = |position: u64| -> io::Result<Option<NextBatch>> {
        let mut walk = Walk::new(Source::Raw(raw), position, segment_file.size, next_offset);
        let Step::Batch { header, .. } = walk.step()? else { return Ok(None) };
        let offset = header.base_offset;
        let fits = header.last_offset() - segment_file.base <= i64::from(i32::MAX);
        Ok((fits && walk.crc_matches(position, &header)?).then_some(NextBatch { position, offset }))
    };
    if let Step::Batch { header, .. } = Walk::new(Source::Raw(raw), position, segment_file.size, Offset::MIN).step()? {
        let after = position + header.size() as u64;
        if let Some(next_batch) = at(after)? {
            return Ok(Some(next_batch));
        }
    }
    match segment_file.find_batch(raw, position, next_offset)? {
        Some(position) => at(position),
        None => Ok(None),
    }
}

/// A segment's two indexes, compared with its batches during the pass.
struct Indexes {
    offsets: Entries<OffsetEntry>,
    times: Entries<TimeEntry>,
    newest: TimeEntry,
}

impl Indexes {
    fn open(pass: &mut Pass<'_>, found: &FoundSegment) -> Result<Indexes, LogError> {
        Ok(Indexes {
            offsets: Entries::open(pass, found, names::OFFSET_INDEX)?,
            times: Entries::open(pass, found, names::TIME_INDEX)?,
            newest: TimeEntry { timestamp: NO_TIMESTAMP, offset: found.base },
        })
    }

    fn check_batch(&mut self, position: u64, header: &BatchHeader) {
        if header.max_timestamp > self.newest.timestamp {
            self.newest = TimeEntry { timestamp: header.max_timestamp, offset: header.last_offset() };
        }
        while self.offsets.peek().is_some_and(|entry| entry.position <= position) {
            let right = OffsetEntry { offset: header.last_offset(), position };
            self.offsets.check_next(|entry| entry == right);
        }
        while self.times.peek().is_some_and(|entry| entry.offset <= header.last_offset()) {
            let (newest, base) = (self.newest, header.base_offset);
            // Kafka before 0.11 wrote the record's own offset.
            self.times
                .check_next(|entry| entry.timestamp == newest.timestamp && (entry == newest || entry.offset >= base));
        }
    }

    fn finish(self, pass: &mut Pass<'_>, found: &FoundSegment, sealed: bool) {
        self.offsets.finish(pass, found, sealed);
        self.times.finish(pass, found, sealed);
    }
}

/// Iterates over the entries of an index.
struct Entries<E> {
    kind: &'static str,
    exists: bool,
    torn: bool,
    bytes: Vec<u8>,
    base: Offset,
    at: usize,
    /// Index of the first wrong entry.
    wrong: Option<usize>,
    _entry: std::marker::PhantomData<E>,
}

impl<E: Entry> Entries<E> {
    fn open(pass: &Pass<'_>, found: &FoundSegment, kind: &'static str) -> Result<Entries<E>, LogError> {
        let path = pass.folder.file(found.base, kind);
        let exists = pass.files.has(found.base, kind);
        // At most `segment.index.bytes`, by default ten megabytes.
        let bytes = pass.folder.disk.read(&path).doing("reading", &path)?.unwrap_or_default();
        let torn = !bytes.len().is_multiple_of(E::SIZE);
        Ok(Entries {
            kind,
            exists,
            torn,
            bytes,
            base: found.base,
            at: 0,
            wrong: None,
            _entry: std::marker::PhantomData,
        })
    }

    fn peek(&self) -> Option<E> {
        let start = self.at * E::SIZE;
        self.bytes.get(start..start + E::SIZE).map(|bytes| E::decode(self.base, bytes))
    }

    fn check_next(&mut self, is_right: impl FnOnce(E) -> bool) {
        if let Some(entry) = self.peek()
            && !is_right(entry)
        {
            self.wrong.get_or_insert(self.at);
        }
        self.at += 1;
    }

    fn finish(mut self, pass: &mut Pass<'_>, found: &FoundSegment, sealed: bool) {
        if self.peek().is_some() {
            self.wrong.get_or_insert(self.at);
        }
        let what = match (self.wrong, self.torn) {
            (Some(at), _) => format!("its entry {at} contradicts the segment's batches"),
            (None, true) => "its last entry is torn".to_owned(),
            (None, false) if sealed && !self.exists && found.size > 0 => "is missing".to_owned(),
            _ => return,
        };
        let rebuilt = !self.exists || pass.is_scanned(found.base, 0, (!sealed).then_some(found));
        let at_start = if rebuilt { AtStart::Repairs } else { AtStart::Trusts };
        pass.add_finding(file_name(found.base, self.kind), what, at_start);
    }
}
