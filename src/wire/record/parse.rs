//! The encoding of one record of a v2 batch: `varint length`, then the body
//! `i8 attributes, varlong timestamp delta, varint offset delta, varint key length, key,
//! varint value length, value, varint header count, headers`; a length of -1 means null.

use super::error::RecordError;
use crate::codec::varint::{MAX_VARINT, put_varint, put_varlong, take_varint, take_varlong, varint_len, varlong_len};

/// A record's fields as slices of its body; all headers are checked.
#[derive(Clone, Copy, Debug)]
pub struct RawRecord<'a> {
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    header_count: i32,
    headers: &'a [u8],
}

/// A header's key and value as slices.
pub type RawHeader<'a> = (&'a [u8], Option<&'a [u8]>);

/// Reads one record's body from the front of `bytes`. Returns `None` and leaves `bytes` unchanged if the record is
/// truncated.
#[inline]
pub fn take_body<'a>(bytes: &mut &'a [u8]) -> Result<Option<&'a [u8]>, RecordError> {
    let mut rest = *bytes;
    let Some(length) = take_varint(&mut rest) else {
        return if bytes.len() < MAX_VARINT { Ok(None) } else { Err(invalid("its length is no varint")) };
    };
    let length = usize::try_from(length).map_err(|_| invalid("its length is negative"))?;
    let Some((body, rest)) = rest.split_at_checked(length) else { return Ok(None) };
    *bytes = rest;
    Ok(Some(body))
}

/// The body length of the record at the front of `bytes`; `None` if the length is truncated or invalid.
pub fn body_len(mut bytes: &[u8]) -> Option<usize> {
    usize::try_from(take_varint(&mut bytes)?).ok()
}

impl<'a> RawRecord<'a> {
    /// A record with the fields of a message of format 0 or 1, which has no headers.
    pub(super) fn without_headers(key: Option<&'a [u8]>, value: Option<&'a [u8]>) -> RawRecord<'a> {
        RawRecord { timestamp_delta: 0, offset_delta: 0, key, value, header_count: 0, headers: &[] }
    }

    /// Parses a whole record body. `Invalid` if a field doesn't fit in it, or bytes are left over.
    #[inline]
    pub fn parse(body: &'a [u8]) -> Result<RawRecord<'a>, RecordError> {
        let Some((_attributes, mut rest)) = body.split_first() else { return Err(invalid("it is empty")) };
        let timestamp_delta = take_varlong(&mut rest).ok_or_else(|| invalid("its timestamp is cut short"))?;
        let offset_delta = take_varint(&mut rest).ok_or_else(|| invalid("its offset is cut short"))?;
        let key = take_nullable(&mut rest).ok_or_else(|| invalid("its key is cut short"))?;
        let value = take_nullable(&mut rest).ok_or_else(|| invalid("its value is cut short"))?;
        let header_count = take_varint(&mut rest).ok_or_else(|| invalid("its header count is cut short"))?;
        if header_count < 0 {
            return Err(invalid("its header count is negative"));
        }
        let headers = rest;
        for _ in 0..header_count {
            take_header(&mut rest)?;
        }
        if !rest.is_empty() {
            return Err(invalid("it is longer than its fields"));
        }
        Ok(RawRecord { timestamp_delta, offset_delta, key, value, header_count, headers })
    }

    /// The headers, in order.
    pub fn headers(&self) -> impl ExactSizeIterator<Item = RawHeader<'a>> + Clone + use<'a> {
        let mut rest = self.headers;
        // `parse` has checked them all.
        (0..self.header_count).map(move |_| take_header(&mut rest).unwrap_or((&[], None)))
    }
}

fn take_header<'a>(bytes: &mut &'a [u8]) -> Result<RawHeader<'a>, RecordError> {
    let key = take_nullable(bytes).ok_or_else(|| invalid("a header's key is cut short"))?;
    let key = key.ok_or_else(|| invalid("a header's key is null"))?;
    let value = take_nullable(bytes).ok_or_else(|| invalid("a header's value is cut short"))?;
    Ok((key, value))
}

/// Reads a length and that many bytes; any negative length is null, as in Kafka.
#[inline]
fn take_nullable<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let Ok(length) = usize::try_from(take_varint(bytes)?) else { return Some(None) };
    let (field, rest) = bytes.split_at_checked(length)?;
    *bytes = rest;
    Some(Some(field))
}

/// Appends a record to `out`.
///
/// The caller limits the sizes: lengths beyond `i32::MAX` would be truncated. The length field of a batch has the same
/// limit.
pub fn put_record<'a>(
    out: &mut Vec<u8>,
    timestamp_delta: i64,
    offset_delta: i32,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    headers: impl ExactSizeIterator<Item = RawHeader<'a>> + Clone,
) {
    let header_bytes: usize = headers.clone().map(|(k, v)| nullable_len(Some(k)) + nullable_len(v)).sum();
    let body = 1
        + varlong_len(timestamp_delta)
        + varint_len(offset_delta)
        + nullable_len(key)
        + nullable_len(value)
        + varint_len(headers.len() as i32)
        + header_bytes;
    out.reserve(MAX_VARINT + body);
    put_varint(out, body as i32);
    out.push(0);
    put_varlong(out, timestamp_delta);
    put_varint(out, offset_delta);
    put_nullable(out, key);
    put_nullable(out, value);
    put_varint(out, headers.len() as i32);
    for (key, value) in headers {
        put_nullable(out, Some(key));
        put_nullable(out, value);
    }
}

fn nullable_len(field: Option<&[u8]>) -> usize {
    field.map_or(varint_len(-1), |bytes| varint_len(bytes.len() as i32) + bytes.len())
}

fn put_nullable(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => put_varint(out, -1),
        Some(bytes) => {
            put_varint(out, bytes.len() as i32);
            out.extend_from_slice(bytes);
        }
    }
}

#[cold]
fn invalid(why: &str) -> RecordError {
    RecordError::invalid(format!("invalid record: {why}"))
}
