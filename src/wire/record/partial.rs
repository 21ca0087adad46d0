//! Parsing of large records in pieces while their batch is expanded, without keeping keys and values in memory.

use super::compress::{CHUNK, Codec, Expansion};
use super::error::RecordError;
use super::parse::{RawRecord, body_len, take_body};
use crate::codec::varint::{take_varint, take_varlong};

/// The maximum size of a number in a record, which a timestamp has, in bytes.
const MAX_NUMBER_SIZE: usize = 10;

/// The fields of a record without key, value and headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordHead {
    pub timestamp_delta: i64,
    pub offset_delta: i32,
    pub has_key: bool,
}

impl From<&RawRecord<'_>> for RecordHead {
    fn from(record: &RawRecord<'_>) -> RecordHead {
        let RawRecord { timestamp_delta, offset_delta, .. } = *record;
        RecordHead { timestamp_delta, offset_delta, has_key: record.key.is_some() }
    }
}

/// The state of parsing an incomplete record. Checks the same as [`RawRecord::parse`].
#[derive(Debug)]
pub struct PartialRecord {
    head: RecordHead,
    /// Bytes of the body that are not parsed yet.
    left: usize,
    at: Field,
    headers_left: i32,
}

/// The next field; a number is the field's remaining bytes.
#[derive(Clone, Copy, Debug)]
enum Field {
    Attributes,
    Timestamp,
    Offset,
    KeyLength,
    Key(usize),
    ValueLength,
    Value(usize),
    HeaderCount,
    HeaderKeyLength,
    HeaderKey(usize),
    HeaderValueLength,
    HeaderValue(usize),
    End,
}

impl PartialRecord {
    /// Starts to parse the record at the front of `bytes`, if it is larger than a piece of expanded bytes. Smaller ones are
    /// complete with the next piece.
    pub fn begin(bytes: &mut &[u8]) -> Option<PartialRecord> {
        let left = body_len(bytes).filter(|len| *len > CHUNK)?;
        take_varint(bytes)?;
        Some(PartialRecord { head: RecordHead::default(), left, at: Field::Attributes, headers_left: 0 })
    }

    /// Parses more of the record from the front of `bytes`; returns its head once it is complete. Then the rest of `bytes`
    /// belongs to the next record; before that, the rest is shorter than a number.
    pub fn feed(&mut self, bytes: &mut &[u8]) -> Result<Option<RecordHead>, RecordError> {
        while !matches!(self.at, Field::End) {
            if !self.take_field(bytes)? {
                return Ok(None);
            }
        }
        match self.left {
            0 => Ok(Some(self.head)),
            _ => Err(invalid("it is longer than its fields")),
        }
    }

    /// Parses the next field as far as possible; returns whether it is complete.
    fn take_field(&mut self, bytes: &mut &[u8]) -> Result<bool, RecordError> {
        let next = match self.at {
            Field::Attributes => match self.skip(1, bytes) {
                0 => Field::Timestamp,
                _ => return Ok(false),
            },
            Field::Timestamp => match self.number(bytes, take_varlong, "its timestamp is cut short")? {
                Some(delta) => {
                    self.head.timestamp_delta = delta;
                    Field::Offset
                }
                None => return Ok(false),
            },
            Field::Key(len) => return self.skip_to(len, bytes, Field::Key, Field::ValueLength),
            Field::Value(len) => return self.skip_to(len, bytes, Field::Value, Field::HeaderCount),
            Field::HeaderKey(len) => return self.skip_to(len, bytes, Field::HeaderKey, Field::HeaderValueLength),
            Field::HeaderValue(len) => match self.skip(len, bytes) {
                0 => self.next_header(),
                missing => {
                    self.at = Field::HeaderValue(missing);
                    return Ok(false);
                }
            },
            Field::End => Field::End,
            numbered => match self.number(bytes, take_varint, numbered.cut_short())? {
                Some(number) => self.after_number(number)?,
                None => return Ok(false),
            },
        };
        self.at = next;
        Ok(true)
    }

