//! LZ4 in its standard frame.

use std::io::{self, Write};

use lz4_flex::frame::{BlockMode, BlockSize, FrameDecoder, FrameEncoder, FrameInfo};

/// A reader over the frames of a stream.
pub type Frames<'a> = FrameDecoder<&'a [u8]>;

/// Compresses into one frame as the Java client writes it: independent blocks of 64 KiB, no content
/// size, no content checksum.
pub fn compress(plain: &[u8]) -> io::Result<Vec<u8>> {
    let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(plain.len() / 2));
    encoder.write_all(plain)?;
    encoder.finish().map_err(io::Error::other)
}

pub fn frames(compressed: &[u8]) -> io::Result<Frames<'_>> {
    Ok(FrameDecoder::new(compressed))
}
