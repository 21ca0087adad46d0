//! Appending: checks the producer, assigns offsets, writes the batch, adds index entries.

use super::error::IoContext;
use super::leader_epochs;
use super::log::State;
use super::offset_index::OffsetEntry;
use super::producers::{Marker, WrittenBatch};
use super::segment::Segment;
use super::time_index::TimeEntry;
use super::{
    AppendError, AppendParams, Appended, Log, LogError, Origin, TxnStateError, TxnVerification, Verification, names,
};
use ottla_wire::record::control::{ControlType, EndTxnMarker};
use ottla_wire::record::{Batch, BatchHeader, Verified};
use ottla_wire::types::{LeaderEpoch, Offset, ProducerIdEpoch, TimestampMs};

/// Bytes at the start of a batch that [`Verified::log_prefix`] replaces.
const PLACED: usize = 16;

impl Log {
    /// Begins the verification of a transactional batch (KIP-890), before the coordinator is asked. `supports_epoch_bump`:
    /// the producer uses transaction.version 2, where each transaction has an epoch of its own.
    ///
    /// A producer has one pending verification: until it ends, later calls return the same guard. It ends when a batch or a
    /// marker of the producer's transaction is appended, and expires with `producer.id.expiration.ms`. Batches of a
    /// verification that failed, and was not repeated, block batches with higher sequence numbers until then.
    pub fn begin_verification(
        &mut self,
        producer: ProducerIdEpoch,
        first_sequence: i32,
        supports_epoch_bump: bool,
        now: TimestampMs,
    ) -> Result<Verification, AppendError> {
        self.check_open()?;
        self.producers.check_epoch(producer)?;
        if self.producers.has_ongoing_transaction(producer) {
            return Ok(Verification::NotNeeded);
        }
        Ok(Verification::Needed(self.verifications.begin(producer, first_sequence, supports_epoch_bump, now)))
    }

    /// Appends one batch. On an error nothing was appended; an [`AppendError::Storage`] closes the log to writes until it
    /// is reopened.
    pub fn append(&mut self, batch: &Verified, params: AppendParams) -> Result<Appended, AppendError> {
        self.check_open()?;
        let mut header = *batch.header();
        header.base_offset = self.end;
        header.partition_leader_epoch = params.leader_epoch;
        let (size, limit) = (batch.bytes().len(), self.config.segment_bytes as usize);
        if size > limit {
            return Err(AppendError::LargerThanSegment { size, limit });
        }
        if let Some(current) = self.epochs.latest().filter(|current| params.leader_epoch < *current) {
            return Err(AppendError::FencedLeaderEpoch { current, found: params.leader_epoch });
        }
        let marker = marker_of(batch).map_err(|_| AppendError::MalformedControlBatch)?;
        if let Some(earlier) = self.check_producer(&header, marker.as_ref(), params)? {
            return Ok(self.duplicate(batch, earlier));
        }
        let reach = self.reach();
        let stored = self.store(batch, &header, marker.as_ref(), params.now).inspect_err(|error| {
            // Without a free file descriptor the batch failed before any byte was written.
            if !error.is_fd_exhaustion() || self.end != header.base_offset {
                self.latch(error);
            }
        });
        if let State::Failed(failure) = &mut self.state {
            (failure.append_size, failure.reach) = (size as u64, reach);
        }
        let rolled = stored?;
        Ok(Appended {
            base_offset: header.base_offset,
            last_offset: header.last_offset(),
            log_append_time: batch.log_append_time(),
            log_start_offset: self.start,
            duplicate: false,
            rolled,
        })
    }

    /// Checks the batch against its producer's state. Returns the earlier batch if it is a duplicate.
    fn check_producer(
        &mut self,
        header: &BatchHeader,
        marker: Option<&Marker>,
        params: AppendParams,
    ) -> Result<Option<WrittenBatch>, AppendError> {
        let origin = params.origin;
        if !header.has_producer_id() {
            return Ok(None);
        }
        if let Some(marker) = marker {
            self.producers.check_marker(marker, origin)?;
            return Ok(None);
        }
        if header.is_control() {
            return Ok(None);
        }
        if origin == Origin::Client {
            if let Some(earlier) = self.producers.find_duplicate(header) {
                return Ok(Some(earlier));
            }
            if let Some(before) = self.producers.unread_window(header) {
                self.refill_window(header, before)?;
                if let Some(earlier) = self.producers.find_duplicate(header) {
                    return Ok(Some(earlier));
                }
            }
        }
        self.check_verified(header, params.verification)?;
        self.producers.check(header, origin, self.verifications.pending(header.producer_id))?;
        Ok(None)
    }

    /// Checks that a transactional batch continues a transaction, or was verified and may begin one.
    fn check_verified(&self, header: &BatchHeader, verification: TxnVerification) -> Result<(), AppendError> {
        let producer_id = header.producer_id;
        let producer = ProducerIdEpoch { producer_id, epoch: header.producer_epoch };
        if !header.is_transactional() || self.producers.has_ongoing_transaction(producer) {
            return Ok(());
        }
        self.producers.check_epoch(producer)?;
        if !self.verifications.allows_begin(producer_id, verification) {
            return Err(AppendError::InvalidTxnState { producer_id, why: TxnStateError::NotVerified });
        }
        Ok(())
    }

