//! Encoding of values.

use bytes::{BufMut, Bytes, BytesMut};

use super::{EncodeError, EncodeErrorKind, Field, Versions, varint};
use crate::types::Uuid;

/// Blobs of at least this size are separate chunks; smaller ones are copied, which is cheaper than another slice for the
/// socket.
const CHUNK_FROM: usize = 1024;

/// Encodes one message into chunks of bytes.
///
/// Small fields are written to one buffer. For a large blob (records) only its position is stored, and the blob itself
/// becomes a chunk without copying. So encoding a fetch response of megabytes writes a few hundred bytes.
#[derive(Debug, Default)]
pub struct Writer {
    buffer: BytesMut,
    /// Blobs with their positions in `buffer`, in order.
    blobs: Vec<(usize, Bytes)>,
    blob_bytes: usize,
    version: i16,
    flexible: bool,
}

impl Writer {
    /// An empty writer, at version 0 and not flexible until `Writer::set_version` is called.
    pub fn new() -> Self {
        Writer { buffer: BytesMut::with_capacity(256), ..Writer::default() }
    }

    /// Bytes written so far, blobs included.
    pub fn len(&self) -> usize {
        self.buffer.len() + self.blob_bytes
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The version of the message being written.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the message's version has compact lengths and tagged fields (KIP-482).
    pub fn is_flexible(&self) -> bool {
        self.flexible
    }

    /// Returns the written bytes in order: one chunk, and for each blob up to two more.
    pub fn finish(self) -> Vec<Bytes> {
        let mut buffer = self.buffer.freeze();
        let mut chunks = Vec::with_capacity(2 * self.blobs.len() + 1);
        let mut cut = 0;
        for (position, blob) in self.blobs {
            let before = buffer.split_to(position - cut);
            cut = position;
            chunks.extend((!before.is_empty()).then_some(before));
            chunks.push(blob);
        }
        chunks.extend((!buffer.is_empty()).then_some(buffer));
        chunks
    }

    /// Returns the written bytes as a frame with its 4-byte size. The writer must be created with [`Writer::frame`].
    pub(crate) fn finish_frame(mut self) -> Result<Vec<Bytes>, EncodeError> {
        let size = self.len().saturating_sub(FRAME_SIZE_BYTES);
        let size = i32::try_from(size).map_err(|_| self.too_long(size, i32::MAX as usize))?;
        if let Some(prefix) = self.buffer.first_chunk_mut::<FRAME_SIZE_BYTES>() {
            *prefix = size.to_be_bytes();
        }
        Ok(self.finish())
    }

    /// A writer that reserves the bytes for the frame's size.
    pub(crate) fn frame() -> Self {
        let mut writer = Writer::new();
        writer.buffer.put_bytes(0, FRAME_SIZE_BYTES);
        writer
    }

    /// Returns the written bytes as one slice; blobs are copied. For records, which are stored.
    pub fn into_bytes(self) -> Bytes {
        if self.blobs.is_empty() {
            return self.buffer.freeze();
        }
        let mut whole = BytesMut::with_capacity(self.len());
        for chunk in self.finish() {
            whole.extend_from_slice(&chunk);
        }
        whole.freeze()
    }

    pub(crate) fn set_version(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// Whether the version being written is one of `versions`.
    #[inline]
    pub fn within(&self, versions: Versions) -> bool {
        versions.contains(self.version)
    }

    /// Creates an error at the current position.
    #[cold]
    pub fn error(&self, kind: EncodeErrorKind) -> EncodeError {
        EncodeError::new(kind, self.len())
    }

    fn too_long(&self, length: usize, limit: usize) -> EncodeError {
        self.error(EncodeErrorKind::TooLong { length, limit })
    }

    /// Encodes a field; an error contains its name.
    #[inline]
    pub fn field<F: Field>(&mut self, name: &'static str, value: &F) -> Result<(), EncodeError> {
        value.put(self).map_err(|error| error.in_field(name))
    }

    /// Writes bytes unchanged.
    pub fn slice(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    pub fn bool(&mut self, value: bool) {
        self.buffer.put_u8(value.into());
    }

    pub fn i8(&mut self, value: i8) {
        self.buffer.put_i8(value);
    }

    pub fn i16(&mut self, value: i16) {
        self.buffer.put_i16(value);
    }

    pub fn u16(&mut self, value: u16) {
        self.buffer.put_u16(value);
    }

    pub fn i32(&mut self, value: i32) {
        self.buffer.put_i32(value);
    }

    pub fn u32(&mut self, value: u32) {
        self.buffer.put_u32(value);
    }

    pub fn i64(&mut self, value: i64) {
        self.buffer.put_i64(value);
    }

    pub fn f64(&mut self, value: f64) {
        self.buffer.put_f64(value);
    }

    pub fn uuid(&mut self, value: Uuid) {
        self.slice(&value.0);
    }

    /// Writes an unsigned variable-length integer.
    pub fn uvarint(&mut self, value: u32) {
        varint::put_uvarint(&mut self.buffer, value);
    }

    /// Writes bytes unchanged; large ones without copying.
    pub fn blob(&mut self, bytes: &Bytes) {
        if bytes.len() < CHUNK_FROM {
            return self.slice(bytes);
        }
        self.blobs.push((self.buffer.len(), bytes.clone()));
        self.blob_bytes += bytes.len();
    }

    /// Writes a string's length: 16 bits, or compact. `None` is null.
    pub(crate) fn string_length(&mut self, length: Option<usize>) -> Result<(), EncodeError> {
        // Kafka limits strings to 32,767 bytes in the compact form too.
        let limit = i16::MAX;
        match length.map(|length| (length, i16::try_from(length))) {
            Some((length, Err(_))) => return Err(self.too_long(length, limit as usize)),
            Some((_, Ok(length))) if self.flexible => self.uvarint(length as u32 + 1),
            Some((_, Ok(length))) => self.i16(length),
            None if self.flexible => self.uvarint(0),
            None => self.i16(-1),
        }
        Ok(())
    }

    /// Writes a blob's or an array's length: 32 bits, or compact. `None` is null.
    pub(crate) fn length(&mut self, length: Option<usize>) -> Result<(), EncodeError> {
        match length.map(|length| (length, i32::try_from(length))) {
            Some((length, Err(_))) => return Err(self.too_long(length, i32::MAX as usize)),
            Some((_, Ok(length))) if self.flexible => self.uvarint(length as u32 + 1),
            Some((_, Ok(length))) => self.i32(length),
            None if self.flexible => self.uvarint(0),
            None => self.i32(-1),
        }
        Ok(())
    }

    /// Whether a tagged field is written: the version has it, and its value is not the default.
    pub fn wants_tagged<F: PartialEq>(&self, versions: Versions, value: &F, default: F) -> bool {
        self.within(versions) && *value != default
    }

    /// Writes one tagged field: tag, size and value.
    pub fn tagged<F: Field>(&mut self, tag: u32, name: &'static str, value: &F) -> Result<(), EncodeError> {
        let mut inner = Writer::new();
        inner.set_version(self.version, self.flexible);
        inner.field(name, value)?;
        let size = u32::try_from(inner.len()).map_err(|_| self.too_long(inner.len(), u32::MAX as usize))?;
        self.uvarint(tag);
        self.uvarint(size);
        let start = self.buffer.len();
        self.blob_bytes += inner.blob_bytes;
        self.blobs.extend(inner.blobs.into_iter().map(|(position, blob)| (start + position, blob)));
        self.buffer.unsplit(inner.buffer);
        Ok(())
    }
}

/// The size in front of every frame, a signed 32-bit integer.
const FRAME_SIZE_BYTES: usize = 4;
