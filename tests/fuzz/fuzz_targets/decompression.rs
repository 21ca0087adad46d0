//! Arbitrary bytes as input of a codec: decompressed or refused, without a panic and with_memory_limit the memory limits. What is
//! compressed decompresses to the same bytes.
//!
//! The first byte of the input selects the codec and the use of the rest: a compressed stream, a text to compress and
//! decompress, a text whose compressed form is corrupted first, or the records of a producer's batch for a topic with a
//! small `max.message.bytes`.

#![no_main]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use ottla_wire::record::compress::{MAX_EXPANSION, compress, decompress};
use ottla_wire::record::{
    Accepts, BATCH_OVERHEAD, BatchHeader, Codec, RecordError, TimestampType, Unverified, VerifyRules, batches,
};

const NOW: i64 = 1_700_000_000_000;
const CRC_AT: usize = 17;
const CRC_START: usize = 21;
const MAX_MESSAGE_BYTES: usize = 64 << 10;
const MAX_DECOMPRESSED_BYTES: usize = 256 << 10;
/// Limit of a decompressed producer's batch: this many bytes, or [`MAX_RATIO_IN_MEMORY`] times its size if more.
const MIN_EXPANSION_LIMIT: usize = 32 << 20;
const MAX_RATIO_IN_MEMORY: usize = 100;
/// Memory besides the decompressed bytes: windows and tables of the codecs, buffers of fixed sizes.
const WORKING_MEMORY: usize = 16 << 20;

/// Counts the allocated bytes and their peak.
struct CountingAllocator;

static HELD: AtomicUsize = AtomicUsize::new(0);
static PEAK_HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is forwarded unchanged to the system's allocator.
unsafe impl GlobalAlloc for CountingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        PEAK_HELD.fetch_max(held, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, rest)) = input.split_first() else { return };
    let codec = Codec::ALL[1 + usize::from(choice & 3)];
    match choice >> 2 & 3 {
        0 => expand(codec, rest),
        1 => round_trip(codec, rest),
        2 => corrupted(codec, rest),
        _ => in_batch(codec, rest),
    }
});

/// Runs `work`, and asserts that it allocates at most `allowed` bytes at a time.
fn with_memory_limit<T>(allowed: usize, work: impl FnOnce() -> T) -> T {
    let before = HELD.load(Ordering::Relaxed);
    PEAK_HELD.store(before, Ordering::Relaxed);
    let outcome = work();
    let most = PEAK_HELD.load(Ordering::Relaxed) - before;
    assert!(most <= allowed, "{most} bytes held, {allowed} allowed");
    outcome
}

/// Decompresses a stream, and checks the memory that this takes.
fn expand(codec: Codec, stream: &[u8]) {
    // Gzip expands up to a thousandfold, other codecs more. A vector that grows may hold three times its content, so
    // the limit follows from the size of the output.
    let before = HELD.load(Ordering::Relaxed);
    PEAK_HELD.store(before, Ordering::Relaxed);
    let outcome = decompress(codec, stream);
    let most = PEAK_HELD.load(Ordering::Relaxed) - before;
    match outcome {
        Ok(plain) => {
            assert!(plain.len() <= MAX_EXPANSION);
            assert!(most <= 3 * plain.len() + WORKING_MEMORY, "{most} bytes held for {}", plain.len());
        }
        Err(RecordError::ExpandsTooFar { limit, .. }) => assert_eq!(limit, MAX_EXPANSION),
        Err(_) => assert!(most <= 3 * MAX_EXPANSION + WORKING_MEMORY),
    }
}

/// Repeats a text as often as its first byte says, so that it is compressible.
fn text(bytes: &[u8]) -> Vec<u8> {
    let Some((&times, rest)) = bytes.split_first() else { return Vec::new() };
    rest.repeat(1 + usize::from(times))
}

fn round_trip(codec: Codec, bytes: &[u8]) {
    let plain = text(bytes);
    let level = bytes.first().map(|byte| i32::from(byte % 9) + 1);
    let stream = compress(codec, level, &plain).expect("any input compresses");
    assert_eq!(decompress(codec, &stream).expect("compressed bytes decompress"), plain);
}

/// The first six bytes are two changes of the compressed form (position and value); the rest is the text.
fn corrupted(codec: Codec, bytes: &[u8]) {
    let (changes, plain) = bytes.split_at(bytes.len().min(6));
    let mut stream = compress(codec, None, &text(plain)).expect("any input compresses");
    for change in changes.chunks_exact(3) {
        let at = usize::from(u16::from_be_bytes([change[0], change[1]]));
        if at < stream.len() {
            stream[at] = change[2];
        } else {
            stream.truncate(at % (stream.len() + 1));
        }
    }
    expand(codec, &stream);
}

/// Verifies a batch whose record count is in the first bytes.
fn in_batch(codec: Codec, bytes: &[u8]) {
    let (claims, stream) = bytes.split_at(bytes.len().min(4));
    let mut header = BatchHeader { attributes: i16::from(codec.id()), ..BatchHeader::default() };
    header.record_count = claims.iter().fold(0, |number, byte| number << 8 | i32::from(*byte));
    header.last_offset_delta = header.record_count.wrapping_sub(1);
    (header.base_timestamp, header.max_timestamp) = (NOW, NOW);
    let mut sent = header.to_bytes().to_vec();
    sent.extend_from_slice(stream);
    let length = (sent.len() - 12) as i32;
    sent[8..12].copy_from_slice(&length.to_be_bytes());
    let crc = crc32c::crc32c(&sent[CRC_START..]);
    sent[CRC_AT..CRC_START].copy_from_slice(&crc.to_be_bytes());
    let sent = Bytes::from(sent);
    let rules = rules(sent.first().copied().unwrap_or_default());
    // The memory needed if the batch is recompressed; it is far less if the batch is only verified.
    let limit = (sent.len() * MAX_RATIO_IN_MEMORY).clamp(MIN_EXPANSION_LIMIT, MAX_EXPANSION);
    let outcome = with_memory_limit(4 * limit + WORKING_MEMORY, || Unverified::new(sent.clone()).verify(&rules));
    if let Ok(verified) = outcome {
        assert!(sent.len() <= MAX_MESSAGE_BYTES && verified.bytes().len() <= MAX_MESSAGE_BYTES);
        assert_eq!(records(verified.bytes()), verified.record_count() as usize);
    }
    // A reader of the log may find such a batch, which was not verified.
    for batch in batches(&sent).flatten() {
        assert!(batch.records().count() <= 1 + MAX_EXPANSION);
    }
}

fn rules(choice: u8) -> VerifyRules {
    VerifyRules {
        accepts: Accepts::V2,
        max_message_bytes: MAX_MESSAGE_BYTES,
        max_decompressed_message_bytes: MAX_DECOMPRESSED_BYTES,
        timestamp_type: TimestampType::CreateTime,
        now: NOW,
        before_max_ms: i64::MAX,
        after_max_ms: i64::MAX,
        target: Codec::from_id(choice & 7).ok().map(|codec| (codec, None)),
        compacted: false,
        large: Some(0),
    }
}

fn records(bytes: &Bytes) -> usize {
    assert!(bytes.len() >= BATCH_OVERHEAD);
    let batch = batches(bytes).next().expect("one batch").expect("a complete one");
    batch.check_crc().expect("a right CRC");
    batch.records().inspect(|record| assert!(record.is_ok(), "{record:?}")).count()
}
