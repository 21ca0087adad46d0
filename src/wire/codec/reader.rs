//! Decoding of values.

use bytes::Bytes;

use super::{DecodeError, DecodeErrorKind, Field, Str, Versions, varint};
use crate::types::Uuid;

/// Size limit of a string in bytes, in the compact form too.
pub(super) const MAX_TEXT: usize = i16::MAX as usize;

/// The memory that arrays may take per byte of input, in addition to [`ARRAYS_AT_LEAST`].
///
/// An empty string is one byte on the wire and 32 in memory, so a frame of empty strings would expand by a factor of 32.
/// Messages with names of usual length stay below 5; small messages may exceed that, which [`ARRAYS_AT_LEAST`] allows.
const ARRAYS_PER_BYTE: usize = 8;
const ARRAYS_AT_LEAST: usize = 1024 * 1024;

/// Decodes the fields of a message in order.
///
/// The reader stores the version, which every struct of the message depends on. Strings and blobs are slices of the input.
#[derive(Clone, Debug)]
pub struct Reader {
    input: Bytes,
    position: usize,
    /// The end of the readable part: of the input, or of the tagged field that is being read.
    end: usize,
    /// The memory that arrays may still take, in bytes; see [`ARRAYS_PER_BYTE`].
    array_budget: usize,
    version: i16,
    flexible: bool,
}

impl Reader {
    /// A reader of `input`, at version 0 and not flexible until [`Reader::set_version`] is called.
    pub fn new(input: Bytes) -> Self {
        let end = input.len();
        let array_budget = end.saturating_mul(ARRAYS_PER_BYTE).saturating_add(ARRAYS_AT_LEAST);
        Reader { input, position: 0, end, array_budget, version: 0, flexible: false }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Bytes left to read.
    pub fn remaining(&self) -> usize {
        self.end - self.position
    }

    /// The version of the message being read.
    pub fn version(&self) -> i16 {
        self.version
    }

    /// Whether the message's version has compact lengths and tagged fields (KIP-482).
    pub fn is_flexible(&self) -> bool {
        self.flexible
    }

    pub fn set_version(&mut self, version: i16, flexible: bool) {
        self.version = version;
        self.flexible = flexible;
    }

    /// Whether the version being read is one of `versions`.
    #[inline]
    pub fn within(&self, versions: Versions) -> bool {
        versions.contains(self.version)
    }

    /// Creates an error at the current position.
    #[cold]
    pub fn error(&self, kind: DecodeErrorKind) -> DecodeError {
        DecodeError::new(kind, self.position)
    }

    /// Decodes a field; an error contains its name.
    #[inline]
    pub fn field<F: Field>(&mut self, name: &'static str) -> Result<F, DecodeError> {
        F::get(self).map_err(|error| error.in_field(name))
    }

    fn truncated(&self, needed: usize) -> DecodeError {
        self.error(DecodeErrorKind::Truncated { needed, remaining: self.remaining() })
    }

    /// Skips `length` bytes and returns their start.
    #[inline]
    fn advance(&mut self, length: usize) -> Result<usize, DecodeError> {
        if length > self.remaining() {
            return Err(self.truncated(length));
        }
        let start = self.position;
        self.position += length;
        Ok(start)
    }

    /// Reads `N` bytes.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let start = self.advance(N)?;
        self.input.get(start..start + N).and_then(|bytes| bytes.try_into().ok()).ok_or_else(|| self.truncated(N))
    }

