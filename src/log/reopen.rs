//! Reopening a log while the broker runs, after a failed write or sync has closed it.
//!
//! After a failed write, the page cache is valid as after `kill -9`: earlier appends are complete, and the data after
//! them is truncated. After a failed sync it may not be: the kernel reports the error once and may then mark the
//! unwritten pages as clean, so that the next sync succeeds without them. All data above the durable offset is
//! therefore rewritten in place (with the same bytes, since readers may hold them), validated as after a power loss,
//! and synced. If acknowledged records are lost, the log stays closed: only a restart may continue without them. After
//! another process has truncated or removed a file, the log stays closed until the file is restored.

use std::io;
use std::path::Path;

use super::error::IoContext;
use super::file::Disk;
use super::log::{Failure, State};
use super::segment::Segment;
use super::{CheckpointedEnd, Log, LogError, OpenParams, leader_epochs, names, partition_metadata};
use ottla_wire::types::TimestampMs;

/// Bytes per read or write.
const CHUNK: u64 = 1 << 20;
/// The disk counts as full if it can't store this many bytes.
const PROBE_BYTES: u64 = 64 << 10;

impl Log {
    /// Reopens the log after a failure and returns the new instance, which replaces this one. On an error this instance
    /// is unchanged.
    ///
    /// Blocks on disk I/O including syncs, so don't call it with the partition's lock held. During the call this log
    /// may be read but not changed.
    pub fn reopen(&self, now: TimestampMs) -> Result<Log, LogError> {
        let State::Failed(failure) = &self.state else { return Err(LogError::Closed) };
        if failure.data_lost {
            self.check_files(&failure.error)?;
        }
        if failure.sync_failed {
            self.write_unsynced_again()?;
        }
        let at = OpenParams {
            now,
            clean_shutdown: false,
            recovery_point: self.recovery_point(),
            validated: if failure.sync_failed || failure.data_lost { None } else { failure.reach },
            rewrite_unsynced: false,
            log_start: Some(self.start),
            first_dirty: self.first_dirty_synced,
            topic_id: None,
            min_end: self.end,
            checkpointed_end: CheckpointedEnd::default(),
        };
        let mut log = Log::open(&self.folder.disk, &self.folder.path, self.config.clone(), at)?;
        log.probe_disk(failure)?;
        log.durable = log.durable.max(self.durable);
        Ok(log)
    }

    /// Fails with `why`, the error that closed the log, if a file is shorter than expected.
    fn check_files(&self, why: &LogError) -> Result<(), LogError> {
        for segment in self.segments.iter().filter(|segment| segment.size() > 0) {
            let path = self.folder.file(segment.base(), names::LOG);
            let len = self.folder.disk.len(&path).doing("reading the size of", &path)?;
            if len.is_none_or(|len| len < segment.size()) {
                return Err(why.clone());
            }
        }
        Ok(())
    }

    /// Tests whether the operation that failed succeeds now.
    fn probe_disk(&mut self, failure: &Failure) -> Result<(), LogError> {
        if failure.sync_failed {
            let synced = self.flush_target()?.sync()?;
            self.mark_synced(Ok(synced));
            return Ok(());
        }
        self.create_active()?;
        let Some(active) = self.segments.last() else { return Err(LogError::Closed) };
        let path = self.folder.file(active.base(), names::LOG);
        let file = self.folder.disk.open_to_write(&path).doing("opening", &path)?;
        let begin = active.size();
        let fits = write_zeros(begin, failure.append_size.max(PROBE_BYTES), |at, zeros| file.write_all_at(at, zeros));
        // If this fails, the next recovery truncates the zeros.
        file.set_len(begin).doing("truncating", &path)?;
        fits.doing("appending to", &path)
    }

    /// Rewrites all files that may have unsynced pages, so that the pages are dirty again.
    pub(super) fn write_unsynced_again(&self) -> Result<(), LogError> {
        let disk = &self.folder.disk;
        for segment in self.segments.iter().filter(|segment| segment.exists() && !segment.is_synced()) {
            let [log, derived @ ..] = segment.paths(&self.folder.path);
            rewrite(disk, &log, self.durable_position(segment), Some(segment.size()))?;
            for path in derived {
                rewrite(disk, &path, 0, None)?;
            }
        }
        for offset in &self.snapshots {
            rewrite(disk, &self.folder.file(*offset, names::SNAPSHOT), 0, None)?;
        }
        for name in [leader_epochs::FILE_NAME, partition_metadata::FILE_NAME] {
            rewrite(disk, &self.folder.path.join(name), 0, None)?;
        }
        Ok(())
    }

    /// The position of the segment's first batch that may not be synced.
    fn durable_position(&self, segment: &Segment) -> u64 {
        if segment.base() >= self.durable {
            return 0;
        }
        let located =
            segment.files(&self.folder).and_then(|files| files.locate(&self.folder, segment.base(), self.durable));
        match located {
            Ok(Some(located)) => located.position,
            Ok(None) => segment.size(),
            Err(_) => 0,
        }
    }
}

/// Rewrites a file's bytes in place, from `from` to `to` or the file's end. Ignores a missing file.
fn rewrite(disk: &Disk, path: &Path, from: u64, to: Option<u64>) -> Result<(), LogError> {
    let Some(len) = disk.len(path).doing("reading the size of", path)? else { return Ok(()) };
    let rewrite = || -> io::Result<()> {
        let file = disk.open_to_write(path)?;
        let (mut at, to) = (from, to.unwrap_or(len));
        while at < to {
            let mut bytes = vec![0; (to - at).min(CHUNK) as usize];
            file.read_exact_at(at, &mut bytes)?;
            file.write_all_at(at, &bytes)?;
            at += bytes.len() as u64;
        }
        Ok(())
    };
    rewrite().doing("rewriting", path)
}

fn write_zeros(begin: u64, count: u64, mut write: impl FnMut(u64, &[u8]) -> io::Result<()>) -> io::Result<()> {
    let zeros = vec![0; count.min(CHUNK) as usize];
    let mut written = 0;
    while written < count {
        let chunk = &zeros[..(count - written).min(CHUNK) as usize];
        write(begin + written, chunk)?;
        written += chunk.len() as u64;
    }
    Ok(())
}
