//! Variable-length integers: seven bits a byte, lowest first, the top bit saying "more follows".
//!
//! Kafka uses the unsigned form for lengths, tags and record frames, and the zigzag form (0, -1, 1,
//! -2, … as 0, 1, 2, 3, …) inside record batches.

use bytes::BufMut;

/// The most bytes a 32-bit value takes.
pub const MAX_BYTES_32: usize = 5;
/// The most bytes a 64-bit value takes.
pub const MAX_BYTES_64: usize = 10;

/// Reads an unsigned 32-bit value off the front of `input`: the value and how many bytes it took.
/// `None` when the input ends inside it or it does not fit 32 bits.
pub fn read_u32(input: &[u8]) -> Option<(u32, usize)> {
    let (value, size) = read_bits(input, MAX_BYTES_32)?;
    Some((u32::try_from(value).ok()?, size))
}

/// Reads an unsigned 64-bit value, as [`read_u32`] does.
pub fn read_u64(input: &[u8]) -> Option<(u64, usize)> {
    read_bits(input, MAX_BYTES_64)
}

/// Reads a zigzag 32-bit value, as [`read_u32`] does.
pub fn read_i32(input: &[u8]) -> Option<(i32, usize)> {
    read_u32(input).map(|(value, size)| (unzigzag_32(value), size))
}

/// Reads a zigzag 64-bit value, as [`read_u32`] does.
pub fn read_i64(input: &[u8]) -> Option<(i64, usize)> {
    read_u64(input).map(|(value, size)| (unzigzag_64(value), size))
}

/// Writes an unsigned 32-bit value.
pub fn put_u32(out: &mut impl BufMut, value: u32) {
    put_u64(out, u64::from(value));
}

/// Writes an unsigned 64-bit value.
pub fn put_u64(out: &mut impl BufMut, mut value: u64) {
    while value >= 0x80 {
        out.put_u8(value as u8 | 0x80);
        value >>= 7;
    }
    out.put_u8(value as u8);
}

/// Writes a zigzag 32-bit value.
pub fn put_i32(out: &mut impl BufMut, value: i32) {
    put_u32(out, zigzag_32(value));
}

/// Writes a zigzag 64-bit value.
pub fn put_i64(out: &mut impl BufMut, value: i64) {
    put_u64(out, zigzag_64(value));
}

/// How many bytes an unsigned value takes.
pub const fn size_u64(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// How many bytes a zigzag 32-bit value takes.
pub const fn size_i32(value: i32) -> usize {
    size_u64(zigzag_32(value) as u64)
}

/// How many bytes a zigzag 64-bit value takes.
pub const fn size_i64(value: i64) -> usize {
    size_u64(zigzag_64(value))
}

fn read_bits(input: &[u8], max_bytes: usize) -> Option<(u64, usize)> {
    let mut value = 0u64;
    for (index, &byte) in input.iter().take(max_bytes).enumerate() {
        let bits = u64::from(byte & 0x7f);
        let shifted = bits << (7 * index);
        if shifted >> (7 * index) != bits {
            return None;
        }
        value |= shifted;
        if byte < 0x80 {
            return Some((value, index + 1));
        }
    }
    None
}

const fn zigzag_32(value: i32) -> u32 {
    ((value << 1) ^ (value >> 31)) as u32
}

const fn zigzag_64(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

const fn unzigzag_32(value: u32) -> i32 {
    (value >> 1) as i32 ^ -((value & 1) as i32)
}

const fn unzigzag_64(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_unsigned(value: u64, expect: &[u8]) {
        let mut out = Vec::new();
        put_u64(&mut out, value);
        assert_eq!(out, expect);
        assert_eq!(size_u64(value), expect.len());
        assert_eq!(read_u64(&out), Some((value, out.len())));
        for cut in 0..out.len() {
            assert_eq!(read_u64(&out[..cut]), None, "{cut} bytes of {value}");
        }
    }

    #[test]
    fn unsigned_values_take_seven_bits_a_byte() {
        check_unsigned(0, &[0]);
        check_unsigned(127, &[0x7f]);
        check_unsigned(128, &[0x80, 0x01]);
        check_unsigned(300, &[0xac, 0x02]);
        check_unsigned(u64::from(u32::MAX), &[0xff, 0xff, 0xff, 0xff, 0x0f]);
        check_unsigned(u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]);
    }

    #[test]
    fn zigzag_keeps_small_magnitudes_short() {
        for value in [0, -1, 1, -64, 63, 64, i32::MIN, i32::MAX] {
            let (mut narrow, mut wide) = (Vec::new(), Vec::new());
            put_i32(&mut narrow, value);
            put_i64(&mut wide, i64::from(value));
            assert_eq!(narrow, wide);
            assert_eq!(read_i32(&narrow), Some((value, size_i32(value))));
        }
        assert_eq!((size_i32(-64), size_i32(64)), (1, 2));
        let mut out = Vec::new();
        put_i64(&mut out, i64::MIN);
        assert_eq!(read_i64(&out), Some((i64::MIN, size_i64(i64::MIN))));
    }

    #[test]
    fn values_beyond_their_width_are_refused() {
        assert_eq!(read_u32(&[0xff, 0xff, 0xff, 0xff, 0x1f]), None, "33 bits");
        assert_eq!(read_u32(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x00]), None, "six bytes");
        assert_eq!(read_u64(&[0xff; 11]), None);
        assert_eq!(read_u64(&[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02]), None, "65 bits");
    }
}