    /// Handles a number, and determines the next field.
    fn after_number(&mut self, number: i32) -> Result<Field, RecordError> {
        // As Kafka reads it, any negative length is null.
        let len = usize::try_from(number);
        if len.is_ok_and(|len| len > self.left) && !matches!(self.at, Field::Offset | Field::HeaderCount) {
            return Err(invalid(self.at.cut_short()));
        }
        Ok(match self.at {
            Field::Offset => {
                self.head.offset_delta = number;
                Field::KeyLength
            }
            Field::KeyLength => {
                self.head.has_key = len.is_ok();
                Field::Key(len.unwrap_or(0))
            }
            Field::ValueLength => Field::Value(len.unwrap_or(0)),
            Field::HeaderCount if number < 0 => return Err(invalid("its header count is negative")),
            Field::HeaderCount => {
                self.headers_left = number;
                self.next_header()
            }
            Field::HeaderKeyLength => Field::HeaderKey(len.map_err(|_| invalid("a header's key is null"))?),
            _ => Field::HeaderValue(len.unwrap_or(0)),
        })
    }

    /// Determines the next field before a header: the header's key, or the end after the last one.
    fn next_header(&mut self) -> Field {
        if self.headers_left == 0 {
            return Field::End;
        }
        self.headers_left -= 1;
        Field::HeaderKeyLength
    }

    /// Skips `len` bytes as far as available.
    fn skip_to(
        &mut self,
        len: usize,
        bytes: &mut &[u8],
        here: fn(usize) -> Field,
        next: Field,
    ) -> Result<bool, RecordError> {
        let missing = self.skip(len, bytes);
        self.at = if missing == 0 { next } else { here(missing) };
        Ok(missing == 0)
    }

    /// Skips up to `len` bytes; returns how many are missing.
    fn skip(&mut self, len: usize, bytes: &mut &[u8]) -> usize {
        let there = len.min(bytes.len()).min(self.left);
        *bytes = bytes.get(there..).unwrap_or_default();
        self.left -= there;
        len - there
    }

    /// Reads a number, which must end within the record; `None` if more bytes are needed.
    fn number<T>(
        &mut self,
        bytes: &mut &[u8],
        take: fn(&mut &[u8]) -> Option<T>,
        cut_short: &'static str,
    ) -> Result<Option<T>, RecordError> {
        let window = bytes.get(..bytes.len().min(self.left)).unwrap_or_default();
        let mut rest = window;
        match take(&mut rest) {
            Some(number) => {
                self.skip(window.len() - rest.len(), bytes);
                Ok(Some(number))
            }
            None if window.len() < self.left && window.len() < MAX_NUMBER_SIZE => Ok(None),
            None => Err(invalid(cut_short)),
        }
    }
}

impl Field {
    fn cut_short(self) -> &'static str {
        match self {
            Field::Attributes | Field::Timestamp => "its timestamp is cut short",
            Field::Offset => "its offset is cut short",
            Field::KeyLength | Field::Key(_) => "its key is cut short",
            Field::ValueLength | Field::Value(_) => "its value is cut short",
            Field::HeaderCount | Field::End => "its header count is cut short",
            Field::HeaderKeyLength | Field::HeaderKey(_) => "a header's key is cut short",
            Field::HeaderValueLength | Field::HeaderValue(_) => "a header's value is cut short",
        }
    }
}

#[cold]
fn invalid(why: &str) -> RecordError {
    RecordError::invalid(format!("invalid record: {why}"))
}

/// Reads the heads of a batch's records while it is expanded in pieces.
pub struct RecordHeads<'a> {
    expansion: Expansion<'a>,
    plain: Vec<u8>,
    large: Option<PartialRecord>,
}

