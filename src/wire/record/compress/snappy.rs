//! Snappy, in the two forms that clients write.
//!
//! The Java and Python clients use the framing of snappy-java (Xerial): the magic `\x82SNAPPY\0`, two i32 versions, then
//! blocks of `i32 length` and a raw snappy block. Others write one raw block. A raw block can't start with the magic,
//! because its first bytes are its expanded length.

use std::io::{self, Read};

const MAGIC: &[u8; 8] = b"\x82SNAPPY\0";
/// Magic, version, oldest compatible version.
const FRAME_HEADER: usize = 8 + 4 + 4;
const VERSION: i32 = 1;
/// The block size of snappy-java, in bytes.
const BLOCK: usize = 32 << 10;
/// The maximum expansion ratio of raw snappy: a copy of 3 bytes expands to at most 64.
const MAX_RATIO: usize = 22;

/// Compresses in the Xerial framing.
pub fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = snap::raw::Encoder::new();
    let mut out = Vec::with_capacity(FRAME_HEADER + plain.len() / 2);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_be_bytes());
    out.extend_from_slice(&VERSION.to_be_bytes());
    for block in plain.chunks(BLOCK) {
        let compressed = encoder.compress_vec(block).map_err(io::Error::other)?;
        out.extend_from_slice(&(compressed.len() as i32).to_be_bytes());
        out.extend_from_slice(&compressed);
    }
    Ok(out)
}

/// Reads both forms, block by block.
pub struct Blocks<'a> {
    rest: &'a [u8],
    framed: bool,
    block: Vec<u8>,
    taken: usize,
}

impl<'a> Blocks<'a> {
    pub fn new(compressed: &'a [u8]) -> io::Result<Blocks<'a>> {
        let blocks = |rest, framed| Blocks { rest, framed, block: Vec::new(), taken: 0 };
        if !compressed.starts_with(MAGIC) {
            return Ok(blocks(compressed, false));
        }
        compressed.get(FRAME_HEADER..).map(|rest| blocks(rest, true)).ok_or_else(cut_short)
    }

    fn next_block(&mut self) -> io::Result<()> {
        let compressed = if self.framed { self.take_framed()? } else { std::mem::take(&mut self.rest) };
        let announced = snap::raw::decompress_len(compressed).map_err(io::Error::other)?;
        if announced > compressed.len().saturating_mul(MAX_RATIO) {
            return Err(io::Error::other(format!("a block of {} bytes claims {announced}", compressed.len())));
        }
        self.block.clear();
        self.block.resize(announced, 0);
        self.taken = 0;
        snap::raw::Decoder::new().decompress(compressed, &mut self.block).map_err(io::Error::other)?;
        Ok(())
    }

    fn take_framed(&mut self) -> io::Result<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<4>().ok_or_else(cut_short)?;
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| cut_short())?;
        let (block, rest) = rest.split_at_checked(length).ok_or_else(cut_short)?;
        self.rest = rest;
        Ok(block)
    }
}

impl Read for Blocks<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.taken == self.block.len() {
            if self.rest.is_empty() {
                return Ok(0);
            }
            self.next_block()?;
        }
        let mut left = self.block.get(self.taken..).unwrap_or_default();
        let count = left.read(out)?;
        self.taken += count;
        Ok(count)
    }
}

fn cut_short() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
