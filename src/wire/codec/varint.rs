//! Variable-length integers in the encoding of Protocol Buffers: seven bits per byte, lowest first; the top bit means
//! that more bytes follow.
//!
//! Lengths, tags and the frames of metadata records are unsigned. Integers in record batches are zig-zag encoded (0, -1,
//! 1, -2, … as 0, 1, 2, 3, …).

use bytes::BufMut;

/// The maximum number of bytes that [`put_varint`] and [`put_uvarint`] write.
pub const MAX_VARINT: usize = 5;
/// The maximum number of bytes that [`put_varlong`] writes.
pub const MAX_VARLONG: usize = 10;

/// Reads an unsigned varint from the front of `bytes`. `None` if it is truncated or doesn't fit a u32.
#[inline]
pub fn take_uvarint(bytes: &mut &[u8]) -> Option<u32> {
    u32::try_from(take_unsigned(bytes, MAX_VARINT)?).ok()
}

/// Reads a varint from the front of `bytes`. `None` if it is truncated or doesn't fit an i32.
#[inline]
pub fn take_varint(bytes: &mut &[u8]) -> Option<i32> {
    let raw = take_uvarint(bytes)?;
    Some((raw >> 1) as i32 ^ -((raw & 1) as i32))
}

/// Reads a varlong from the front of `bytes`. `None` if it is truncated or doesn't fit an i64.
#[inline]
pub fn take_varlong(bytes: &mut &[u8]) -> Option<i64> {
    let raw = take_unsigned(bytes, MAX_VARLONG)?;
    Some((raw >> 1) as i64 ^ -((raw & 1) as i64))
}

/// Has a fast path for one and two bytes, because most integers in records are that short.
#[inline]
fn take_unsigned(bytes: &mut &[u8], max_len: usize) -> Option<u64> {
    match **bytes {
        [first, ref rest @ ..] if first < 0x80 => {
            *bytes = rest;
            Some(u64::from(first))
        }
        [first, second, ref rest @ ..] if second < 0x80 => {
            *bytes = rest;
            Some(u64::from(first & 0x7f) | u64::from(second) << 7)
        }
        _ => take_long_unsigned(bytes, max_len),
    }
}

fn take_long_unsigned(bytes: &mut &[u8], max_len: usize) -> Option<u64> {
    let mut value = 0u64;
    for (i, &byte) in bytes.iter().take(max_len).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shift = 7 * i as u32;
        if bits << shift >> shift != bits {
            return None;
        }
        value |= bits << shift;
        if byte < 0x80 {
            *bytes = bytes.get(i + 1..)?;
            return Some(value);
        }
    }
    None
}

/// Appends an unsigned varint.
pub fn put_uvarint(out: &mut impl BufMut, value: u32) {
    put_unsigned(out, u64::from(value));
}

/// Appends a varint.
pub fn put_varint(out: &mut impl BufMut, value: i32) {
    put_unsigned(out, u64::from(((value << 1) ^ (value >> 31)) as u32));
}

/// Appends a varlong.
pub fn put_varlong(out: &mut impl BufMut, value: i64) {
    put_unsigned(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn put_unsigned(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// The number of bytes that [`put_varint`] writes for `value`.
pub fn varint_len(value: i32) -> usize {
    unsigned_len(u64::from(((value << 1) ^ (value >> 31)) as u32))
}

/// The number of bytes that [`put_varlong`] writes for `value`.
pub fn varlong_len(value: i64) -> usize {
    unsigned_len(((value << 1) ^ (value >> 63)) as u64)
}

fn unsigned_len(value: u64) -> usize {
    (64 - (value | 1).leading_zeros() as usize).div_ceil(7)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_int(value: i32, expect: &[u8]) {
        let mut out = Vec::new();
        put_varint(&mut out, value);
        assert_eq!(out, expect);
        assert_eq!(varint_len(value), expect.len());
        let mut rest = &out[..];
        assert_eq!(take_varint(&mut rest), Some(value));
        assert!(rest.is_empty());
        for end in 0..out.len() {
            assert_eq!(take_varint(&mut &out[..end]), None);
        }
    }

    fn check_long(value: i64) {
        let mut out = Vec::new();
        put_varlong(&mut out, value);
        assert_eq!(varlong_len(value), out.len());
        assert_eq!(take_varlong(&mut &out[..]), Some(value));
    }

    #[test]
    fn varints_are_zig_zag_encoded() {
        check_int(0, &[0x00]);
        check_int(-1, &[0x01]);
        check_int(1, &[0x02]);
        check_int(63, &[0x7e]);
        check_int(-64, &[0x7f]);
        check_int(64, &[0x80, 0x01]);
        check_int(8191, &[0xfe, 0x7f]);
        check_int(i32::MAX, &[0xfe, 0xff, 0xff, 0xff, 0x0f]);
        check_int(i32::MIN, &[0xff, 0xff, 0xff, 0xff, 0x0f]);
    }

    #[test]
    fn varlongs_round_trip() {
        for shift in 0..64 {
            check_long(1 << shift);
            check_long(-(1 << shift.min(62)));
        }
        check_long(i64::MIN);
        check_long(i64::MAX);
    }

    #[test]
    fn unsigned_varints_are_not_zig_zag_encoded() {
        for (value, expect) in
            [(0, &[0][..]), (127, &[0x7f]), (300, &[0xac, 0x02]), (u32::MAX, &[0xff, 0xff, 0xff, 0xff, 0x0f])]
        {
            let mut out = Vec::new();
            put_uvarint(&mut out, value);
            assert_eq!(out, expect);
            assert_eq!(take_uvarint(&mut &out[..]), Some(value));
        }
    }

    #[test]
    fn varint_that_is_too_long_or_too_large_is_rejected() {
        assert_eq!(take_varint(&mut &[0x80, 0x80, 0x80, 0x80, 0x80, 0x00][..]), None);
        assert_eq!(take_varint(&mut &[0xff, 0xff, 0xff, 0xff, 0x1f][..]), None);
        assert_eq!(take_varlong(&mut &[0xff; 11][..]), None);
        assert_eq!(take_varlong(&mut &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02][..]), None);
    }
}