impl<'a> RecordHeads<'a> {
    /// Starts to expand a stream to at most `limit` bytes.
    pub fn new(codec: Codec, compressed: &'a [u8], limit: usize) -> Result<RecordHeads<'a>, RecordError> {
        let expansion = Expansion::new(codec, compressed, limit)?;
        Ok(RecordHeads { expansion, plain: Vec::new(), large: None })
    }

    /// Calls `found` with up to `count` heads in order, until it returns `Some`.
    pub fn find<T>(
        mut self,
        count: i32,
        mut found: impl FnMut(RecordHead) -> Option<T>,
    ) -> Result<Option<T>, RecordError> {
        let mut left = count;
        while left > 0 {
            if self.expansion.read_more(&mut self.plain)? == 0 {
                return Err(RecordError::invalid("the batch ends before its last record"));
            }
            let mut rest = &self.plain[..];
            while left > 0 {
                let Some(head) = next_head(&mut self.large, &mut rest)? else { break };
                if let Some(wanted) = found(head) {
                    return Ok(Some(wanted));
                }
                left -= 1;
            }
            let kept = rest.len();
            self.plain.drain(..self.plain.len() - kept);
        }
        Ok(None)
    }
}

/// Reads the next complete record, or as much as is available of a large one.
fn next_head(large: &mut Option<PartialRecord>, bytes: &mut &[u8]) -> Result<Option<RecordHead>, RecordError> {
    if large.is_none() {
        if let Some(body) = take_body(bytes)? {
            return Ok(Some(RecordHead::from(&RawRecord::parse(body)?)));
        }
        *large = PartialRecord::begin(bytes);
    }
    let head = large.as_mut().map(|record| record.feed(bytes)).transpose()?.flatten();
    if head.is_some() {
        *large = None;
    }
    Ok(head)
}

#[cfg(test)]
mod tests {
    use super::super::parse::put_record;
    use super::*;

    /// Checks that a record is parsed in pieces with the same result as a whole.
    fn check(body: &[u8], expect: Result<RecordHead, &str>) {
        let whole = RawRecord::parse(body).map(|record| RecordHead::from(&record)).map_err(|error| error.to_string());
        assert_eq!(whole.as_ref().map_err(String::as_str), expect.as_ref().map_err(|error| *error));
        for piece in [1, 2, 7, 1000, CHUNK, body.len()] {
            let mut record =
                PartialRecord { head: RecordHead::default(), left: body.len(), at: Field::Attributes, headers_left: 0 };
            let mut window = Vec::new();
            let mut outcome = Ok(None);
            for bytes in body.chunks(piece) {
                window.extend_from_slice(bytes);
                let mut rest = &window[..];
                outcome = record.feed(&mut rest).map_err(|error| error.to_string());
                window = rest.to_vec();
                assert!(window.len() < MAX_NUMBER_SIZE || outcome.is_err());
                if !matches!(outcome, Ok(None)) {
                    break;
                }
            }
            let outcome = outcome.map(|head| head.expect("is whole"));
            assert_eq!(outcome.as_ref().map_err(String::as_str), expect.as_ref().map_err(|error| *error), "{piece}");
        }
    }

    fn body(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[(&[u8], Option<&[u8]>)]) -> Vec<u8> {
        let mut out = Vec::new();
        put_record(&mut out, 1 << 40, 300, key, value, headers.iter().copied());
        let mut rest = &out[..];
        take_body(&mut rest).expect("a record").expect("whole").to_vec()
    }

    #[test]
    fn record_in_pieces_is_parsed_like_a_whole_one() {
        let head = |has_key| Ok(RecordHead { timestamp_delta: 1 << 40, offset_delta: 300, has_key });
        let large = vec![7; 3 * CHUNK];
        check(&body(None, Some(&large), &[]), head(false));
        check(&body(Some(&large), None, &[]), head(true));
        check(&body(Some(b""), Some(&large), &[(b"a", None), (b"", Some(&large))]), head(true));
    }

    #[test]
    fn invalid_record_in_pieces_is_rejected_like_a_whole_one() {
        let good = body(Some(b"key"), Some(&vec![7; 2 * CHUNK]), &[(b"a", Some(b"b"))]);
        let cut = |len: usize| good.get(..len).unwrap_or_default().to_vec();
        check(&cut(3), Err("invalid record: its timestamp is cut short"));
        check(&cut(9), Err("invalid record: its key is cut short"));
        check(&cut(CHUNK), Err("invalid record: its value is cut short"));
        check(&cut(good.len() - 5), Err("invalid record: its header count is cut short"));
        check(&cut(good.len() - 3), Err("invalid record: a header's key is cut short"));
        check(&cut(good.len() - 1), Err("invalid record: a header's value is cut short"));
        check(&[&good[..], &[0]].concat(), Err("invalid record: it is longer than its fields"));
        let mut negative = good.clone();
        let at = negative.len() - 5;
        negative[at] = 1;
        check(&negative, Err("invalid record: its header count is negative"));
        let mut null_key = good;
        let at = null_key.len() - 4;
        null_key[at] = 1;
        check(&null_key, Err("invalid record: a header's key is null"));
    }
}
