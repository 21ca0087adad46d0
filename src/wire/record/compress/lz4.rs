//! LZ4 in its standard frame, and with the different header checksum of message format 0.
//!
//! A frame starts with `u32 magic, u8 flags, u8 block size, [u64 content size,] [u32 dictionary,] u8 checksum`; the
//! checksum covers flags to dictionary. Old Kafka clients computed it over the magic as well. Messages of format 0 keep
//! this different checksum, and their readers don't check it (KAFKA-3160).
//!
//! Two libraries are used. `lz4`, the reference library in C, compresses, because `compression.lz4.level` needs its
//! high compressor. Measured with 1 MiB of records in JSON: 416 kB with the fast compressor (970 MB/s), 391 kB at level
//! 1 (300 MB/s), 347 kB at level 12 (32 MB/s). (The fast compressor of `lz4_flex`: 428 kB, 700 MB/s.)
//!
//! `lz4_flex` decompresses, because it is safe Rust and compressed bytes come from peers. It is about as fast as the C
//! library: 4 to 4.5 GB/s instead of 5 for 1 MiB, 0.97 GB/s instead of 0.85 for 1 KiB.

use std::borrow::Cow;
use std::io;

use lz4::block::CompressionMode;
use lz4_flex::frame::FrameDecoder;

const MAGIC: [u8; 4] = 0x184D_2204u32.to_le_bytes();
const MAGIC_SIZE: usize = MAGIC.len();
const FORMAT_VERSION: u8 = 1 << 6;
const INDEPENDENT_BLOCKS: u8 = 1 << 5;
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const DICTIONARY: u8 = 1;
const BLOCKS_OF_64_KIB: u8 = 4 << 4;
/// The flag in a block's size that marks it as not compressed.
const STORED_UNCOMPRESSED: u32 = 1 << 31;
/// Follows the last block, instead of a block size.
const END_MARK: [u8; 4] = [0; 4];
/// The default of `compression.lz4.level`.
const DEFAULT_LEVEL: i32 = 9;

/// A reader that decompresses one frame.
pub type Frame<'a> = FrameDecoder<&'a [u8]>;

/// Compresses into one frame like the Java client: independent blocks of 64 KiB, no content size, no checksums except that
/// of the header.
///
/// `level` is `compression.lz4.level`. As in Kafka, the default level and `None` use the fast compressor; every other level
/// uses the high compressor, which compresses better with each level up to 12.
pub fn compress(level: Option<i32>, plain: &[u8]) -> io::Result<Vec<u8>> {
    const DESCRIPTOR: [u8; 2] = [FORMAT_VERSION | INDEPENDENT_BLOCKS, BLOCKS_OF_64_KIB];
    let mode = match level {
        None | Some(DEFAULT_LEVEL) => CompressionMode::DEFAULT,
        Some(level) => CompressionMode::HIGHCOMPRESSION(level),
    };
    let mut out = Vec::with_capacity(plain.len() / 2);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&DESCRIPTOR);
    out.push(header_checksum(&DESCRIPTOR));
    for block in plain.chunks(64 << 10) {
        let compressed = lz4::block::compress(block, Some(mode), false)?;
        let (stored, flag) =
            if compressed.len() < block.len() { (&compressed[..], 0) } else { (block, STORED_UNCOMPRESSED) };
        out.extend_from_slice(&(stored.len() as u32 | flag).to_le_bytes());
        out.extend_from_slice(stored);
    }
    out.extend_from_slice(&END_MARK);
    Ok(out)
}

