//! Reading a sealed segment from beginning to end, many batches at a time, every one checked.

use std::path::PathBuf;

use super::{CompactError, Pace, Source};
use crate::error::IoContext;
use crate::file::{ExternalChange, RawFile};
use crate::names;
use crate::segment::Place;
use ottla_wire::record::{BATCH_OVERHEAD, BatchHeader, check_crc};
use ottla_wire::types::Offset;

/// Steps from batch to batch of one segment.
pub(super) struct Reader<'a> {
    raw: RawFile,
    path: PathBuf,
    size: u64,
    /// Where the next segment begins.
    end: Offset,
    /// Where the next batch begins, and below which offset it can't.
    position: u64,
    next_offset: Offset,
    /// Where the last batch began.
    last_at: u64,
    /// What was read, and where that lies in the file.
    buffer: &'a mut Vec<u8>,
    buffer_at: u64,
    io_bytes: usize,
}

impl<'a> Reader<'a> {
    /// Opens a segment. It is read `io_bytes` at a time into `buffer`, which grows to what
    /// a larger batch has on disk. [`CompactError::Abandoned`] if it is gone.
    pub(super) fn open(
        place: &Place,
        source: Source,
        buffer: &'a mut Vec<u8>,
        io_bytes: usize,
    ) -> Result<Reader<'a>, CompactError> {
        let Source { base, size, end } = source;
        let path = place.file(base, names::LOG);
        let raw = place.disk.open_to_read(&path).doing("opening", &path)?.ok_or(CompactError::Abandoned)?;
        buffer.clear();
        Ok(Reader { raw, path, size, end, position: 0, next_offset: base, last_at: 0, buffer, buffer_at: 0, io_bytes })
    }

    /// The next batch, header and all bytes; `None` at the end. A batch that ends before `wanted_from` is passed over.
    pub(super) fn next(
        &mut self,
        wanted_from: Offset,
        pace: Pace<'_>,
    ) -> Result<Option<(BatchHeader, &[u8])>, CompactError> {
        loop {
            if self.position == self.size {
                return Ok(None);
            }
            self.last_at = self.position;
            // A message of an old format at the end of a segment may be shorter than that.
            let front = (BATCH_OVERHEAD as u64).min(self.size - self.position) as usize;
            self.fill(front, pace)?;
            let header = match BatchHeader::parse_any(self.at_position(front)) {
                Ok(header) => header,
                Err(error) => return Err(self.corrupt(&error.to_string())),
            };
            if header.last_offset_delta < 0 || header.base_offset < self.next_offset || header.next_offset() > self.end
            {
                return Err(self.corrupt("its offsets are not between those before and the next segment's"));
            }
            if header.last_offset() < wanted_from && self.position + header.size() as u64 <= self.size {
                self.step_over(&header);
                continue;
            }
            self.fill(header.size(), pace)?;
            if let Err(error) = check_crc(&header, self.at_position(header.size())) {
                return Err(self.corrupt(&error.to_string()));
            }
            let begin = (self.position - self.buffer_at) as usize;
            self.step_over(&header);
            let batch = self.buffer.get(begin..begin + header.size()).unwrap_or_default();
            return Ok(Some((header, batch)));
        }
    }

    /// Says that the last batch can't be dealt with.
    pub(super) fn corrupt(&self, why: &str) -> CompactError {
        let why = format!("the batch at position {}: {why}", self.last_at);
        CompactError::Uncleanable { path: self.path.clone(), why }
    }

    fn step_over(&mut self, header: &BatchHeader) {
        self.position += header.size() as u64;
        self.next_offset = header.next_offset();
    }

    /// Makes sure that `needed` bytes from the position on are in the buffer.
    fn fill(&mut self, needed: usize, pace: Pace<'_>) -> Result<(), CompactError> {
        let buffered = self.buffer_at + self.buffer.len() as u64;
        if self.position >= self.buffer_at && self.position + needed as u64 <= buffered {
            return Ok(());
        }
        let left = self.size - self.position;
        if needed as u64 > left {
            return Err(self.corrupt(&format!("it has {needed} bytes, and {left} are there")));
        }
        let len = (self.io_bytes.max(needed) as u64).min(left) as usize;
        self.buffer.resize(len, 0);
        self.buffer_at = self.position;
        let read = self.raw.read_exact_at(self.position, self.buffer).or_else(|error| match self.raw.end()? {
            left if left < self.size => Err(ExternalChange::Truncated { left, of: self.size }.into()),
            _ => Err(error),
        });
        read.doing("reading", &self.path)?;
        super::go_on(pace, len as u64)
    }

    fn at_position(&self, len: usize) -> &[u8] {
        let begin = (self.position - self.buffer_at) as usize;
        self.buffer.get(begin..begin + len).unwrap_or_default()
    }
}