    fn duplicate(&self, batch: &Verified, earlier: WrittenBatch) -> Appended {
        Appended {
            base_offset: earlier.first_offset(),
            last_offset: earlier.last_offset,
            log_append_time: batch.log_append_time().map(|_| earlier.timestamp),
            log_start_offset: self.start,
            duplicate: true,
            rolled: false,
        }
    }

    /// Stores a batch that passed all checks. Returns whether a segment was rolled.
    fn store(
        &mut self,
        batch: &Verified,
        header: &BatchHeader,
        marker: Option<&Marker>,
        now: TimestampMs,
    ) -> Result<bool, LogError> {
        let rolled = self.should_roll(header, now)?;
        if rolled {
            self.roll(now)?;
        }
        self.update_epochs(header.partition_leader_epoch, header.base_offset)?;
        self.write_batch(batch, header, now)?;
        self.update_producer(header, marker, now)?;
        self.verifications.appended(header);
        Ok(rolled)
    }

    fn write_batch(&mut self, batch: &Verified, header: &BatchHeader, now: TimestampMs) -> Result<(), LogError> {
        let (limit, interval) = (u64::from(self.config.segment_bytes), u64::from(self.config.index_interval_bytes));
        let folder = &self.folder;
        let Some(active) = self.segments.last_mut() else { return Err(LogError::Closed) };
        let mut newest = active.newest(folder)?;
        if header.max_timestamp > newest.timestamp {
            newest = TimeEntry { timestamp: header.max_timestamp, offset: header.last_offset() };
        }
        let created = !active.exists();
        let base = active.base();
        let files = active.files_to_append(folder, limit, self.config.preallocate)?;
        let position = files.data.len();
        if self.length_check.is_due(now, position) {
            // Appending to a file that another process truncated would leave a hole.
            files.data.check_length().doing_with("appending to", || folder.file(base, names::LOG))?;
        }
        let rest = batch.bytes().get(PLACED..).unwrap_or_default();
        let placed = batch.log_prefix(header.base_offset, header.partition_leader_epoch);
        files.data.append(&placed, rest).doing_with("appending to", || folder.file(base, names::LOG))?;
        if position - files.offsets.last().map_or(0, |entry| entry.position) > interval {
            files.times.advance(newest);
            files.offsets.push(OffsetEntry { offset: header.last_offset(), position });
            if files.offsets.should_flush() {
                match files.flush_indexes(folder) {
                    // The entries stay in memory, and the next entry retries the flush.
                    Err(error) if error.is_fd_exhaustion() => {}
                    flushed => flushed?,
                }
            }
        }
        let size = files.data.len();
        active.appended(size, newest);
        if self.first_timestamp.is_none() && position == 0 {
            self.first_timestamp = Some(header.max_timestamp);
        }
        self.folder_changed |= created;
        self.size += size - position;
        self.since_snapshot += size - position;
        self.end = header.next_offset();
        Ok(())
    }

    /// Updates the producer's state, and the transaction index if a transaction is aborted.
    fn update_producer(
        &mut self,
        header: &BatchHeader,
        marker: Option<&Marker>,
        now: TimestampMs,
    ) -> Result<(), LogError> {
        if !header.has_producer_id() {
            return Ok(());
        }
        if let Some(marker) = marker {
            // Before the marker takes effect: if the index cannot be written, readers must not see the aborted records as
            // committed ones.
            let aborted = self.producers.aborted_by(marker, header.base_offset);
            if let (Some(aborted), Some(active)) = (aborted, self.segments.last_mut()) {
                self.folder_changed = true;
                active.add_aborted(&self.folder, aborted)?;
            }
            self.producers.apply_marker(marker, now);
        } else if !header.is_control() {
            self.producers.apply(header, now);
        }
        Ok(())
    }

    fn update_epochs(&mut self, epoch: LeaderEpoch, start: Offset) -> Result<(), LogError> {
        if self.epochs.latest() == Some(epoch) {
            return Ok(());
        }
        let before = self.epochs.clone();
        if self.epochs.assign(epoch, start)
            && let Err(error) = self.write_epochs()
        {
            self.epochs = before;
            return Err(error);
        }
        Ok(())
    }

    pub(super) fn write_epochs(&mut self) -> Result<(), LogError> {
        let path = self.folder.path.join(leader_epochs::FILE_NAME);
        self.folder.disk.write_atomic(&path, self.epochs.format().as_bytes(), false).doing("writing", &path)?;
        self.unsynced.push(path);
        self.folder_changed = true;
        Ok(())
    }

