//! The four codecs, and how far a compressed batch may expand.
//!
//! A batch's records are compressed as one stream. Streams are not trusted: output is read in pieces of `CHUNK` bytes,
//! memory grows with the actual output, and a stream beyond a limit is rejected: [`MAX_EXPANSION`], or a much lower limit
//! for batches from producers.

mod lz4;
mod snappy;

use std::io::{self, Read, Write};

use super::error::RecordError;
pub(super) use lz4::{
    put_format_0_checksum as put_old_lz4_checksum, with_standard_checksum as with_right_lz4_checksum,
};

/// The compression of a batch's records. The numbers are the lowest bits of the attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum Codec {
    #[default]
    None = 0,
    Gzip = 1,
    Snappy = 2,
    Lz4 = 3,
    Zstd = 4,
}

impl Codec {
    pub const ALL: [Codec; 5] = [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

    /// The codec with this id; `UnsupportedCompression` if there is none.
    pub fn from_id(id: u8) -> Result<Codec, RecordError> {
        let unknown = || RecordError::UnsupportedCompression(format!("unknown compression type {id}"));
        Codec::ALL.get(usize::from(id)).copied().ok_or_else(unknown)
    }

    /// The id in a batch's attributes.
    pub fn id(self) -> u8 {
        self as u8
    }

    /// The name in `compression.type`.
    pub fn name(self) -> &'static str {
        match self {
            Codec::None => "none",
            Codec::Gzip => "gzip",
            Codec::Snappy => "snappy",
            Codec::Lz4 => "lz4",
            Codec::Zstd => "zstd",
        }
    }

    /// The codec with this name in `compression.type`; "uncompressed" is [`Codec::None`], "producer" is not a codec.
    pub fn from_name(name: &str) -> Option<Codec> {
        if name == "uncompressed" {
            return Some(Codec::None);
        }
        Codec::ALL.into_iter().find(|codec| codec.name() == name)
    }
}

/// The limit of expansion for any batch, in bytes.
pub const MAX_EXPANSION: usize = 1 << 30;

/// The size of a piece of output, in bytes.
pub(super) const CHUNK: usize = 32 << 10;

/// Compresses `plain` as Kafka's clients do, snappy in the framing of the Java client.
///
/// `level` is the codec's level (`compression.gzip.level`, `compression.lz4.level`, `compression.zstd.level`); `None` is
/// Kafka's default. Snappy has no levels.
pub fn compress(codec: Codec, level: Option<i32>, plain: &[u8]) -> Result<Vec<u8>, RecordError> {
    let compressed = match codec {
        Codec::None => Ok(plain.to_vec()),
        Codec::Gzip => gzip(level, plain),
        Codec::Snappy => snappy::compress(plain),
        Codec::Lz4 => lz4::compress(level, plain),
        Codec::Zstd => zstd::bulk::compress(plain, level.unwrap_or(zstd::DEFAULT_COMPRESSION_LEVEL)),
    };
    compressed.map_err(|error| RecordError::invalid(format!("{} compression failed: {error}", codec.name())))
}

fn gzip(level: Option<i32>, plain: &[u8]) -> io::Result<Vec<u8>> {
    // Kafka's levels are 1 to 9, and -1 for the library's default.
    let level = level.and_then(|level| u32::try_from(level).ok()).map(|level| flate2::Compression::new(level.min(9)));
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), level.unwrap_or_default());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// Decompresses a whole stream. `Invalid` if it is corrupt, `ExpandsTooFar` beyond [`MAX_EXPANSION`].
pub fn decompress(codec: Codec, compressed: &[u8]) -> Result<Vec<u8>, RecordError> {
    decompress_within(codec, compressed, MAX_EXPANSION)
}

/// Like [`decompress`], with this limit in bytes.
pub fn decompress_within(codec: Codec, compressed: &[u8], limit: usize) -> Result<Vec<u8>, RecordError> {
    let mut expansion = Expansion::new(codec, compressed, limit)?;
    let mut plain = Vec::new();
    while expansion.read_more(&mut plain)? > 0 {}
    Ok(plain)
}

/// Decompresses a stream in pieces.
pub(super) struct Expansion<'a> {
    codec: Codec,
    decoder: Decoder<'a>,
    compressed: usize,
    produced: usize,
    limit: usize,
}

enum Decoder<'a> {
    None(&'a [u8]),
    Gzip(Box<flate2::bufread::MultiGzDecoder<&'a [u8]>>),
    Snappy(snappy::Blocks<'a>),
    Lz4(Box<lz4::Frame<'a>>),
    Zstd(zstd::stream::read::Decoder<'static, &'a [u8]>),
}

impl<'a> Expansion<'a> {
    /// Starts to decompress a stream to at most `limit` bytes.
    pub fn new(codec: Codec, compressed: &'a [u8], limit: usize) -> Result<Expansion<'a>, RecordError> {
        let decoder = match codec {
            Codec::None => Ok(Decoder::None(compressed)),
            Codec::Gzip => Ok(Decoder::Gzip(Box::new(flate2::bufread::MultiGzDecoder::new(compressed)))),
            Codec::Snappy => snappy::Blocks::new(compressed).map(Decoder::Snappy),
            Codec::Lz4 => lz4::frame(compressed).map(|frame| Decoder::Lz4(Box::new(frame))),
            Codec::Zstd => zstd::stream::read::Decoder::with_buffer(compressed).map(Decoder::Zstd),
        };
        let decoder = decoder.map_err(|error| broken_stream(codec, &error))?;
        Ok(Expansion { codec, decoder, compressed: compressed.len(), produced: 0, limit })
    }

    /// Appends the next piece, at most [`CHUNK`] bytes, to `plain` and returns its size; 0 at the end.
    pub fn read_more(&mut self, plain: &mut Vec<u8>) -> Result<usize, RecordError> {
        let start = plain.len();
        plain.resize(start + CHUNK, 0);
        let mut filled = 0;
        while let Some(room) = plain.get_mut(start + filled..).filter(|room| !room.is_empty()) {
            match self.decoder.read(room) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(broken_stream(self.codec, &error)),
            }
        }
        plain.truncate(start + filled);
        self.produced += filled;
        if self.produced > self.limit {
            return Err(RecordError::ExpandsTooFar { compressed: self.compressed, limit: self.limit });
        }
        Ok(filled)
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Decoder::None(plain) => plain.read(out),
            Decoder::Gzip(decoder) => decoder.read(out),
            Decoder::Snappy(decoder) => decoder.read(out),
            Decoder::Lz4(decoder) => decoder.read(out),
            Decoder::Zstd(decoder) => decoder.read(out),
        }
    }
}

fn broken_stream(codec: Codec, error: &io::Error) -> RecordError {
    RecordError::invalid(format!("the records are no valid {} stream: {error}", codec.name()))
}

#[cfg(test)]
mod tests;
