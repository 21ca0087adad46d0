//! Protobuf's wire format: fields of a message, one after the other.

/// The deepest nesting of groups that is skipped. Nobody writes groups any more.
const MAX_GROUP_DEPTH: usize = 8;

/// A message that cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("a field of the message is cut short")]
    CutShort,
    #[error("a number of the message has more than 64 bits")]
    LongNumber,
    #[error("a field of the message has an unknown wire type")]
    WireType,
    #[error("a text of the message is not UTF-8")]
    NotUtf8,
}

/// A field's value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum FieldValue<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// A text, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
}

impl<'a> FieldValue<'a> {
    /// The bytes; empty if the field has another type, which the schema does not allow.
    pub fn bytes(self) -> &'a [u8] {
        match self {
            FieldValue::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    /// The text.
    pub fn text(self) -> Result<&'a str, Malformed> {
        std::str::from_utf8(self.bytes()).map_err(|_| Malformed::NotUtf8)
    }

    /// The number; 0 if the field has another type.
    pub fn number(self) -> u64 {
        match self {
            FieldValue::Varint(number) | FieldValue::Fixed64(number) => number,
            FieldValue::Fixed32(number) => number.into(),
            FieldValue::Bytes(_) => 0,
        }
    }
}

/// The fields of a message with their numbers. Groups are skipped.
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub fn new(message: &'a [u8]) -> Fields<'a> {
        Fields { rest: message }
    }

    fn read(&mut self) -> Result<Option<(u32, FieldValue<'a>)>, Malformed> {
        let mut depth = 0;
        while !self.rest.is_empty() {
            let key = self.varint()?;
            let number = u32::try_from(key >> 3).map_err(|_| Malformed::LongNumber)?;
            let value = match key & 7 {
                0 => FieldValue::Varint(self.varint()?),
                1 => FieldValue::Fixed64(u64::from_le_bytes(self.array()?)),
                2 => {
                    let len = usize::try_from(self.varint()?).map_err(|_| Malformed::CutShort)?;
                    FieldValue::Bytes(self.take(len)?)
                }
                3 if depth < MAX_GROUP_DEPTH => {
                    depth += 1;
                    continue;
                }
                4 if depth > 0 => {
                    depth -= 1;
                    continue;
                }
                5 => FieldValue::Fixed32(u32::from_le_bytes(self.array()?)),
                _ => return Err(Malformed::WireType),
            };
            if depth == 0 {
                return Ok(Some((number, value)));
            }
        }
        if depth > 0 { Err(Malformed::CutShort) } else { Ok(None) }
    }

    fn varint(&mut self) -> Result<u64, Malformed> {
        let mut number = 0;
        for (shift, byte) in (0..70).step_by(7).zip(self.rest) {
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return Err(Malformed::LongNumber);
            }
            number |= bits << shift;
            if byte & 0x80 == 0 {
                self.rest = self.rest.get(shift / 7 + 1..).unwrap_or_default();
                return Ok(number);
            }
        }
        Err(if self.rest.len() < 10 { Malformed::CutShort } else { Malformed::LongNumber })
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(Malformed::CutShort)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        self.take(N)?.try_into().map_err(|_| Malformed::CutShort)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, FieldValue<'a>), Malformed>;

    /// The next field. After an error there are no more.
    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read().transpose();
        if matches!(read, Some(Err(_))) {
            self.rest = &[];
        }
        read
    }
}

/// Writes a message. A field with its default value is left out, as in proto3.
#[derive(Clone, Debug, Default)]
pub struct Message(Vec<u8>);

impl Message {
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn key(&mut self, field: u32, wire_type: u64) {
        self.varint(u64::from(field) << 3 | wire_type);
    }

    fn varint(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.0.push(number.to_le_bytes()[0]);
    }

    /// Bytes, also if they are empty: inside a `oneof` that differs from an absent field.
    pub fn bytes(&mut self, field: u32, bytes: &[u8]) -> &mut Self {
        self.key(field, 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn text(&mut self, field: u32, text: &str) -> &mut Self {
        self.bytes(field, text.as_bytes())
    }

    pub fn message(&mut self, field: u32, write: impl FnOnce(&mut Message)) -> &mut Self {
        let mut inner = Message::default();
        write(&mut inner);
        self.bytes(field, &inner.0)
    }

    pub fn number(&mut self, field: u32, number: u64) -> &mut Self {
        self.key(field, 0);
        self.varint(number);
        self
    }

    pub fn fixed64(&mut self, field: u32, number: u64) -> &mut Self {
        self.key(field, 1);
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    pub fn fixed32(&mut self, field: u32, number: u32) -> &mut Self {
        self.key(field, 5);
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// Appends fields that are written already.
    pub fn raw(&mut self, fields: &[u8]) -> &mut Self {
        self.0.extend_from_slice(fields);
        self
    }

    /// A `KeyValue` of OTLP with a text.
    pub fn attribute(&mut self, field: u32, key: &str, value: &str) -> &mut Self {
        self.message(field, |pair| {
            pair.text(1, key).message(2, |any| {
                any.text(1, value);
            });
        })
    }

    /// A `KeyValue` of OTLP with a number.
    pub fn number_attribute(&mut self, field: u32, key: &str, value: i64) -> &mut Self {
        self.message(field, |pair| {
            pair.text(1, key).message(2, |any| {
                any.number(3, value.cast_unsigned());
            });
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(message: &[u8]) -> Result<Vec<(u32, FieldValue<'_>)>, Malformed> {
        Fields::new(message).collect()
    }

    #[test]
    fn written_fields_are_read() {
        let mut message = Message::default();
        message.text(1, "a").number(2, u64::MAX).fixed64(3, 7).fixed32(4, 8).message(300, |inner| {
            inner.number(1, 300);
        });
        let bytes = message.into_bytes();
        let expect = vec![
            (1, FieldValue::Bytes(b"a")),
            (2, FieldValue::Varint(u64::MAX)),
            (3, FieldValue::Fixed64(7)),
            (4, FieldValue::Fixed32(8)),
            (300, FieldValue::Bytes(&[8, 0xac, 2])),
        ];
        assert_eq!(fields(&bytes), Ok(expect));
    }

    #[test]
    fn groups_are_skipped() {
        assert_eq!(fields(&[0x0b, 0x10, 1, 0x0c, 0x10, 5]), Ok(vec![(2, FieldValue::Varint(5))]));
        assert_eq!(fields(&[0x0b, 0x10, 1]), Err(Malformed::CutShort));
        assert_eq!(fields(&[0x0b; 9]), Err(Malformed::WireType));
    }

    #[test]
    fn malformed_messages_are_refused() {
        let check = |message: &[u8], expect| assert_eq!(fields(message), Err(expect), "{message:?}");
        check(&[0x0a, 2, 1], Malformed::CutShort);
        check(&[0x08], Malformed::CutShort);
        check(&[0x08, 0x80], Malformed::CutShort);
        check(&[0x09, 1, 2, 3], Malformed::CutShort);
        check(&[0x0c], Malformed::WireType);
        check(&[0x0e], Malformed::WireType);
        check(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2], Malformed::LongNumber);
        check(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1], Malformed::CutShort);
    }
}
