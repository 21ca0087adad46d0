//! Reads a sealed segment from beginning to end, many batches per system call, and verifies each batch.

use std::path::PathBuf;

use super::{CompactError, Source, Throttle};
use crate::error::IoContext;
use crate::file::{ExternalChange, RawFile};
use crate::names;
use crate::segment::PartitionFolder;
use ottla_wire::record::{BATCH_OVERHEAD, BatchHeader, check_crc};
use ottla_wire::types::Offset;

/// An iterator over the batches of one segment.
pub(super) struct Reader<'a> {
    raw: RawFile,
    path: PathBuf,
    size: u64,
    /// The base offset of the next segment.
    end: Offset,
    /// The position of the next batch, and its smallest possible base offset.
    position: u64,
    next_offset: Offset,
    /// The position of the last batch.
    last_position: u64,
    /// Bytes that were read, and their position in the file.
    buffer: &'a mut Vec<u8>,
    buffer_position: u64,
    io_bytes: usize,
}

impl<'a> Reader<'a> {
    /// Opens a segment. It is read `io_bytes` at a time into `buffer`, which grows for a larger batch to its size on disk.
    /// Returns [`CompactError::Abandoned`] if the segment was deleted.
    pub(super) fn open(
        folder: &PartitionFolder,
        source: Source,
        buffer: &'a mut Vec<u8>,
        io_bytes: usize,
    ) -> Result<Reader<'a>, CompactError> {
        let Source { base, size, end } = source;
        let path = folder.file(base, names::LOG);
        let raw = folder.disk.open_to_read(&path).doing("opening", &path)?.ok_or(CompactError::Abandoned)?;
        buffer.clear();
        Ok(Reader {
            raw,
            path,
            size,
            end,
            position: 0,
            next_offset: base,
            last_position: 0,
            buffer,
            buffer_position: 0,
            io_bytes,
        })
    }

    /// Returns the next batch, header and all bytes; `None` at the end. Skips batches that end before `wanted_from`.
    pub(super) fn next(
        &mut self,
        wanted_from: Offset,
        throttle: Throttle<'_>,
    ) -> Result<Option<(BatchHeader, &[u8])>, CompactError> {
        loop {
            if self.position == self.size {
                return Ok(None);
            }
            self.last_position = self.position;
            // A message of an old format at the end of a segment may be shorter than a header of format 2.
            let header_len = (BATCH_OVERHEAD as u64).min(self.size - self.position) as usize;
            self.fill(header_len, throttle)?;
            let header = match BatchHeader::parse_any(self.at_position(header_len)) {
                Ok(header) => header,
                Err(error) => return Err(self.corrupt(&error.to_string())),
            };
            if header.last_offset_delta < 0 || header.base_offset < self.next_offset || header.next_offset() > self.end
            {
                return Err(self.corrupt("its offsets are not between those before and the next segment's"));
            }
            if header.last_offset() < wanted_from && self.position + header.size() as u64 <= self.size {
                self.advance(&header);
                continue;
            }
            self.fill(header.size(), throttle)?;
            if let Err(error) = check_crc(&header, self.at_position(header.size())) {
                return Err(self.corrupt(&error.to_string()));
            }
            let begin = (self.position - self.buffer_position) as usize;
            self.advance(&header);
            let batch = self.buffer.get(begin..begin + header.size()).unwrap_or_default();
            return Ok(Some((header, batch)));
        }
    }

    /// Returns an error for the last batch.
    pub(super) fn corrupt(&self, why: &str) -> CompactError {
        let why = format!("the batch at position {}: {why}", self.last_position);
        CompactError::Uncleanable { path: self.path.clone(), why }
    }

    fn advance(&mut self, header: &BatchHeader) {
        self.position += header.size() as u64;
        self.next_offset = header.next_offset();
    }

    /// Ensures that `needed` bytes from the position on are in the buffer.
    fn fill(&mut self, needed: usize, throttle: Throttle<'_>) -> Result<(), CompactError> {
        let buffer_end = self.buffer_position + self.buffer.len() as u64;
        if self.position >= self.buffer_position && self.position + needed as u64 <= buffer_end {
            return Ok(());
        }
        let left = self.size - self.position;
        if needed as u64 > left {
            return Err(self.corrupt(&format!("it has {needed} bytes, but only {left} are left in the file")));
        }
        let len = (self.io_bytes.max(needed) as u64).min(left) as usize;
        self.buffer.resize(len, 0);
        self.buffer_position = self.position;
        let read = self.raw.read_exact_at(self.position, self.buffer).or_else(|error| match self.raw.end()? {
            left if left < self.size => Err(ExternalChange::Truncated { left, of: self.size }.into()),
            _ => Err(error),
        });
        read.doing("reading", &self.path)?;
        super::throttled(throttle, len as u64)
    }

    fn at_position(&self, len: usize) -> &[u8] {
        let begin = (self.position - self.buffer_position) as usize;
        self.buffer.get(begin..begin + len).unwrap_or_default()
    }
}
