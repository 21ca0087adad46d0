//! Any bytes as a request frame: refused or read, never a panic. What is read can be written, and
//! reads the same again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ottla_wire::protocol::frame::{decode_request, encode_request};

const FRAME_SIZE_BYTES: usize = 4;

fuzz_target!(|input: &[u8]| {
    let Ok((header, request)) = decode_request(input.to_vec().into()) else { return };
    // Written forms are compared, not structs: the input may hold a NaN, which equals nothing.
    let written = encode_request(&header, &request).expect("what was read can be written").concat();
    let again = decode_request(written[FRAME_SIZE_BYTES..].to_vec().into());
    let (header, request) = again.expect("what was written reads");
    assert_eq!(encode_request(&header, &request).expect("it can be written again").concat(), written);
});
