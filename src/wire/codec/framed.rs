//! Messages as they stand in records: behind a number that says which one, or which version.

use bytes::Bytes;

use super::{DecodeError, DecodeErrorKind, EncodeError, Message, Reader, Writer};

/// Writes `prefix` as 16 bits and the message after it.
///
/// Coordinator records are made so: before a key stands its type, before a value its version. So is
/// the consumer protocol's metadata, whose prefix is the version too.
pub fn write_prefixed<M: Message>(prefix: i16, message: &M, version: i16) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.i16(prefix);
    message.write(&mut w, version)?;
    Ok(w.into_bytes())
}

/// Reads the 16 bits that stand before a coordinator record's key or value.
pub fn read_prefix(r: &mut Reader) -> Result<i16, DecodeError> {
    r.i16()
}

/// Reads a message behind its 16-bit version, which is returned with it.
pub fn read_prefixed<M: Message>(input: &Bytes) -> Result<(i16, M), DecodeError> {
    let mut r = Reader::new(input.clone());
    let version = read_prefix(&mut r)?;
    Ok((version, M::read(&mut r, version)?))
}

/// What stands before a metadata record: which one it is and at which version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFrame {
    /// The record's number, its schema's `apiKey`.
    pub kind: i16,
    pub version: i16,
}

/// The only version that frames of metadata records have had.
const FRAME_VERSION: u32 = 1;

/// Writes a metadata record: frame version, kind and version as variable-length integers, then
/// the message (Kafka's `AbstractApiMessageSerde`).
pub fn write_record<M: Message>(frame: RecordFrame, message: &M) -> Result<Bytes, EncodeError> {
    let mut w = Writer::new();
    w.uvarint(FRAME_VERSION);
    w.uvarint(frame.kind as u16 as u32);
    w.uvarint(frame.version as u16 as u32);
    message.write(&mut w, frame.version)?;
    Ok(w.into_bytes())
}

/// Reads what stands before a metadata record; the reader is left at the message.
pub fn read_record_frame(r: &mut Reader) -> Result<RecordFrame, DecodeError> {
    let frame_version = r.uvarint()?;
    if frame_version != FRAME_VERSION {
        return Err(r.error(DecodeErrorKind::UnsupportedFrameVersion(frame_version)));
    }
    Ok(RecordFrame { kind: short(r)?, version: short(r)? })
}

/// Reads the message behind a frame.
pub fn read_record<M: Message>(r: &mut Reader, frame: RecordFrame) -> Result<M, DecodeError> {
    M::read(r, frame.version)
}

fn short(r: &mut Reader) -> Result<i16, DecodeError> {
    let value = r.uvarint()?;
    i16::try_from(value).map_err(|_| r.error(DecodeErrorKind::BadVarint))
}
