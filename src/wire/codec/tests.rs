//! Tests of the macro and its primitives, with a small schema.

use bytes::Bytes;

use super::*;

structs! {
    struct AllFieldKinds {
        flag: bool = 0..;
        small: i8 = 0.., default -1;
        name: Option<Str> = 0.., nullable 1..;
        since_two: i32 = 2.., default 7;
        only_zero: i16 = 0..=0;
        inner: Vec<Inner> = 0..;
        maybe: Option<Inner> = 3..;
        hint: Str = 2.., tag 0;
        count: i64 = 2.., default -1, tag 3;
    }

    struct Inner {
        blob: Bytes = 0..;
    }
}

messages! {
    AllFieldKinds, versions 0..=3, flexible 2;
}

fn write(value: &AllFieldKinds, version: i16) -> Vec<u8> {
    let mut w = Writer::new();
    value.write(&mut w, version).unwrap();
    assert_eq!(w.len(), w.into_bytes().len());
    let mut w = Writer::new();
    value.write(&mut w, version).unwrap();
    w.into_bytes().to_vec()
}

fn read(bytes: &[u8], version: i16) -> Result<AllFieldKinds, DecodeError> {
    AllFieldKinds::read(&mut Reader::new(Bytes::copy_from_slice(bytes)), version)
}

fn check(value: &AllFieldKinds, version: i16, expect: &[u8]) {
    assert_eq!(write(value, version), expect, "writing version {version}");
    assert_eq!(read(expect, version).as_ref(), Ok(value), "reading version {version}");
    for cut in 0..expect.len() {
        assert!(read(&expect[..cut], version).is_err(), "{cut} bytes of version {version}");
    }
}

fn check_error(bytes: &[u8], version: i16, expect: &str) {
    assert_eq!(read(bytes, version).unwrap_err().to_string(), expect);
}

#[test]
fn field_is_encoded_only_in_its_versions() {
    let value = AllFieldKinds { name: Some("ab".into()), only_zero: 5, ..AllFieldKinds::default() };
    check(&value, 0, &[0, 0xff, 0, 2, b'a', b'b', 0, 5, 0, 0, 0, 0]);
    let value = AllFieldKinds { only_zero: 0, ..value };
    check(&value, 1, &[0, 0xff, 0, 2, b'a', b'b', 0, 0, 0, 0]);
    check(&value, 2, &[0, 0xff, 3, b'a', b'b', 0, 0, 0, 7, 1, 0]);
    check(&value, 3, &[0, 0xff, 3, b'a', b'b', 0, 0, 0, 7, 1, 0xff, 0]);
}

#[test]
fn arrays_and_nullable_structs_round_trip() {
    let inner = Inner { blob: Bytes::from_static(b"xy") };
    let value = AllFieldKinds { inner: vec![inner.clone()], maybe: Some(inner), ..AllFieldKinds::default() };
    check(&value, 3, &[0, 0xff, 0, 0, 0, 0, 7, 2, 3, b'x', b'y', 0, 1, 3, b'x', b'y', 0, 0]);
}

#[test]
fn tagged_field_is_written_unless_it_has_the_default() {
    let value = AllFieldKinds { hint: "h".into(), count: 1, ..AllFieldKinds::default() };
    let plain = [0, 0xff, 0, 0, 0, 0, 7, 1];
    let tags = [2, 0, 2, 2, b'h', 3, 8, 0, 0, 0, 0, 0, 0, 0, 1];
    check(&value, 2, &[&plain[..], &tags].concat());
}

#[test]
fn unknown_tagged_field_is_skipped() {
    let plain = [0, 0xff, 0, 0, 0, 0, 7, 1];
    let tags = [2, 0, 2, 2, b'h', 9, 3, 1, 2, 3];
    let value = AllFieldKinds { hint: "h".into(), ..AllFieldKinds::default() };
    assert_eq!(read(&[&plain[..], &tags].concat(), 2), Ok(value));
}

#[test]
fn length_beyond_the_input_is_rejected_before_allocating() {
    check_error(
        &[0, 0, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff],
        1,
        "inner at byte 8: claims 2147483647 elements of at least 4 bytes, but only 0 bytes remain",
    );
    check_error(&[0, 0, 0x7f, 0xff], 1, "name at byte 4: needs 32767 bytes, but only 0 remain");
    check_error(
        &[0, 0, 0, 1, b'a', 0, 0, 0, 1, 0, 0, 0, 9, 0],
        1,
        "inner[0].blob at byte 13: needs 9 bytes, but only 1 remain",
    );
}

