//! Opening a log again that a write or a sync has closed, while the broker runs.
//!
//! After a write that failed the page cache is as good as after `kill -9`: what was appended before is whole, and
//! what follows it is cut. After a sync that failed it isn't: the kernel has reported the error once, and may count
//! the pages it could not write as clean from then on, so that the next sync would succeed without them. Everything
//! above the durable offset is therefore written again, the very same bytes in their place (readers may hold them),
//! then read and checked as after a power loss, then synced. Where some of it is gone the log stays closed: to go on
//! without acknowledged records is for a restart to say. So it does where somebody else has cut or removed a file, until
//! the file is put back.

use std::io;
use std::path::Path;

use super::error::IoContext;
use super::file::Disk;
use super::log::{Failure, State};
use super::segment::Segment;
use super::{Log, LogError, NotedEnd, OpenAt, leader_epochs, names, partition_metadata};
use ottla_wire::types::TimestampMs;

/// How much is written at a time.
const CHUNK: u64 = 1 << 20;
/// A disk that hasn't room for this is as good as full.
const ROOM: u64 = 64 << 10;

impl Log {
    /// The same log, opened again after a failure; this one is to be dropped then. On an error it is as it was.
    ///
    /// Blocks for as long as the disk takes, syncs included: not for under a partition's lock. Nobody may change
    /// this log meanwhile; reading it is harmless.
    pub fn reopen(&self, now: TimestampMs) -> Result<Log, LogError> {
        let State::Failed(failure) = &self.state else { return Err(LogError::Closed) };
        if failure.of_loss {
            self.check_files(&failure.error)?;
        }
        if failure.of_sync {
            self.write_unsynced_again()?;
        }
        let at = OpenAt {
            now,
            clean_shutdown: false,
            recovery_point: self.recovery_point(),
            validated: if failure.of_sync || failure.of_loss { None } else { self.reach() },
            log_start: Some(self.start),
            first_dirty: self.first_dirty_synced,
            topic_id: None,
            at_least: self.end,
            noted_end: NotedEnd::default(),
        };
        let mut log = Log::open(&self.place.disk, &self.place.folder, self.config.clone(), at)?;
        log.try_disk(failure)?;
        log.durable = log.durable.max(self.durable);
        Ok(log)
    }

    /// Refuses to open files that are shorter than they were, for the reason that closed the log.
    fn check_files(&self, why: &LogError) -> Result<(), LogError> {
        for segment in self.segments.iter().filter(|segment| segment.size() > 0) {
            let path = self.place.file(segment.base(), names::LOG);
            let len = self.place.disk.len(&path).doing("looking at", &path)?;
            if len.is_none_or(|len| len < segment.size()) {
                return Err(why.clone());
            }
        }
        Ok(())
    }

    /// Finds out whether the disk does now what it failed to do.
    fn try_disk(&mut self, failure: &Failure) -> Result<(), LogError> {
        if failure.of_sync {
            let synced = self.flush_target()?.sync()?;
            self.mark_synced(Ok(synced));
            return Ok(());
        }
        self.create_active()?;
        let Some(active) = self.segments.last() else { return Err(LogError::Closed) };
        let path = self.place.file(active.base(), names::LOG);
        let file = self.place.disk.open_to_write(&path).doing("opening", &path)?;
        let begin = active.size();
        let fits = write_zeros(begin, failure.wanted.max(ROOM), |at, zeros| file.write_all_at(at, zeros));
        // Those that stay if this fails are cut by whoever opens the log next.
        file.set_len(begin).doing("cutting", &path)?;
        fits.doing("appending to", &path)
    }

    /// Makes the pages dirty again that a failed sync has left, of every file that may have some.
    fn write_unsynced_again(&self) -> Result<(), LogError> {
        let disk = &self.place.disk;
        for segment in self.segments.iter().filter(|segment| segment.exists() && !segment.is_synced()) {
            let [log, derived @ ..] = segment.paths(&self.place.folder);
            write_again(disk, &log, self.durable_position(segment), Some(segment.size()))?;
            for path in derived {
                write_again(disk, &path, 0, None)?;
            }
        }
        for offset in &self.snapshots {
            write_again(disk, &self.place.file(*offset, names::SNAPSHOT), 0, None)?;
        }
        for name in [leader_epochs::FILE_NAME, partition_metadata::FILE_NAME] {
            write_again(disk, &self.place.folder.join(name), 0, None)?;
        }
        Ok(())
    }

    /// Where the first batch lies in the segment that isn't known to be on disk.
    fn durable_position(&self, segment: &Segment) -> u64 {
        if segment.base() >= self.durable {
            return 0;
        }
        let located =
            segment.files(&self.place).and_then(|files| files.locate(&self.place, segment.base(), self.durable));
        match located {
            Ok(Some(located)) => located.position,
            Ok(None) => segment.size(),
            Err(_) => 0,
        }
    }
}

/// Writes a file's bytes from `from` on in their own place, up to `to` or its end. One that isn't there needs none.
fn write_again(disk: &Disk, path: &Path, from: u64, to: Option<u64>) -> Result<(), LogError> {
    let Some(len) = disk.len(path).doing("looking at", path)? else { return Ok(()) };
    let again = || -> io::Result<()> {
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
    again().doing("writing again", path)
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
