//! Walking the batches of a segment header by header, in whatever format they were written.

use std::io;

use bytes::Bytes;

use super::file::{DataFile, RawFile};
use ottla_wire::record::{BATCH_OVERHEAD, BatchCrc, BatchHeader};
use ottla_wire::types::Offset;

/// How much is read at first, for most walks are short, and at the most. Headers of large batches are read one by one.
const FIRST_CHUNK: usize = 4 << 10;
const CHUNK: usize = 64 << 10;
/// Behind a batch larger than this the next header is read alone: copying what is between costs more than a call.
const HEADERS_ALONE: usize = 4 << 10;

/// Where a walk reads from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Source<'a> {
    /// A segment in use.
    Data(&'a DataFile),
    /// A file being recovered.
    Raw(&'a RawFile),
}

/// What a walk came upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// A batch whose header makes sense and whose bytes are all there.
    Batch { position: u64, header: BatchHeader },
    /// The end, exactly behind a batch.
    End,
    /// Bytes that are no batch, or not a whole one.
    Broken { position: u64 },
}

/// Steps from batch to batch, in a segment's bytes `position..end`.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    source: Source<'a>,
    position: u64,
    end: u64,
    /// No batch may begin below: offsets only grow.
    next_offset: Offset,
    window: Bytes,
    window_at: u64,
    /// How much is read next time.
    chunk: usize,
    /// Size of the batch before: small batches are read many at a time.
    last_size: usize,
}

impl<'a> Walk<'a> {
    /// A walk that expects only offsets of at least `next_offset`.
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

    /// Where the next step looks.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The offset that follows the last batch.
    pub(crate) fn next_offset(&self) -> Offset {
        self.next_offset
    }

    /// The next batch.
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

    /// Whether a batch's bytes are those that its CRC was made from.
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

    /// The bytes of a batch that was stepped over.
    pub(crate) fn batch_bytes(&self, position: u64, header: &BatchHeader) -> io::Result<Bytes> {
        self.bytes(position, header.size())
    }

    /// What a batch at `position` may have for a header: fewer bytes only at the end, where old messages, which
    /// are shorter, may still be whole.
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