/// Returns a reader of the first standard frame of a stream. Like Java consumers, ignores what follows the frame.
/// Rejects an incomplete frame, and one with linked blocks, because Java consumers can't read those.
pub fn frame(compressed: &[u8]) -> io::Result<Frame<'_>> {
    let invalid = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    if compressed.get(..MAGIC_SIZE) != Some(&MAGIC) {
        return invalid("the stream doesn't begin with the magic of an LZ4 frame");
    }
    if compressed.get(MAGIC_SIZE).is_none_or(|flags| flags & INDEPENDENT_BLOCKS == 0) {
        return invalid("the blocks of the frame aren't independent");
    }
    match frame_end(compressed).and_then(|end| compressed.get(..end)) {
        Some(frame) => Ok(FrameDecoder::new(frame)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// The position after the first frame, computed from its block sizes; `None` if the stream ends before it.
fn frame_end(compressed: &[u8]) -> Option<usize> {
    let flags = compressed.get(MAGIC_SIZE)?;
    let size_if = |flag: u8, size: usize| if flags & flag != 0 { size } else { 0 };
    let (mut at, _) = descriptor(compressed)?;
    at += 1;
    loop {
        let size = compressed.get(at..)?.first_chunk::<4>()?;
        at += size.len();
        if *size == END_MARK {
            return Some(at + size_if(CONTENT_CHECKSUM, 4)).filter(|end| *end <= compressed.len());
        }
        at += (u32::from_le_bytes(*size) & !STORED_UNCOMPRESSED) as usize + size_if(BLOCK_CHECKSUMS, 4);
    }
}

/// Returns a stream of format 0 with the standard header checksum.
pub fn with_standard_checksum(compressed: &[u8]) -> Cow<'_, [u8]> {
    let Some((at, descriptor)) = descriptor(compressed) else { return Cow::Borrowed(compressed) };
    let checksum = header_checksum(descriptor);
    let mut repaired = compressed.to_vec();
    if let Some(byte) = repaired.get_mut(at) {
        *byte = checksum;
    }
    Cow::Owned(repaired)
}

/// Replaces the header checksum by that of format 0.
pub fn put_format_0_checksum(compressed: &mut [u8]) {
    let Some((at, _)) = descriptor(compressed) else { return };
    let checksum = compressed.get(..at).map(header_checksum);
    if let (Some(byte), Some(checksum)) = (compressed.get_mut(at), checksum) {
        *byte = checksum;
    }
}

/// The position of the header checksum, and the bytes that it covers.
fn descriptor(compressed: &[u8]) -> Option<(usize, &[u8])> {
    let flags = compressed.get(MAGIC_SIZE)?;
    let size_if = |flag: u8, size: usize| if flags & flag != 0 { size } else { 0 };
    let size = 2 + size_if(CONTENT_SIZE, 8) + size_if(DICTIONARY, 4);
    Some((MAGIC_SIZE + size, compressed.get(MAGIC_SIZE..MAGIC_SIZE + size)?))
}

/// The second byte of the input's xxHash-32 with seed 0. The input must be shorter than 16 bytes, the length of a
/// stripe of that hash: a descriptor has at most 14; magic and descriptor of a frame that [`compress`] wrote have 6.
fn header_checksum(input: &[u8]) -> u8 {
    const PRIME_1: u32 = 0x9E37_79B1;
    const PRIME_2: u32 = 0x85EB_CA77;
    const PRIME_3: u32 = 0xC2B2_AE3D;
    const PRIME_4: u32 = 0x27D4_EB2F;
    const PRIME_5: u32 = 0x1656_67B1;
    debug_assert!(input.len() < 16);
    let mut hash = PRIME_5.wrapping_add(input.len() as u32);
    let (words, tail) = input.as_chunks::<4>();
    for word in words {
        hash = hash.wrapping_add(u32::from_le_bytes(*word).wrapping_mul(PRIME_3));
        hash = hash.rotate_left(17).wrapping_mul(PRIME_4);
    }
    for &byte in tail {
        hash = hash.wrapping_add(u32::from(byte).wrapping_mul(PRIME_5));
        hash = hash.rotate_left(11).wrapping_mul(PRIME_1);
    }
    hash = (hash ^ (hash >> 15)).wrapping_mul(PRIME_2);
    hash = (hash ^ (hash >> 13)).wrapping_mul(PRIME_3);
    hash ^= hash >> 16;
    (hash >> 8) as u8
}