    /// Kafka's `LogSegment.shouldRoll`.
    fn should_roll(&mut self, header: &BatchHeader, now: TimestampMs) -> Result<bool, LogError> {
        let Some(active) = self.segments.last() else { return Ok(false) };
        let (base, size) = (active.base(), active.size());
        if header.last_offset() - base > i64::from(i32::MAX) {
            return Ok(true);
        }
        if size == 0 {
            return Ok(false);
        }
        if size + header.size() as u64 > u64::from(self.config.segment_bytes) {
            return Ok(true);
        }
        let age = match self.first_timestamp()? {
            first if first >= 0 => header.max_timestamp.saturating_sub(first),
            _ => now.saturating_sub(self.active_since),
        };
        if age > self.config.max_segment_ms().saturating_sub(self.roll_jitter(base)) {
            return Ok(true);
        }
        let capacity = |entry: usize| self.config.segment_index_bytes as usize / entry;
        let indexes = self.segments.last().and_then(Segment::opened);
        Ok(indexes.is_some_and(|files| {
            files.offsets.count() >= capacity(8) || files.times.count() >= capacity(12).saturating_sub(1)
        }))
    }

    /// The largest timestamp of the active segment's first batch.
    fn first_timestamp(&mut self) -> Result<TimestampMs, LogError> {
        if let Some(first) = self.first_timestamp {
            return Ok(first);
        }
        let Some(active) = self.segments.last() else { return Ok(-1) };
        let located = active.files(&self.folder)?.locate(&self.folder, active.base(), active.base())?;
        let first = located.map_or(-1, |located| located.header.max_timestamp);
        self.first_timestamp = Some(first);
        Ok(first)
    }

    /// Spreads the rolls of segments that were created together. Deterministic, so it stays the same after a restart.
    fn roll_jitter(&self, base: Offset) -> i64 {
        let max_jitter = self.config.segment_jitter_ms.min(self.config.segment_ms);
        if max_jitter <= 0 {
            return 0;
        }
        let seed = crc32c::crc32c_append(base as u32, self.folder.path.as_os_str().as_encoded_bytes());
        i64::from(seed) % max_jitter
    }

    /// Seals the active segment and adds a new one at the log end. Its file is created by the first append.
    pub(super) fn roll(&mut self, now: TimestampMs) -> Result<(), LogError> {
        self.folder_changed = true;
        // Both steps may fail and be retried; the roll takes effect after them.
        self.take_snapshot()?;
        if let Some(active) = self.segments.last_mut() {
            active.seal(&self.folder)?;
        }
        self.segments.push(Segment::new(self.end));
        self.first_timestamp = None;
        self.active_since = now;
        Ok(())
    }

    /// Writes a producer snapshot at the log end, unless it exists.
    pub(super) fn take_snapshot(&mut self) -> Result<(), LogError> {
        if self.snapshots.last().is_some_and(|last| *last >= self.end) {
            return Ok(());
        }
        let path = self.folder.file(self.end, names::SNAPSHOT);
        let bytes = self.producers.to_snapshot();
        self.folder.disk.write_atomic(&path, &bytes, false).doing("writing", &path)?;
        self.unsynced.push(path);
        self.folder_changed = true;
        self.snapshots.push(self.end);
        self.since_snapshot = 0;
        Ok(())
    }

    /// Reads the producer's batches before `before` that are missing in its window of five.
    fn refill_window(&mut self, header: &BatchHeader, before: Offset) -> Result<(), LogError> {
        let Some(producer) = self.producers.get(header.producer_id) else { return Ok(()) };
        let (epoch, missing) = (producer.epoch, producer.missing());
        let earlier = self.batches_before(before, missing, |earlier| {
            !earlier.is_control() && earlier.producer_id == header.producer_id && earlier.producer_epoch == epoch
        })?;
        let earlier: Vec<WrittenBatch> = earlier.iter().map(WrittenBatch::of).collect();
        self.producers.refill(header.producer_id, &earlier);
        Ok(())
    }
}

/// Returns the transaction marker in a control batch; `None` for every other batch.
pub(super) fn marker_of(batch: &Verified) -> Result<Option<Marker>, String> {
    if !batch.header().is_control() || !batch.header().has_producer_id() {
        return Ok(None);
    }
    parse_marker(&Batch::parse(batch.bytes()).map_err(|error| error.to_string())?)
}

/// Like [`marker_of`], for a batch from a file.
pub(super) fn parse_marker(batch: &Batch) -> Result<Option<Marker>, String> {
    let Some(record) = batch.records().next() else { return Ok(None) };
    let record = record.map_err(|error| error.to_string())?;
    let control = ControlType::from_key(&record.key.unwrap_or_default()).map_err(|error| error.to_string())?;
    let aborts = match control {
        Some(ControlType::Abort) => true,
        Some(ControlType::Commit) => false,
        _ => return Ok(None),
    };
    let marker = EndTxnMarker::from_value(&record.value.unwrap_or_default()).map_err(|error| error.to_string())?;
    Ok(Some(Marker {
        producer_id: batch.header().producer_id,
        epoch: batch.header().producer_epoch,
        coordinator_epoch: marker.coordinator_epoch,
        aborts,
        timestamp: record.timestamp,
    }))
}
