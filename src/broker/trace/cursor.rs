//! Reads primitive values from a frame, or from what an excerpt has of one.

use crate::server::{Excerpt, Hole};
use ottla_wire::codec::varint;

/// Why reading ends before the end of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The excerpt has no more bytes.
    CutOff,
    /// The bytes are not a message of this schema.
    Invalid,
    /// The visitor has seen enough.
    Enough,
}

/// A position in a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    holes: &'a [Hole],
    at: usize,
}

impl<'a> Cursor<'a> {
    /// Reads a whole frame.
    pub fn whole(frame: &'a [u8]) -> Cursor<'a> {
        Cursor { bytes: frame, holes: &[], at: 0 }
    }

    pub fn of(excerpt: &'a Excerpt) -> Cursor<'a> {
        Cursor { bytes: excerpt.bytes(), holes: excerpt.holes(), at: 0 }
    }

    /// The number of bytes that were read, without those of holes.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The end of the bytes that are here without a hole.
    fn end(&self) -> usize {
        self.holes.first().map_or(self.bytes.len(), |hole| hole.at)
    }

    /// The next `length` bytes.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let end = self.at.checked_add(length).filter(|end| *end <= self.end()).ok_or(Stop::CutOff)?;
        let taken = self.bytes.get(self.at..end).ok_or(Stop::CutOff)?;
        self.at = end;
        Ok(taken)
    }

    /// Skips a field of `length` bytes. Returns as many of its first bytes as are here.
    pub fn field(&mut self, length: usize) -> Result<&'a [u8], Stop> {
        let here = length.min(self.end().saturating_sub(self.at));
        let start = self.take(here)?;
        let mut missing = length - here;
        if missing > 0 {
            let (hole, rest) = self.holes.split_first().ok_or(Stop::CutOff)?;
            missing = missing.checked_sub(hole.length).ok_or(Stop::Invalid)?;
            self.holes = rest;
            self.take(missing)?;
        }
        Ok(start)
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        self.take(N)?.try_into().map_err(|_| Stop::CutOff)
    }

    pub fn i16(&mut self) -> Result<i16, Stop> {
        self.array().map(i16::from_be_bytes)
    }

    pub fn i32(&mut self) -> Result<i32, Stop> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn uvarint(&mut self) -> Result<u32, Stop> {
        let before = self.bytes.get(self.at..self.end()).unwrap_or_default();
        let mut rest = before;
        match varint::take_uvarint(&mut rest) {
            Some(value) => {
                self.at += before.len() - rest.len();
                Ok(value)
            }
            None if before.len() < varint::MAX_VARINT => Err(Stop::CutOff),
            None => Err(Stop::Invalid),
        }
    }

    /// The length of a string; `None` is null.
    pub fn string_length(&mut self, flexible: bool) -> Result<Option<usize>, Stop> {
        match flexible {
            true => self.compact_length(),
            false => Ok(usize::try_from(self.i16()?).ok()),
        }
    }

    /// The length of an array or of bytes; `None` is null.
    pub fn length(&mut self, flexible: bool) -> Result<Option<usize>, Stop> {
        match flexible {
            true => self.compact_length(),
            false => Ok(usize::try_from(self.i32()?).ok()),
        }
    }

    fn compact_length(&mut self) -> Result<Option<usize>, Stop> {
        Ok((self.uvarint()? as usize).checked_sub(1))
    }
}