    /// Reads a boolean: any byte but 0 is true.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        Ok(self.i8()? != 0)
    }

    pub fn i8(&mut self) -> Result<i8, DecodeError> {
        Ok(i8::from_be_bytes(self.array()?))
    }

    pub fn i16(&mut self) -> Result<i16, DecodeError> {
        Ok(i16::from_be_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_be_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32, DecodeError> {
        Ok(i32::from_be_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_be_bytes(self.array()?))
    }

    pub fn i64(&mut self) -> Result<i64, DecodeError> {
        Ok(i64::from_be_bytes(self.array()?))
    }

    pub fn f64(&mut self) -> Result<f64, DecodeError> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    pub fn uuid(&mut self) -> Result<Uuid, DecodeError> {
        Ok(Uuid(self.array()?))
    }

    /// Reads an unsigned variable-length integer of up to 32 bits.
    #[inline]
    pub fn uvarint(&mut self) -> Result<u32, DecodeError> {
        let bytes = self.input.get(self.position..self.end).unwrap_or_default();
        let mut rest = bytes;
        match varint::take_uvarint(&mut rest) {
            Some(value) => {
                self.position += bytes.len() - rest.len();
                Ok(value)
            }
            None if bytes.len() < varint::MAX_VARINT && bytes.iter().all(|byte| *byte >= 0x80) => {
                Err(self.truncated(bytes.len() + 1))
            }
            None => Err(self.error(DecodeErrorKind::BadVarint)),
        }
    }

    /// Returns the next `length` bytes without copying.
    pub fn bytes(&mut self, length: usize) -> Result<Bytes, DecodeError> {
        let start = self.advance(length)?;
        Ok(self.input.slice(start..start + length))
    }

    /// Reads a string's length: 16 bits, or compact. `None` is null.
    #[inline]
    pub fn string_length(&mut self) -> Result<Option<usize>, DecodeError> {
        if self.flexible { self.compact_length() } else { Ok(usize::try_from(self.i16()?).ok()) }
    }

    /// Reads a blob's or an array's length: 32 bits, or compact. `None` is null.
    ///
    /// Any negative length means null, as in Kafka's own readers.
    #[inline]
    pub fn length(&mut self) -> Result<Option<usize>, DecodeError> {
        if self.flexible { self.compact_length() } else { Ok(usize::try_from(self.i32()?).ok()) }
    }

    /// Reads a compact length, which is the length plus one, so that 0 can be null.
    fn compact_length(&mut self) -> Result<Option<usize>, DecodeError> {
        Ok((self.uvarint()? as usize).checked_sub(1))
    }

    /// Reads `length` bytes of text. Invalid UTF-8 is replaced by U+FFFD, as in Kafka, so that the request gets an error
    /// response, such as for an invalid topic name, instead of a closed connection.
    pub fn text(&mut self, length: usize) -> Result<Str, DecodeError> {
        let bytes = self.bytes(length)?;
        let text = Str::try_from(bytes.clone()).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into_owned().into());
        if text.len() > MAX_TEXT {
            return Err(self.error(DecodeErrorKind::TextTooLong { length: text.len() }));
        }
        Ok(text)
    }

    /// Checks a count of elements before memory is allocated: against the remaining bytes, with the minimum size of an element
    /// on the wire, and against the memory limit of arrays, with its size in memory.
    pub fn check_count(&mut self, count: usize, wire_size: usize, memory_size: usize) -> Result<(), DecodeError> {
        let remaining = self.remaining();
        // Elements without bytes would make any count valid; no schema has them.
        let element_size = wire_size.max(1);
        if count > remaining / element_size {
            return Err(self.error(DecodeErrorKind::TooManyElements { count, element_size, remaining }));
        }
        match self.array_budget.checked_sub(count.saturating_mul(memory_size)) {
            Some(left) => self.array_budget = left,
            None => return Err(self.error(DecodeErrorKind::TooMuchMemory { count })),
        }
        Ok(())
    }

    /// Reads the tagged fields at the end of a flexible struct. `known` decodes the field of a tag and returns whether it knows
    /// the tag; unknown tags are skipped.
    pub fn tagged_fields(
        &mut self,
        mut known: impl FnMut(&mut Reader, u32) -> Result<bool, DecodeError>,
    ) -> Result<(), DecodeError> {
        if !self.flexible {
            return Ok(());
        }
        for _ in 0..self.uvarint()? {
            let tag = self.uvarint()?;
            let size = self.uvarint()? as usize;
            let start = self.advance(size)?;
            let (after, end) = (self.position, self.end);
            (self.position, self.end) = (start, after);
            if known(self, tag)? && self.remaining() > 0 {
                return Err(self.error(DecodeErrorKind::TaggedFieldTooLong { tag, unread: self.remaining() }));
            }
            (self.position, self.end) = (after, end);
        }
        Ok(())
    }
}
