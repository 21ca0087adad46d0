//! Codecs by themselves: shapes that others write, and streams that lie.

use super::*;
use crate::record::RecordError;

const STREAMS: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| b"kafka broker "[i * i % 13]).collect()
}

#[track_caller]
fn check_broken(codec: Codec, stream: &[u8], why: &str) {
    match decompress(codec, stream) {
        Err(RecordError::Invalid(rejection)) => assert!(rejection.message.contains(why), "{rejection}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_size_comes_back() {
    for codec in Codec::ALL {
        for len in [0, 1, 61, CHUNK - 1, CHUNK, CHUNK + 1, 65_536, 200_001] {
            let plain = text(len);
            let stream = compress(codec, None, &plain).expect("compresses");
            assert!(decompress(codec, &stream).as_ref() == Ok(&plain), "{} of {len} bytes", codec.name());
        }
    }
}

#[test]
fn levels_are_the_codecs_own() {
    let plain = text(100_000);
    let size = |codec, level| {
        let stream = compress(codec, level, &plain).expect("compresses");
        assert_eq!(decompress(codec, &stream).as_ref(), Ok(&plain));
        stream.len()
    };
    assert!(size(Codec::Gzip, Some(9)) <= size(Codec::Gzip, Some(1)));
    assert_eq!(size(Codec::Gzip, Some(-1)), size(Codec::Gzip, None));
    assert!(size(Codec::Zstd, Some(19)) <= size(Codec::Zstd, Some(-5)));
    assert_eq!(size(Codec::Lz4, Some(17)), size(Codec::Lz4, None));
}

#[test]
fn names_and_numbers() {
    for codec in Codec::ALL {
        assert_eq!(Codec::from_id(codec.id()), Ok(codec));
        assert_eq!(Codec::from_name(codec.name()), Some(codec));
    }
    assert_eq!(Codec::from_name("uncompressed"), Some(Codec::None));
    assert_eq!(Codec::from_name("producer"), None);
    assert!(matches!(Codec::from_id(5), Err(RecordError::UnsupportedCompression(_))));
}

#[test]
fn raw_snappy_is_read_too() {
    let plain = text(100_000);
    let raw = snap::raw::Encoder::new().compress_vec(&plain).expect("compresses");
    assert_eq!(decompress(Codec::Snappy, &raw), Ok(plain));
}

#[test]
fn framed_snappy_has_blocks_of_32_kib() {
    let stream = compress(Codec::Snappy, None, &text(CHUNK + 1)).expect("compresses");
    assert_eq!(stream[..16], *b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01");
    let first = i32::from_be_bytes(stream[16..20].try_into().expect("four bytes")) as usize;
    assert_eq!(snap::raw::decompress_len(&stream[20..20 + first]), Ok(32 << 10));
}

#[test]
fn gzip_members_and_lz4_and_zstd_frames_may_follow_one_another() {
    for codec in [Codec::Gzip, Codec::Lz4, Codec::Zstd] {
        let (one, two) = (compress(codec, None, b"one,"), compress(codec, None, b"two"));
        let stream = [one.expect("compresses"), two.expect("compresses")].concat();
        assert_eq!(decompress(codec, &stream).as_deref(), Ok(&b"one,two"[..]), "{}", codec.name());
    }
}

#[test]
fn garbage_is_refused() {
    for codec in STREAMS {
        check_broken(codec, b"\xffthis is no stream of any codec", codec.name());
        let mut stream = compress(codec, None, &text(5000)).expect("compresses");
        stream.truncate(stream.len() / 2);
        check_broken(codec, &stream, codec.name());
    }
    check_broken(Codec::Snappy, b"\x82SNAPPY\0\0\0\0\x01", "unexpected end");
    check_broken(Codec::Snappy, b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\x7f\xff\xff\xff", "unexpected end");
    check_broken(Codec::Snappy, b"\x82SNAPPY\0\0\0\0\x01\0\0\0\x01\xff\xff\xff\xff", "unexpected end");
    check_broken(Codec::Snappy, b"\xff\xff\xff\xff\x0f\0", "claims 4294967295");
    check_broken(Codec::Lz4, b"\x04\x22\x4d\x18", "independent");
}

#[test]
fn lz4_blocks_must_be_independent() {
    use lz4_flex::frame::{BlockMode, FrameEncoder, FrameInfo};
    let info = FrameInfo::new().block_mode(BlockMode::Linked);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(b"linked").expect("writes");
    check_broken(Codec::Lz4, &encoder.finish().expect("finishes"), "independent");
}

#[test]
fn lz4_frames_with_sizes_and_checksums_are_read() {
    use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
    let plain = text(300_000);
    let info = FrameInfo::new().block_mode(BlockMode::Independent).block_size(BlockSize::Max4MB);
    let info = info.content_checksum(true).block_checksums(true).content_size(Some(plain.len() as u64));
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::new());
    encoder.write_all(&plain).expect("writes");
    let stream = encoder.finish().expect("finishes");
    assert_eq!(decompress(Codec::Lz4, &stream).as_ref(), Ok(&plain));
    assert_eq!(lz4::with_right_checksum(&stream), stream);
    let mut old = stream.clone();
    lz4::put_old_checksum(&mut old);
    assert_ne!(old, stream);
    check_broken(Codec::Lz4, &old, "lz4");
    assert_eq!(lz4::with_right_checksum(&old), stream);
    let mut damaged = stream;
    damaged[100] ^= 1;
    check_broken(Codec::Lz4, &damaged, "lz4");
}

#[test]
fn a_megabyte_of_one_byte_is_honest() {
    let plain = vec![b'0'; 1 << 20];
    for codec in STREAMS {
        let stream = compress(codec, None, &plain).expect("compresses");
        assert!(decompress(codec, &stream).as_ref() == Ok(&plain), "{}", codec.name());
    }
}

#[test]
fn a_bomb_is_refused_once_it_is_too_large() {
    let plain = vec![0; ALWAYS_ALLOWED + 1];
    let bomb = compress(Codec::Zstd, None, &plain).expect("compresses");
    let refused = RecordError::ExpandsTooFar { compressed: bomb.len(), limit: ALWAYS_ALLOWED };
    assert_eq!(decompress(Codec::Zstd, &bomb), Err(refused));
    let allowed = compress(Codec::Zstd, None, &plain[1..]).expect("compresses");
    assert_eq!(decompress(Codec::Zstd, &allowed).map(|plain| plain.len()), Ok(ALWAYS_ALLOWED));
}

#[test]
fn limits() {
    assert_eq!(expansion_limit(0), ALWAYS_ALLOWED);
    assert_eq!(expansion_limit(1 << 20), 100 << 20);
    assert_eq!(expansion_limit(usize::MAX), NEVER_ALLOWED);
}
