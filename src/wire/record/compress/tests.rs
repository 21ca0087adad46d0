//! Tests of the codecs: forms that other clients write, and corrupt streams.

use super::*;
use crate::record::RecordError;

const STREAMS: [Codec; 4] = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd];

fn text(len: usize) -> Vec<u8> {
    (0..len).map(|i| b"kafka broker "[i * i % 13]).collect()
}

/// Pseudo-random numbers, the same every time.
fn numbers() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1u32), |n| Some(n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)))
        .map(|n| (n >> 16) as usize)
}

/// Words that repeat in random order.
fn prose(len: usize) -> Vec<u8> {
    let words =
        ["orders", "paid", "shipped", "at", "warehouse", "7", "by", "customer", "42", "kafka", "of", "returned"];
    numbers().flat_map(|n| [words[n % words.len()], " "]).flat_map(str::bytes).take(len).collect()
}

#[track_caller]
fn check_broken(codec: Codec, stream: &[u8], why: &str) {
    match decompress(codec, stream) {
        Err(RecordError::Invalid(message)) => assert!(message.contains(why), "{message}"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_size_round_trips() {
    for codec in Codec::ALL {
        for len in [0, 1, 61, CHUNK - 1, CHUNK, CHUNK + 1, 65_536, 200_001] {
            let plain = text(len);
            let stream = compress(codec, None, &plain).expect("compresses");
            assert!(decompress(codec, &stream).as_ref() == Ok(&plain), "{} of {len} bytes", codec.name());
        }
    }
}

#[test]
fn levels_change_the_compressed_size() {
    let plain = prose(100_000);
    let size = |codec, level| {
        let stream = compress(codec, level, &plain).expect("compresses");
        assert_eq!(decompress(codec, &stream).as_ref(), Ok(&plain));
        stream.len()
    };
    assert!(size(Codec::Gzip, Some(9)) <= size(Codec::Gzip, Some(1)));
    assert_eq!(size(Codec::Gzip, Some(-1)), size(Codec::Gzip, None));
    assert!(size(Codec::Zstd, Some(19)) <= size(Codec::Zstd, Some(-5)));
    assert_eq!(size(Codec::Lz4, Some(9)), size(Codec::Lz4, None));
    let lz4 = [9, 1, 3, 12].map(|level| size(Codec::Lz4, Some(level)));
    assert!(lz4.is_sorted_by(|fast, high| fast > high), "{lz4:?}");
    assert_eq!(size(Codec::Lz4, Some(12)), size(Codec::Lz4, Some(17)));
}

#[test]
fn codec_names_and_ids_round_trip() {
    for codec in Codec::ALL {
        assert_eq!(Codec::from_id(codec.id()), Ok(codec));
        assert_eq!(Codec::from_name(codec.name()), Some(codec));
    }
    assert_eq!(Codec::from_name("uncompressed"), Some(Codec::None));
    assert_eq!(Codec::from_name("producer"), None);
    assert!(matches!(Codec::from_id(5), Err(RecordError::UnsupportedCompression(_))));
}

#[test]
fn raw_snappy_is_decompressed() {
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
fn consecutive_gzip_members_and_zstd_frames_are_decompressed() {
    for codec in [Codec::Gzip, Codec::Zstd] {
        let (one, two) = (compress(codec, None, b"one,"), compress(codec, None, b"two"));
        let stream = [one.expect("compresses"), two.expect("compresses")].concat();
        assert_eq!(decompress(codec, &stream).as_deref(), Ok(&b"one,two"[..]), "{}", codec.name());
    }
}

#[test]
fn corrupt_streams_are_rejected() {
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
fn lz4_stream_ends_with_its_first_frame() {
    for level in [9, 3] {
        let stream = compress(Codec::Lz4, Some(level), b"one").expect("compresses");
        for more in [&stream[..], b"more"] {
            assert_eq!(decompress(Codec::Lz4, &[&stream, more].concat()).as_deref(), Ok(&b"one"[..]));
        }
        // Without its end mark a frame is truncated, and Java consumers wait for more of it.
        for cut in 1..stream.len() {
            check_broken(Codec::Lz4, &stream[..cut], "lz4");
        }
    }
}

#[test]
fn lz4_frame_header_is_the_same_at_all_levels() {
    let header = |level| compress(Codec::Lz4, Some(level), b"lz4").expect("compresses")[..7].to_vec();
    assert_eq!(header(9), [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82]);
    for level in 1..=17 {
        assert_eq!(header(level), header(9));
    }
}

#[test]
fn lz4_stores_incompressible_blocks_uncompressed() {
    let noise: Vec<u8> = numbers().map(|n| (n >> 8) as u8).take(200_000).collect();
    for level in [1, 9, 12] {
        let stream = compress(Codec::Lz4, Some(level), &noise).expect("compresses");
        assert!(stream.len() <= noise.len() + 7 + 4 * 5, "{}", stream.len());
        assert!(decompress(Codec::Lz4, &stream).as_ref() == Ok(&noise));
    }
}

#[test]
fn lz4_frame_with_linked_blocks_is_rejected() {
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
    assert_eq!(lz4::with_standard_checksum(&stream), stream);
    let mut old = stream.clone();
    lz4::put_format_0_checksum(&mut old);
    assert_ne!(old, stream);
    check_broken(Codec::Lz4, &old, "lz4");
    assert_eq!(lz4::with_standard_checksum(&old), stream);
    let mut damaged = stream;
    damaged[100] ^= 1;
    check_broken(Codec::Lz4, &damaged, "lz4");
}

#[test]
fn megabyte_of_one_byte_is_accepted() {
    let plain = vec![b'0'; 1 << 20];
    for codec in STREAMS {
        let stream = compress(codec, None, &plain).expect("compresses");
        assert!(decompress(codec, &stream).as_ref() == Ok(&plain), "{}", codec.name());
    }
}

#[test]
fn stream_over_the_limit_is_rejected() {
    let plain = vec![0; 100_000];
    for codec in STREAMS {
        let bomb = compress(codec, None, &plain).expect("compresses");
        let limit = plain.len() - 1;
        let refused = RecordError::ExpandsTooFar { compressed: bomb.len(), limit };
        assert_eq!(decompress_within(codec, &bomb, limit), Err(refused));
        assert_eq!(decompress_within(codec, &bomb, limit + 1).as_ref(), Ok(&plain));
    }
}
