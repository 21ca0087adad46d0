//! The wire format of Protobuf messages.

/// Maximum depth of messages in each other, as in Google's library for Java.
pub(in crate::schema::protobuf) const MAX_MESSAGE_DEPTH: usize = 100;

#[derive(Clone, Copy, Debug)]
pub(super) enum Payload<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
    /// A value that no field of descriptors has.
    Other,
}

/// Reads the fields of a message, with their numbers. Returns `None` for bytes that are no message.
pub(super) fn fields(bytes: &[u8]) -> Option<Vec<(u32, Payload<'_>)>> {
    let mut rest = bytes;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let (number, payload) = field(&mut rest, 0)?;
        fields.push((number, payload));
    }
    Some(fields)
}

fn field<'a>(rest: &mut &'a [u8], depth: usize) -> Option<(u32, Payload<'a>)> {
    let key = u32::try_from(varint(rest)?).ok()?;
    let number = key >> 3;
    if number == 0 || depth > MAX_MESSAGE_DEPTH {
        return None;
    }
    let payload = match key & 7 {
        0 => Payload::Varint(varint(rest)?),
        1 => take(rest, 8).map(|_| Payload::Other)?,
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            Payload::Bytes(take(rest, length)?)
        }
        3 => {
            skip_group(rest, number, depth + 1)?;
            Payload::Other
        }
        5 => take(rest, 4).map(|_| Payload::Other)?,
        _ => return None,
    };
    Some((number, payload))
}

fn skip_group(rest: &mut &[u8], number: u32, depth: usize) -> Option<()> {
    loop {
        let mut after = *rest;
        let key = u32::try_from(varint(&mut after)?).ok()?;
        if key & 7 == 4 {
            *rest = after;
            return (key >> 3 == number).then_some(());
        }
        field(rest, depth)?;
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(taken)
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// A message that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct MessageBuilder(Vec<u8>);

impl MessageBuilder {
    pub fn varint(&mut self, number: u32, value: u64) {
        self.raw(u64::from(number) << 3);
        self.raw(value);
    }

    /// Writes a number of 32 bits; negative ones take ten bytes.
    pub fn int(&mut self, number: u32, value: i32) {
        self.varint(number, i64::from(value).cast_unsigned());
    }

    pub fn text(&mut self, number: u32, text: &str) {
        self.bytes(number, text.as_bytes());
    }

    pub fn message(&mut self, number: u32, message: &MessageBuilder) {
        self.bytes(number, &message.0);
    }

    fn bytes(&mut self, number: u32, bytes: &[u8]) {
        self.raw(u64::from(number) << 3 | 2);
        self.raw(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
