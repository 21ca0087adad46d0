//! Arbitrary bytes as a request frame: decoded or refused, without a panic. What is decoded can be encoded, and decodes
//! to the same request.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ottla_wire::protocol::frame::{decode_request, encode_request};

const FRAME_SIZE_BYTES: usize = 4;

fuzz_target!(|input: &[u8]| {
    let Ok((header, request)) = decode_request(input.to_vec().into()) else { return };
    // The encoded bytes are compared, not the structs: the input may have a NaN, which is not equal to itself.
    let encoded = encode_request(&header, &request).expect("a decoded request can be encoded").concat();
    let decoded_again = decode_request(encoded[FRAME_SIZE_BYTES..].to_vec().into());
    let (header, request) = decoded_again.expect("an encoded request can be decoded");
    assert_eq!(encode_request(&header, &request).expect("it can be encoded decoded_again").concat(), encoded);
});