/// A million empty blobs have two bytes each on the wire, but at least 32 bytes each in memory.
#[test]
fn array_that_takes_too_much_memory_is_rejected() {
    let elements = |count: u32| {
        let mut bytes = vec![0, 0, 0, 0, 0, 0, 7];
        varint::put_uvarint(&mut bytes, count + 1);
        bytes.extend([1, 0].repeat(count as usize));
        bytes.push(0);
        bytes
    };
    assert_eq!(read(&elements(30_000), 2).map(|value| value.inner.len()), Ok(30_000));
    check_error(
        &elements(1_000_000),
        2,
        "inner at byte 10: claims 1000000 elements, which take too much memory for a message of this size",
    );
}

#[test]
fn null_is_rejected_in_versions_without_it() {
    check_error(&[0, 0, 0xff, 0xff], 0, "name at byte 4: null, which this version doesn't allow");
    let error = AllFieldKinds::default().write(&mut Writer::new(), 0).unwrap_err();
    assert_eq!((error.kind(), error.path().as_str()), (&EncodeErrorKind::UnexpectedNull, "name"));
}

#[test]
fn tagged_field_that_does_not_fill_its_size_is_rejected() {
    let plain = [0, 0xff, 0, 0, 0, 0, 7, 1];
    check_error(
        &[&plain[..], &[1, 0, 3, 2, b'h', 0]].concat(),
        2,
        "message at byte 13: tagged field 0 leaves 1 of its bytes unread",
    );
    check_error(
        &[&plain[..], &[1, 0, 2, 5, b'h', b'h', b'h', b'h']].concat(),
        2,
        "hint at byte 12: needs 4 bytes, but only 1 remain",
    );
}

#[test]
fn unsupported_version_is_rejected() {
    check_error(&[], 4, "message at byte 0: version 4 is not one of 0..=3");
    check_error(&[], -1, "message at byte 0: version -1 is not one of 0..=3");
}

#[test]
fn invalid_utf_8_is_replaced() {
    let value = read(&[0, 0, 0, 2, b'a', 0xe9, 0, 0, 0, 0], 1).unwrap();
    assert_eq!(value.name.as_deref(), Some("a\u{fffd}"));
}

#[test]
fn text_over_the_size_limit_is_not_encoded() {
    let value = AllFieldKinds { name: Some("x".repeat(32_768).into()), ..AllFieldKinds::default() };
    for version in [1, 2] {
        let error = value.write(&mut Writer::new(), version).unwrap_err();
        assert_eq!(error.kind(), &EncodeErrorKind::TooLong { length: 32_768, limit: 32_767 });
    }
}

#[test]
fn large_blobs_are_encoded_without_copying() {
    let blob = Bytes::from(vec![7; 4096]);
    let value = AllFieldKinds { inner: vec![Inner { blob: blob.clone() }; 2], ..AllFieldKinds::default() };
    let mut w = Writer::new();
    value.write(&mut w, 2).unwrap();
    let chunks = w.finish();
    let shared = chunks.iter().filter(|chunk| chunk.as_ptr() == blob.as_ptr()).count();
    assert_eq!((shared, chunks.len()), (2, 5));
    assert_eq!(read(&chunks.concat(), 2), Ok(value));
}

#[test]
fn message_with_version_prefix_and_record_with_frame_round_trip() {
    let value = AllFieldKinds { name: Some("n".into()), ..AllFieldKinds::default() };
    let bytes = write_record(RecordFrame { kind: 300, version: 1 }, &value).unwrap();
    assert_eq!(&bytes[..4], &[1, 0xac, 2, 1]);
    let mut r = Reader::new(bytes);
    let frame = read_record_frame(&mut r).unwrap();
    assert_eq!(frame, RecordFrame { kind: 300, version: 1 });
    assert_eq!(read_record::<AllFieldKinds>(&mut r, frame), Ok(value.clone()));

    let bytes = write_prefixed(1, &value, 1).unwrap();
    assert_eq!(read_prefixed::<AllFieldKinds>(&bytes), Ok((1, value)));
}
