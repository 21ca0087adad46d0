//! The state that is rebuilt from a log's batches: producers, leader epochs and aborted transactions.

use std::ops::Range;

use super::super::append::parse_marker;
use super::super::error::IoContext;
use super::super::leader_epochs::{self, LeaderEpochs};
use super::super::offset_index::OffsetIndex;
use super::super::producers::Producers;
use super::super::recovery::SegmentFile;
use super::super::segment::Segment;
use super::super::walk::{Source, Step, Walk};
use super::super::{AbortedTxn, LogError, names};
use super::{Opening, Recovered};
use ottla_wire::record::{Batch, BatchHeader};
use ottla_wire::types::{Offset, TimestampMs};

impl Opening {
    /// Reads the leader epoch checkpoint; the flag tells whether it can be trusted.
    pub(super) fn read_epochs(&self, has_records: bool) -> Result<(LeaderEpochs, bool), LogError> {
        let path = self.folder.path.join(leader_epochs::FILE_NAME);
        if !self.listing.has_epochs {
            return Ok((LeaderEpochs::default(), !has_records));
        }
        let text = self.folder.disk.read(&path).doing("reading", &path)?.unwrap_or_default();
        // An atomic write without sync may leave an empty file after a power loss.
        match LeaderEpochs::parse(&text) {
            Ok(epochs) if !text.is_empty() => Ok((epochs, true)),
            _ => Ok((LeaderEpochs::default(), !has_records)),
        }
    }

    /// Loads the newest usable producer snapshot; returns the producers and the snapshot's offset.
    pub(super) fn load_producers(
        &mut self,
        recovered: &Recovered,
        first: Offset,
    ) -> Result<(Producers, Offset), LogError> {
        // A snapshot above the log end describes records that no longer exist.
        for offset in self.listing.snapshots.extract_if(.., |offset| *offset > recovered.end).collect::<Vec<_>>() {
            self.remove_snapshot(offset)?;
        }
        if self.at.clean_shutdown && self.listing.snapshots.is_empty() && recovered.derive_from == recovered.end {
            // The broker that closed the log had no producers.
            return Ok((Producers::default(), recovered.end));
        }
        let usable = self.listing.snapshots.iter().filter(|offset| **offset <= recovered.derive_from);
        for offset in usable.rev().copied().collect::<Vec<_>>() {
            let path = self.folder.file(offset, names::SNAPSHOT);
            let bytes = self.folder.disk.read(&path).doing("reading", &path)?.unwrap_or_default();
            let expiration = self.config.producer_id_expiration_ms;
            match Producers::from_snapshot(&bytes, self.at.now, expiration) {
                Ok(producers) => return Ok((producers, offset)),
                Err(_) => self.remove_snapshot(offset)?,
            }
        }
        Ok((Producers::default(), first))
    }

    fn remove_snapshot(&mut self, offset: Offset) -> Result<(), LogError> {
        let path = self.folder.file(offset, names::SNAPSHOT);
        self.folder.disk.remove(&path).doing("removing", &path)?;
        self.listing.snapshots.retain(|known| *known != offset);
        self.must_sync_folder = true;
        Ok(())
    }

    /// Applies the batches from `from` on to producers, epochs and transaction indexes. Returns the number of bytes read.
    ///
    /// Rewrites the snapshots at the base offsets of the segments: they may be torn, and once the earlier segments are
    /// deleted, no other snapshot is left to start from.
    pub(super) fn replay(
        &mut self,
        recovered: &mut Recovered,
        from: Offset,
        to: &mut Replay<'_>,
    ) -> Result<u64, LogError> {
        let (derive_from, end) = (recovered.derive_from, recovered.end);
        let first = recovered.segments.partition_point(|segment| segment.base() <= from).saturating_sub(1);
        let mut walked = 0;
        for segment in &mut recovered.segments[first..] {
            if segment.base() > to.producers_from {
                self.write_snapshot(segment.base(), to.producers)?;
            }
            if segment.size() > 0 {
                walked += self.replay_segment(segment, from, derive_from..end, to)?;
            }
        }
        Ok(walked)
    }

