//! Any bytes as what a codec has to expand: refused or expanded, never a panic, and never in more memory than the
//! limits allow. What was compressed comes back.
//!
//! The first byte of the input says which codec, and what the rest is: a stream as it is, a text to be compressed and
//! expanded again, or a text whose compressed form is damaged first. Streams also stand in a batch, as a producer
//! sends them, for a topic that takes only small ones.

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
/// What a producer's batch may expand to: so much whatever its size, else so many times its size.
const ALWAYS_ALLOWED: usize = 32 << 20;
const MAX_RATIO_IN_MEMORY: usize = 100;
/// Beside what is expanded: windows and tables of the codecs, buffers of fixed sizes.
const WORKING_MEMORY: usize = 16 << 20;

/// Counts what is held, and the most that was held at once.
struct Counting;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST_HELD: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is handed on to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let held = HELD.fetch_add(layout.size(), Ordering::Relaxed) + layout.size();
        MOST_HELD.fetch_max(held, Ordering::Relaxed);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Ordering::Relaxed);
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fuzz_target!(|input: &[u8]| {
    let Some((&choice, rest)) = input.split_first() else { return };
    let codec = Codec::ALL[1 + usize::from(choice & 3)];
    match choice >> 2 & 3 {
        0 => expand(codec, rest),
        1 => comes_back(codec, rest),
        2 => damaged(codec, rest),
        _ => in_a_batch(codec, rest),
    }
});

/// Runs `work` and fails if more than `allowed` bytes were held at once for it.
fn within<T>(allowed: usize, work: impl FnOnce() -> T) -> T {
    let before = HELD.load(Ordering::Relaxed);
    MOST_HELD.store(before, Ordering::Relaxed);
    let outcome = work();
    let most = MOST_HELD.load(Ordering::Relaxed) - before;
    assert!(most <= allowed, "{most} bytes held, {allowed} allowed");
    outcome
}

/// Expands to what there is, or not at all.
fn expand(codec: Codec, stream: &[u8]) {
    // Gzip can make a thousand bytes of one, the others more; what a vector holds it may hold three times while it
    // grows. What came out is what may have been held.
    let before = HELD.load(Ordering::Relaxed);
    MOST_HELD.store(before, Ordering::Relaxed);
    let outcome = decompress(codec, stream);
    let most = MOST_HELD.load(Ordering::Relaxed) - before;
    match outcome {
        Ok(plain) => {
            assert!(plain.len() <= MAX_EXPANSION);
            assert!(most <= 3 * plain.len() + WORKING_MEMORY, "{most} bytes held for {}", plain.len());
        }
        Err(RecordError::ExpandsTooFar { limit, .. }) => assert_eq!(limit, MAX_EXPANSION),
        Err(_) => assert!(most <= 3 * MAX_EXPANSION + WORKING_MEMORY),
    }
}

/// A text, repeated as often as its first byte says, so that there is something to compress.
fn text(bytes: &[u8]) -> Vec<u8> {
    let Some((&times, rest)) = bytes.split_first() else { return Vec::new() };
    rest.repeat(1 + usize::from(times))
}

fn comes_back(codec: Codec, bytes: &[u8]) {
    let plain = text(bytes);
    let level = bytes.first().map(|byte| i32::from(byte % 9) + 1);
    let stream = compress(codec, level, &plain).expect("anything can be compressed");
    assert_eq!(decompress(codec, &stream).expect("what was compressed expands"), plain);
}

/// Three bytes each say where the compressed form is changed and to what; the rest is the text.
fn damaged(codec: Codec, bytes: &[u8]) {
    let (changes, plain) = bytes.split_at(bytes.len().min(6));
    let mut stream = compress(codec, None, &text(plain)).expect("anything can be compressed");
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

/// A batch that claims as many records as the first bytes say.
fn in_a_batch(codec: Codec, bytes: &[u8]) {
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
    // What is in memory where the batch is compressed anew; where it is only looked at, it is far less.
    let limit = (sent.len() * MAX_RATIO_IN_MEMORY).clamp(ALWAYS_ALLOWED, MAX_EXPANSION);
    let outcome = within(4 * limit + WORKING_MEMORY, || Unverified::new(sent.clone()).verify(&rules));
    if let Ok(verified) = outcome {
        assert!(sent.len() <= MAX_MESSAGE_BYTES && verified.bytes().len() <= MAX_MESSAGE_BYTES);
        assert_eq!(records(verified.bytes()), verified.record_count() as usize);
    }
    // A reader of the log meets such a batch unverified.
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
    let batch = batches(bytes).next().expect("one batch").expect("a whole one");
    batch.check_crc().expect("a right CRC");
    batch.records().inspect(|record| assert!(record.is_ok(), "{record:?}")).count()
}
