//! Reads the batches of a segment or snapshot, of any message format, one after another from the disk.
//!
//! Source of behaviour: `FileLogInputStream` and `FileRecords` in Kafka's clients: only the lengths determine where
//! batches end; nothing else is checked while reading.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};

use crate::cli::tools::exceptions::Exception;
use ottla_wire::record::{BATCH_OVERHEAD, BatchHeader, LOG_OVERHEAD, MAGIC_V2};
use ottla_wire::types::Offset;

/// The bytes of a batch up to and including the magic byte. A batch is read only if more bytes than these remain.
const HEADER_UP_TO_MAGIC: u64 = 17;
/// The smallest value of the length field, in any message format.
const MIN_LENGTH: i32 = 14;
/// The position of the first byte that the CRC of format 2 covers.
const CRC_START: u64 = 21;
const CHUNK: usize = 1 << 20;

/// A file of batches, read up to a limit.
#[derive(Debug)]
pub struct BatchFile {
    file: File,
    path: PathBuf,
    end: u64,
}

/// A batch and its position in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundBatch {
    /// The position of its first byte in the file.
    pub position: u64,
    /// Its size in bytes, including the log overhead.
    pub size: u64,
    /// The base offset in format 2; the offset of the last message in older formats.
    pub offset: Offset,
    pub magic: i8,
}

impl BatchFile {
    /// Opens a file, of which at most `limit` bytes are read.
    pub fn open(path: &Path, limit: u64) -> Result<BatchFile, Exception> {
        let file = File::open(path).map_err(|error| file_error(path, &error))?;
        let len = file.metadata().map_err(|error| file_error(path, &error))?.len();
        if len > i32::MAX as u64 {
            let name = path.display();
            let message = format!(
                "The size of segment {name} ({len}) is larger than the maximum allowed segment size of {}",
                i32::MAX
            );
            return Err(Exception::new("org.apache.kafka.common.KafkaException", message));
        }
        Ok(BatchFile { file, path: path.to_path_buf(), end: len.min(limit) })
    }

    /// Returns the number of bytes to read.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// Returns the batch at `position`; `None` if it does not end by `end`.
    pub fn batch_at(&self, position: u64, end: u64) -> Result<Option<FoundBatch>, Exception> {
        let end = end.min(self.end);
        if position.saturating_add(HEADER_UP_TO_MAGIC) >= end {
            return Ok(None);
        }
        let mut front = &self.read::<17>(position)?[..];
        let offset = front.get_i64();
        let length = front.get_i32();
        if length < MIN_LENGTH {
            let message = format!(
                "Found record size {length} smaller than minimum record overhead ({MIN_LENGTH}) in file {}.",
                self.path.display()
            );
            return Err(Exception::new("org.apache.kafka.common.errors.CorruptRecordException", message));
        }
        front.advance(4);
        let magic = front.get_i8();
        let size = LOG_OVERHEAD as u64 + u64::from(length.unsigned_abs());
        Ok((size <= end - position).then_some(FoundBatch { position, size, offset, magic }))
    }

    /// Parses the header of a batch of format 2 or an unknown newer format.
    pub fn header(&self, batch: &FoundBatch) -> Result<BatchHeader, Exception> {
        let mut bytes: [u8; BATCH_OVERHEAD] = self.read(batch.position)?;
        // Replaces an unknown magic byte and a length that is too small, which the parser would refuse.
        bytes[16] = MAGIC_V2.cast_unsigned();
        let length = i32::try_from(batch.size.max(BATCH_OVERHEAD as u64)).unwrap_or(i32::MAX) - LOG_OVERHEAD as i32;
        bytes[8..LOG_OVERHEAD].copy_from_slice(&length.to_be_bytes());
        BatchHeader::parse(&bytes).map_err(|error| corrupt(&error))
    }

    /// Returns whether the CRC of a batch of format 2 is valid.
    pub fn crc_matches(&self, batch: &FoundBatch, header: &BatchHeader) -> Result<bool, Exception> {
        if batch.size < BATCH_OVERHEAD as u64 {
            return Ok(false);
        }
        let (mut at, end) = (batch.position + CRC_START, batch.position + batch.size);
        let mut crc = 0;
        while at < end {
            let bytes = self.bytes(at, (end - at).min(CHUNK as u64) as usize)?;
            crc = crc32c::crc32c_append(crc, &bytes);
            at += bytes.len() as u64;
        }
        Ok(crc == header.crc)
    }

    /// Reads all bytes of a batch. Reads them in chunks, because a corrupt length could be huge.
    pub fn bytes_of(&self, batch: &FoundBatch) -> Result<Bytes, Exception> {
        let mut all = Vec::new();
        while (all.len() as u64) < batch.size {
            let left = (batch.size - all.len() as u64).min(CHUNK as u64) as usize;
            all.extend_from_slice(&self.bytes(batch.position + all.len() as u64, left)?);
        }
        Ok(all.into())
    }

    fn bytes(&self, position: u64, len: usize) -> Result<Vec<u8>, Exception> {
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, position).map_err(|error| self.unreadable(position, &error))?;
        Ok(bytes)
    }

    fn read<const N: usize>(&self, position: u64) -> Result<[u8; N], Exception> {
        let mut bytes = [0; N];
        self.file.read_exact_at(&mut bytes, position).map_err(|error| self.unreadable(position, &error))?;
        Ok(bytes)
    }

    fn unreadable(&self, position: u64, error: &io::Error) -> Exception {
        let message =
            format!("Failed to read record batch at position {position} from {}: {error}", self.path.display());
        Exception::new("org.apache.kafka.common.KafkaException", message)
    }
}

/// Converts an error on a file to the exception that Java throws.
pub fn file_error(path: &Path, error: &io::Error) -> Exception {
    let class = match error.kind() {
        io::ErrorKind::NotFound => "java.nio.file.NoSuchFileException",
        io::ErrorKind::PermissionDenied => "java.nio.file.AccessDeniedException",
        _ => return Exception::new("java.io.IOException", format!("{}: {error}", path.display())),
    };
    Exception::new(class, path.display().to_string())
}

/// Creates the exception for corrupt records.
pub fn corrupt(error: &ottla_wire::record::RecordError) -> Exception {
    Exception::new("org.apache.kafka.common.InvalidRecordException", error.to_string())
}
