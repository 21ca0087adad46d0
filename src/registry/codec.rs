//! Serialized keys and values: how Confluent's serializers mark them with the schema that they have.
//!
//! A key or a value begins with 0 and the schema's id (4 bytes, big-endian), or with 1 and its GUID (16 bytes). Serializers
//! that put the GUID into a header of the record write the same there, and the key or the value has no such beginning. With
//! a Protobuf schema, the id or the GUID is followed by the indexes of the message: their count and then each of them, as
//! zigzag varints. The one index 0, which is the most frequent, is written as the count 0.

use std::fmt;

use thiserror::Error;

use crate::entity::Guid;
use crate::schema::SchemaType;

/// The header with the GUID of a key's schema.
pub const KEY_SCHEMA_ID_HEADER: &str = "__key_schema_id";
/// The header with the GUID of a value's schema.
pub const VALUE_SCHEMA_ID_HEADER: &str = "__value_schema_id";

/// Maximum number of indexes of a message: the depth of messages in each other.
const MAX_INDEXES: usize = 64;

const MAGIC_ID: u8 = 0;
const MAGIC_GUID: u8 = 1;

/// Why bytes do not begin as Confluent's serializers begin them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    #[error("there is no schema id: {0} bytes are too few")]
    TooShort(usize),
    #[error("there is no schema id: the first byte is {0}, not 0 or 1")]
    UnknownMagicByte(u8),
    #[error("the indexes of the Protobuf message are invalid")]
    InvalidIndexes,
}

/// What names the schema of a key or a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SchemaIdentifier {
    Id(i32),
    Guid(Guid),
}

impl fmt::Display for SchemaIdentifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SchemaIdentifier::Id(id) => write!(formatter, "the schema with the id {id}"),
            SchemaIdentifier::Guid(guid) => write!(formatter, "the schema with the GUID {guid}"),
        }
    }
}

/// A key or a value with what was in front of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Framed<'a> {
    pub schema: SchemaIdentifier,
    /// The rest of the header, if a header names the schema.
    header: Option<&'a [u8]>,
    rest: &'a [u8],
}

impl<'a> Framed<'a> {
    /// Reads the identifier of the schema: from the header with the key's or value's GUID, if the record has one, else from
    /// the key or the value itself.
    pub fn read(header: Option<&'a [u8]>, bytes: &'a [u8]) -> Result<Framed<'a>, FrameError> {
        match header {
            Some(header) => {
                let (schema, after) = identifier(header)?;
                Ok(Framed { schema, header: Some(after), rest: bytes })
            }
            None => {
                let (schema, rest) = identifier(bytes)?;
                Ok(Framed { schema, header: None, rest })
            }
        }
    }

    /// Returns the encoded key or value, with the indexes of its message if the schema is a Protobuf one.
    pub fn payload(&self, schema_type: SchemaType) -> Result<(Vec<i32>, &'a [u8]), FrameError> {
        if schema_type != SchemaType::Protobuf {
            return Ok((Vec::new(), self.rest));
        }
        match self.header {
            Some(header) => Ok((message_indexes(header)?.0, self.rest)),
            None => message_indexes(self.rest),
        }
    }
}

/// Returns what serializers write in front of a key or a value.
pub fn frame(schema: SchemaIdentifier, schema_type: SchemaType, indexes: &[i32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8);
    match schema {
        SchemaIdentifier::Id(id) => {
            out.push(MAGIC_ID);
            out.extend(id.to_be_bytes());
        }
        SchemaIdentifier::Guid(guid) => {
            out.push(MAGIC_GUID);
            out.extend(guid.0);
        }
    }
    match (schema_type, indexes) {
        (SchemaType::Avro | SchemaType::Json, _) => {}
        (SchemaType::Protobuf, [] | [0]) => out.push(0),
        (SchemaType::Protobuf, indexes) => {
            write_varint(&mut out, i32::try_from(indexes.len()).unwrap_or(i32::MAX));
            indexes.iter().for_each(|index| write_varint(&mut out, *index));
        }
    }
    out
}

fn identifier(bytes: &[u8]) -> Result<(SchemaIdentifier, &[u8]), FrameError> {
    let too_short = FrameError::TooShort(bytes.len());
    match bytes.split_first().ok_or(too_short)? {
        (&MAGIC_ID, rest) => {
            let (id, rest) = rest.split_first_chunk().ok_or(too_short)?;
            Ok((SchemaIdentifier::Id(i32::from_be_bytes(*id)), rest))
        }
        (&MAGIC_GUID, rest) => {
            let (guid, rest) = rest.split_first_chunk().ok_or(too_short)?;
            Ok((SchemaIdentifier::Guid(Guid(*guid)), rest))
        }
        (&other, _) => Err(FrameError::UnknownMagicByte(other)),
    }
}