    fn write_snapshot(&mut self, offset: Offset, producers: &Producers) -> Result<(), LogError> {
        let path = self.folder.file(offset, names::SNAPSHOT);
        let bytes = producers.to_snapshot();
        // The file is usually the same already, and replacing it costs ten times as much as reading it.
        if self.folder.disk.read(&path).doing("reading", &path)?.as_deref() != Some(&bytes) {
            self.folder.disk.write_atomic(&path, &bytes, false).doing("writing", &path)?;
        }
        if let Err(at) = self.listing.snapshots.binary_search(&offset) {
            self.listing.snapshots.insert(at, offset);
        }
        self.unsynced.push(path);
        self.folder_changed = true;
        Ok(())
    }

    fn replay_segment(
        &self,
        segment: &mut Segment,
        from: Offset,
        derived: Range<Offset>,
        to: &mut Replay<'_>,
    ) -> Result<u64, LogError> {
        let (derive_from, end) = (derived.start, derived.end);
        let segment_file =
            SegmentFile { folder: &self.folder, base: segment.base(), size: segment.size(), sealed: false };
        let path = self.folder.file(segment.base(), names::LOG);
        let raw = segment_file.open()?;
        let index_path = self.folder.file(segment.base(), names::OFFSET_INDEX);
        let index = OffsetIndex::open(&self.folder.disk, index_path.clone(), segment.base());
        let index = index.doing("opening", &index_path)?.filter(|index| index.is_plausible(segment.size()));
        let entry = match index {
            Some(index) => index.at_or_before(&self.folder.disk, from).doing("reading", &index_path)?,
            None => None,
        };
        let begin = entry.map_or(0, |entry| entry.position);
        let mut walk = Walk::new(Source::Raw(&raw), begin, segment.size(), segment.base());
        let mut confirmed = derive_from;
        while let Step::Batch { position, header } = walk.step().doing("reading", &path)? {
            if header.base_offset < from {
                continue;
            }
            let batch = || walk.batch_bytes(position, &header).doing("reading", &path);
            if let Some(aborted) = to.apply(&header, batch)?
                && aborted.last_offset >= derive_from
            {
                segment.confirm_aborted(&self.folder, confirmed, aborted)?;
                confirmed = aborted.last_offset + 1;
            }
        }
        if self.listing.has_txn_index(segment.base()) && derive_from < end {
            segment.truncate_aborted(&self.folder, confirmed)?;
        }
        Ok(walk.position() - begin)
    }
}

/// The state that is rebuilt from the batches of the log.
pub(super) struct Replay<'a> {
    pub(super) producers: &'a mut Producers,
    pub(super) epochs: &'a mut LeaderEpochs,
    pub(super) epochs_on_file: &'a LeaderEpochs,
    pub(super) producers_from: Offset,
    /// The offset after the previous batch.
    pub(super) next_offset: Offset,
    /// Counts as the time of the last write of each producer; the real one is unknown.
    pub(super) now: TimestampMs,
}

impl Replay<'_> {
    fn apply(
        &mut self,
        header: &BatchHeader,
        bytes: impl FnOnce() -> Result<bytes::Bytes, LogError>,
    ) -> Result<Option<AbortedTxn>, LogError> {
        let (epoch, gap) = (header.partition_leader_epoch, self.next_offset..header.base_offset);
        self.epochs.assign_gap(self.epochs_on_file, gap, epoch);
        self.epochs.assign(epoch, header.base_offset);
        self.next_offset = header.next_offset();
        if !header.has_producer_id() || header.base_offset < self.producers_from {
            return Ok(None);
        }
        if !header.is_control() {
            self.producers.apply(header, self.now);
            return Ok(None);
        }
        // An unreadable marker ends no transaction; markers are validated when they are appended.
        let marker = Batch::parse(&bytes()?).ok().and_then(|batch| parse_marker(&batch).ok().flatten());
        Ok(marker.and_then(|marker| self.producers.replay_marker(&marker, header.base_offset, self.now)))
    }
}
