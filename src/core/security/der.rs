//! Elements of DER, the binary encoding of keys and certificates.

pub const BIT_STRING: u8 = 0x03;
pub const OCTET_STRING: u8 = 0x04;
pub const OBJECT_IDENTIFIER: u8 = 0x06;
pub const SEQUENCE: u8 = 0x30;

/// Reads one element with this tag. Returns its content and what follows it.
pub fn read(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = input.split_first_chunk()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// Writes one element.
pub fn write(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let length = length.iter().position(|byte| *byte != 0).and_then(|first| length.get(first..)).unwrap_or(&[0]);
    let mut element = vec![tag];
    if content.len() > 0x7f {
        element.push(0x80 | length.len() as u8);
    }
    element.extend_from_slice(length);
    element.extend_from_slice(content);
    element
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn element_is_read_with_short_and_long_length() {
        assert_eq!(read(&[4, 2, 7, 8, 9], OCTET_STRING), Some((&[7, 8][..], &[9][..])));
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let content = vec![7; length];
            assert_eq!(read(&write(OCTET_STRING, &content), OCTET_STRING), Some((&content[..], &[][..])));
        }
        assert_eq!(read(&[4, 0x81, 1, 7], OCTET_STRING), Some((&[7][..], &[][..])));
        for damaged in [&[4][..], &[4, 2, 7], &[4, 0x80, 7], &[4, 0x85, 0, 0, 0, 0, 1, 7], &[5, 1, 7]] {
            assert_eq!(read(damaged, OCTET_STRING), None, "{damaged:?}");
        }
    }
}
