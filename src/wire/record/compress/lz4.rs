//! LZ4 in its standard frame, and with the header checksum that message format 0 has instead.
//!
//! A frame begins `u32 magic, u8 flags, u8 block size, [u64 content size,] [u32 dictionary,] u8 checksum`;
//! the checksum is over flags to dictionary. Kafka's clients of old took in the magic too, so that in format 0
//! the wrong checksum is the right one, and its readers don't look (KAFKA-3160).

use std::borrow::Cow;
use std::io::{self, Write};

use lz4::block::CompressionMode;
use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

const MAGIC: [u8; 4] = 0x184D_2204u32.to_le_bytes();
const MAGIC_SIZE: usize = MAGIC.len();
const FORMAT_VERSION: u8 = 1 << 6;
const INDEPENDENT_BLOCKS: u8 = 1 << 5;
const BLOCK_CHECKSUMS: u8 = 1 << 4;
const CONTENT_SIZE: u8 = 1 << 3;
const CONTENT_CHECKSUM: u8 = 1 << 2;
const DICTIONARY: u8 = 1;
const BLOCKS_OF_64_KIB: u8 = 4 << 4;
/// In a block's size: it stands as it is.
const STORED_UNCOMPRESSED: u32 = 1 << 31;
/// In place of another block's size.
const END_MARK: [u8; 4] = [0; 4];
/// Of `compression.lz4.level`.
const DEFAULT_LEVEL: i32 = 9;

/// A reader over the frame of a stream.
pub type Frame<'a> = FrameDecoder<&'a [u8]>;

/// Compresses into one frame as the Java client writes it: independent blocks of 64 KiB, no content
/// size, no checksums but the header's.
///
/// `level` is `compression.lz4.level`. As in Kafka, its default, which is also what none stands for,
/// means the fast compressor, and every other level the one that searches further the higher it is;
/// from 12 on it finds no more.
pub fn compress(level: Option<i32>, plain: &[u8]) -> io::Result<Vec<u8>> {
    match level {
        None | Some(DEFAULT_LEVEL) => compress_fast(plain),
        Some(level) => compress_high(level, plain),
    }
}

fn compress_fast(plain: &[u8]) -> io::Result<Vec<u8>> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(plain.len() / 2));
    encoder.write_all(plain)?;
    encoder.finish().map_err(io::Error::other)
}

/// The same frame around blocks of the high compressor.
fn compress_high(level: i32, plain: &[u8]) -> io::Result<Vec<u8>> {
    const DESCRIPTOR: [u8; 2] = [FORMAT_VERSION | INDEPENDENT_BLOCKS, BLOCKS_OF_64_KIB];
    let mut out = Vec::with_capacity(plain.len() / 2);
    out.extend_from_slice(&MAGIC);
    out.extend_from_slice(&DESCRIPTOR);
    out.push(header_checksum(&DESCRIPTOR));
    for block in plain.chunks(64 << 10) {
        let compressed = lz4::block::compress(block, Some(CompressionMode::HIGHCOMPRESSION(level)), false)?;
        let (stored, flag) =
            if compressed.len() < block.len() { (&compressed[..], 0) } else { (block, STORED_UNCOMPRESSED) };
        out.extend_from_slice(&(stored.len() as u32 | flag).to_le_bytes());
        out.extend_from_slice(stored);
    }
    out.extend_from_slice(&END_MARK);
    Ok(out)
}

/// Reads the first standard frame of a stream, which must be whole: Java consumers, who get the
/// stream as it is, end with it. Blocks that depend on one another are refused although they could be
/// read, because Java consumers can't.
pub fn frame(compressed: &[u8]) -> io::Result<Frame<'_>> {
    let refuse = |why| Err(io::Error::new(io::ErrorKind::InvalidData, why));
    if compressed.get(..MAGIC_SIZE) != Some(&MAGIC) {
        return refuse("it doesn't begin with a frame's magic");
    }
    if compressed.get(MAGIC_SIZE).is_none_or(|flags| flags & INDEPENDENT_BLOCKS == 0) {
        return refuse("its blocks aren't independent");
    }
    match frame_end(compressed).and_then(|end| compressed.get(..end)) {
        Some(frame) => Ok(FrameDecoder::new(frame)),
        None => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}

/// Where the frame at the front ends, by what its blocks say; `None` beyond the end of the stream.
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

/// The stream with the header checksum that the standard asks for, whatever it has.
pub fn with_right_checksum(compressed: &[u8]) -> Cow<'_, [u8]> {
    let Some((at, descriptor)) = descriptor(compressed) else { return Cow::Borrowed(compressed) };
    let checksum = header_checksum(descriptor);
    let mut repaired = compressed.to_vec();
    if let Some(byte) = repaired.get_mut(at) {
        *byte = checksum;
    }
    Cow::Owned(repaired)
}

/// Puts in the header checksum that format 0 has.
pub fn put_old_checksum(compressed: &mut [u8]) {
    let Some((at, _)) = descriptor(compressed) else { return };
    let checksum = compressed.get(..at).map(header_checksum);
    if let (Some(byte), Some(checksum)) = (compressed.get_mut(at), checksum) {
        *byte = checksum;
    }
}

/// Where the header checksum stands, and what it covers.
fn descriptor(compressed: &[u8]) -> Option<(usize, &[u8])> {
    let flags = compressed.get(MAGIC_SIZE)?;
    let size_if = |flag: u8, size: usize| if flags & flag != 0 { size } else { 0 };
    let size = 2 + size_if(CONTENT_SIZE, 8) + size_if(DICTIONARY, 4);
    Some((MAGIC_SIZE + size, compressed.get(MAGIC_SIZE..MAGIC_SIZE + size)?))
}

/// The second byte of the input's xxHash-32 with seed 0, for inputs shorter than a stripe of 16
/// bytes (a descriptor and the magic are 14 at most).
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
