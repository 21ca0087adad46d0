//! The batches of a segment or snapshot, of any message format, one after another off the disk.
//!
//! Source of behaviour: `FileLogInputStream` and `FileRecords` in Kafka's clients: where batches end is told by their
//! lengths alone, nothing is checked on the way.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use bytes::{Buf, Bytes};

use crate::cli::tools::exceptions::Exception;
use ottla_wire::record::{BATCH_OVERHEAD, BatchHeader, LOG_OVERHEAD, MAGIC_V2};
use ottla_wire::types::Offset;

/// What has to be there of a batch for its length to be looked at: up to the magic byte, and one byte more.
const SHORTEST: u64 = 17;
/// No message of any format is smaller, by what its length counts.
const LEAST_LENGTH: i32 = 14;
/// Where the bytes that the CRC of format 2 covers begin.
const CRC_START: u64 = 21;
const CHUNK: usize = 1 << 20;

/// A file of batches, up to some length.
#[derive(Debug)]
pub struct BatchFile {
    file: File,
    path: PathBuf,
    end: u64,
}

/// A batch where it lies in its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundBatch {
    /// From the beginning of the file.
    pub position: u64,
    /// All of it, in bytes.
    pub size: u64,
    /// Of the batch in format 2, of the last message in the others.
    pub offset: Offset,
    pub magic: i8,
}

impl BatchFile {
    /// Opens a file, of which `limit` bytes are looked at.
    pub fn open(path: &Path, limit: u64) -> Result<BatchFile, Exception> {
        let file = File::open(path).map_err(|error| cannot(path, &error))?;
        let len = file.metadata().map_err(|error| cannot(path, &error))?.len();
        if len > i32::MAX as u64 {
            let shown = path.display();
            let message = format!(
                "The size of segment {shown} ({len}) is larger than the maximum allowed segment size of {}",
                i32::MAX
            );
            return Err(Exception::new("org.apache.kafka.common.KafkaException", message));
        }
        Ok(BatchFile { file, path: path.to_path_buf(), end: len.min(limit) })
    }

    /// How many bytes are looked at.
    pub fn end(&self) -> u64 {
        self.end
    }

    /// The batch at `position`, if it ends before `end`; none where no batch has room any more.
    pub fn batch_at(&self, position: u64, end: u64) -> Result<Option<FoundBatch>, Exception> {
        let end = end.min(self.end);
        if position.saturating_add(SHORTEST) >= end {
            return Ok(None);
        }
        let mut front = &self.read::<17>(position)?[..];
        let offset = front.get_i64();
        let length = front.get_i32();
        if length < LEAST_LENGTH {
            let message = format!(
                "Found record size {length} smaller than minimum record overhead ({LEAST_LENGTH}) in file {}.",
                self.path.display()
            );
            return Err(Exception::new("org.apache.kafka.common.errors.CorruptRecordException", message));
        }
        front.advance(4);
        let magic = front.get_i8();
        let size = LOG_OVERHEAD as u64 + u64::from(length.unsigned_abs());
        Ok((size <= end - position).then_some(FoundBatch { position, size, offset, magic }))
    }

    /// The header of a batch of format 2 or of one that is yet to come, whatever its bytes say.
    pub fn header(&self, batch: &FoundBatch) -> Result<BatchHeader, Exception> {
        let mut bytes: [u8; BATCH_OVERHEAD] = self.read(batch.position)?;
        // A header is a header, be its format unknown or its length too small for one.
        bytes[16] = MAGIC_V2.cast_unsigned();
        let length = i32::try_from(batch.size.max(BATCH_OVERHEAD as u64)).unwrap_or(i32::MAX) - LOG_OVERHEAD as i32;
        bytes[8..LOG_OVERHEAD].copy_from_slice(&length.to_be_bytes());
        BatchHeader::parse(&bytes).map_err(|error| corrupt(&error))
    }

    /// Whether the CRC of a batch of format 2 is that of its bytes.
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

    /// All bytes of a batch. They are read piece by piece: what its length claims is not believed.
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

/// A file that can't be opened, as Java says it.
pub fn cannot(path: &Path, error: &io::Error) -> Exception {
    let class = match error.kind() {
        io::ErrorKind::NotFound => "java.nio.file.NoSuchFileException",
        io::ErrorKind::PermissionDenied => "java.nio.file.AccessDeniedException",
        _ => return Exception::new("java.io.IOException", format!("{}: {error}", path.display())),
    };
    Exception::new(class, path.display().to_string())
}

/// Records that can't be read.
pub fn corrupt(error: &ottla_wire::record::RecordError) -> Exception {
    Exception::new("org.apache.kafka.common.InvalidRecordException", error.to_string())
}