fn message_indexes(bytes: &[u8]) -> Result<(Vec<i32>, &[u8]), FrameError> {
    let mut rest = bytes;
    let count = usize::try_from(varint(&mut rest)?).map_err(|_| FrameError::InvalidIndexes)?;
    if count == 0 {
        return Ok((vec![0], rest));
    }
    if count > MAX_INDEXES {
        return Err(FrameError::InvalidIndexes);
    }
    let indexes = (0..count).map(|_| varint(&mut rest)).collect::<Result<_, _>>()?;
    Ok((indexes, rest))
}

fn varint(rest: &mut &[u8]) -> Result<i32, FrameError> {
    let mut value: u32 = 0;
    for shift in (0..32).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(FrameError::InvalidIndexes)?;
        *rest = after;
        value |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed());
        }
    }
    Err(FrameError::InvalidIndexes)
}

fn write_varint(out: &mut Vec<u8>, value: i32) {
    let mut value = (value << 1 ^ value >> 31).cast_unsigned();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    const GUID: Guid = Guid([7; 16]);

    #[test]
    fn ids_and_guids_in_front_of_values_are_read() {
        let value = [&[0, 0, 0, 1, 2][..], b"xyz"].concat();
        let framed = Framed::read(None, &value).unwrap();
        assert_eq!(framed.schema, SchemaIdentifier::Id(258));
        assert_eq!(framed.payload(SchemaType::Avro), Ok((vec![], &b"xyz"[..])));
        let value = [&[1][..], &[7; 16], b"xyz"].concat();
        let framed = Framed::read(None, &value).unwrap();
        assert_eq!(framed.schema, SchemaIdentifier::Guid(GUID));
        assert_eq!(framed.payload(SchemaType::Json), Ok((vec![], &b"xyz"[..])));
    }

    #[test]
    fn a_header_counts_more_than_what_the_value_begins_with() {
        let header = [&[1][..], &[7; 16], &[4, 2, 0]].concat();
        let framed = Framed::read(Some(&header), b"\0\0\0\0\x01").unwrap();
        assert_eq!(framed.schema, SchemaIdentifier::Guid(GUID));
        assert_eq!(framed.payload(SchemaType::Protobuf), Ok((vec![1, 0], &b"\0\0\0\0\x01"[..])));
        assert_eq!(Framed::read(Some(b""), b"\0\0\0\0\x01"), Err(FrameError::TooShort(0)));
    }

    #[test]
    fn indexes_of_protobuf_messages_are_read_in_both_forms() {
        for (bytes, expected) in [
            (&[0, 9][..], Ok((vec![0], &[9][..]))),
            (&[2, 0, 9], Ok((vec![0], &[9]))),
            (&[6, 2, 4, 0x80, 2, 9], Ok((vec![1, 2, 128], &[9]))),
            (&[], Err(FrameError::InvalidIndexes)),
            (&[1], Err(FrameError::InvalidIndexes)),
            (&[4, 2], Err(FrameError::InvalidIndexes)),
            (&[0xfe, 0xff, 0xff, 0xff, 0x0f], Err(FrameError::InvalidIndexes)),
            (&[0xff; 9], Err(FrameError::InvalidIndexes)),
        ] {
            let value = [&[0, 0, 0, 0, 1][..], bytes].concat();
            assert_eq!(Framed::read(None, &value).unwrap().payload(SchemaType::Protobuf), expected);
        }
    }

    #[test]
    fn written_frames_are_read_again() {
        for (schema, schema_type, indexes) in [
            (SchemaIdentifier::Id(5), SchemaType::Avro, vec![]),
            (SchemaIdentifier::Id(5), SchemaType::Protobuf, vec![0]),
            (SchemaIdentifier::Guid(GUID), SchemaType::Protobuf, vec![2, 0, 300]),
        ] {
            let bytes = frame(schema, schema_type, &indexes);
            let framed = Framed::read(None, &bytes).unwrap();
            assert_eq!((framed.schema, framed.payload(schema_type)), (schema, Ok((indexes, &[][..]))));
        }
        assert_eq!(frame(SchemaIdentifier::Id(1), SchemaType::Protobuf, &[0]), [0, 0, 0, 0, 1, 0]);
    }

    #[test]
    fn bytes_without_an_identifier_are_refused() {
        for (bytes, expected) in [
            (&b""[..], FrameError::TooShort(0)),
            (&[0, 0, 0, 1], FrameError::TooShort(4)),
            (&[1, 0], FrameError::TooShort(2)),
            (b"{}", FrameError::UnknownMagicByte(b'{')),
        ] {
            assert_eq!(Framed::read(None, bytes), Err(expected));
        }
    }
}
