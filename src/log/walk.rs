//! Iteration over the batch headers of a segment, in all record formats.

use std::io;

use bytes::Bytes;

use super::file::{DataFile, RawFile};
use ottla_wire::record::{BATCH_OVERHEAD, BatchCrc, BatchHeader};
use ottla_wire::types::Offset;

/// Bytes of the first read (most walks are short) and of the largest one. Headers of large batches are read one by one.
const FIRST_CHUNK: usize = 4 << 10;
const CHUNK: usize = 64 << 10;
/// After a batch larger than this, only the next header is read: one more system call costs less than copying the batch.
const HEADERS_ALONE: usize = 4 << 10;

/// The file that a walk reads.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// A segment in use.
    Data(&'a DataFile),
    /// A file being recovered.
    Raw(&'a RawFile),
}

/// The result of one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A batch with a plausible header and its full length. Its CRC is not checked.
    Batch { position: u64, header: BatchHeader },
    /// The end, directly after a batch.
    End,
    /// Not a batch, or an incomplete one.
    Broken { position: u64 },
}

/// Iterates over the batches in a segment's bytes `position..end`.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    source: Source<'a>,
    position: u64,
    end: u64,
    /// The smallest valid base offset of the next batch.
    next_offset: Offset,
    window: Bytes,
    window_at: u64,
    /// Size of the next read.
    chunk: usize,
    /// Size of the previous batch; small batches are read many at a time.
    last_size: usize,
}

impl<'a> Walk<'a> {
    /// Starts a walk. A batch whose base offset is below `next_offset` is invalid.
    pub(crate) fn new(source: Source<'a>, position: u64, end: u64, next_offset: Offset) -> Walk<'a> {
        Walk {
            source,
            position,
            end,
            next_offset,
            window: Bytes::new(),
            window_at: 0,
            chunk: FIRST_CHUNK,
            last_size: 0,
        }
    }

    /// The position of the next step.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The offset after the last batch.
    pub(crate) fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// Reads the next batch header.
    pub(crate) fn step(&mut self) -> io::Result<Step> {
        let position = self.position;
        if position >= self.end {
            return Ok(Step::End);
        }
        let broken = Step::Broken { position };
        let Ok(header) = BatchHeader::parse_any(self.header_bytes(position)?) else { return Ok(broken) };
        let size = header.size() as u64;
        if size > self.end - position || header.last_offset_delta < 0 || header.base_offset < self.next_offset {
            return Ok(broken);
        }
        self.position += size;
        self.next_offset = header.next_offset();
        self.last_size = header.size();
        Ok(Step::Batch { position, header })
    }

    /// Whether a batch's CRC matches its bytes.
    pub(crate) fn crc_matches(&self, position: u64, header: &BatchHeader) -> io::Result<bool> {
        let mut crc = BatchCrc::of(header);
        let (mut at, end) = (position + crc.start() as u64, position + header.size() as u64);
        while at < end {
            let len = (end - at).min(1 << 20) as usize;
            crc.update(&self.bytes(at, len)?);
            at += len as u64;
        }
        Ok(crc.sum() == header.crc)
    }

    /// Reads the bytes of a batch that a step returned.
    pub(crate) fn batch_bytes(&self, position: u64, header: &BatchHeader) -> io::Result<Bytes> {
        self.bytes(position, header.size())
    }

    /// Reads the header of a batch at `position`. Returns fewer bytes only at the end, where a shorter message of an old
    /// format may still be complete.
    fn header_bytes(&mut self, position: u64) -> io::Result<&[u8]> {
        let covered = self.window_at + self.window.len() as u64;
        let rest = self.end - position;
        let wanted = rest.min(BATCH_OVERHEAD as u64);
        if position < self.window_at || position + wanted > covered {
            let len = if self.last_size > HEADERS_ALONE { wanted } else { rest.min(self.chunk as u64) };
            self.window = self.bytes(position, len as usize)?;
            self.chunk = (self.chunk * 2).min(CHUNK);
            self.window_at = position;
        }
        let at = (position - self.window_at) as usize;
        Ok(self.window.get(at..at + wanted as usize).unwrap_or_default())
    }

    fn bytes(&self, position: u64, len: usize) -> io::Result<Bytes> {
        let at = position.wrapping_sub(self.window_at);
        if position >= self.window_at && at + len as u64 <= self.window.len() as u64 {
            return Ok(self.window.slice(at as usize..at as usize + len));
        }
        match self.source {
            Source::Data(data) => data.copy_unchecked(position, len),
            Source::Raw(raw) => {
                let mut bytes = vec![0; len];
                raw.read_exact_at(position, &mut bytes)?;
                Ok(bytes.into())
            }
        }
    }
}
