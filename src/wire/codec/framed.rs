//! Messages in records, after a prefix with their type or version.

use bytes::Bytes;

use super::{DecodeError, DecodeErrorKind, EncodeError, Message, Reader, Writer};

/// Encodes a 16-bit `prefix` followed by the message.
///
/// In coordinator records the prefix of a key is its type, and that of a value its version. In the consumer protocol the
/// prefix is the version.
pub fn write_prefixed<M: Message>(prefix: i16, message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i16(prefix);
    message.write(&mut w, version)?;
    Ok(w.into_bytes())
}

/// Decodes the 16-bit prefix of a coordinator record's key or value.
pub fn read_prefix(r: &mut Reader) -> Result<i16, DecodeError> {
    r.i16()
}

/// Decodes a 16-bit version and the message after it; returns both.
pub fn read_prefixed<M: Message>(input: &Bytes) -> Result<(i16, M), DecodeError> {
    let mut r = Reader::new(input.clone());
    let version = read_prefix(&mut r)?;
    Ok((version, M::read(&mut r, version)?))
}

/// The prefix of a metadata record: its type and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFrame {
    /// The record's type, which is the `apiKey` of its schema.
    pub kind: i16,
    pub version: i16,
}

/// The only version of the frames of metadata records so far.
const FRAME_VERSION: u32 = 1;

/// Encodes a metadata record: frame version, type and version as variable-length integers, then the message (Kafka's
/// `AbstractApiMessageSerde`).
pub fn write_record<M: Message>(frame: RecordFrame, message: &M) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.uvarint(FRAME_VERSION);
    w.uvarint(frame.kind as u16 as u32);
    w.uvarint(frame.version as u16 as u32);
    message.write(&mut w, frame.version)?;
    Ok(w.into_bytes())
}

/// Decodes the prefix of a metadata record and leaves the reader at the message.
pub fn read_record_frame(r: &mut Reader) -> Result<RecordFrame, DecodeError> {
    let frame_version = r.uvarint()?;
    if frame_version != FRAME_VERSION {
        return Err(r.error(DecodeErrorKind::UnsupportedFrameVersion(frame_version)));
    }
    Ok(RecordFrame { kind: short(r)?, version: short(r)? })
}

/// Decodes the message after a frame.
pub fn read_record<M: Message>(r: &mut Reader, frame: RecordFrame) -> Result<M, DecodeError> {
    M::read(r, frame.version)
}

fn short(r: &mut Reader) -> Result<i16, DecodeError> {
    let value = r.uvarint()?;
    i16::try_from(value).map_err(|_| r.error(DecodeErrorKind::BadVarint))
}
