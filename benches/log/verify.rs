//! Verification of a producer's batch, compared with only the CRC of the same bytes.

use std::hint::black_box;
use std::time::{Duration, Instant};

use ottla_wire::record::{Accepts, Codec, TimestampType, Unverified, Verified, VerifyRules};

use crate::report::{Table, significant};
use crate::{fixture, interleaved, median, share};

const BATCHES: [(&str, usize, Codec); 7] = [
    ("100 B", 100, Codec::None),
    ("1 KB", 1000, Codec::None),
    ("64 KiB", 64 << 10, Codec::None),
    ("64 KiB, lz4", 64 << 10, Codec::Lz4),
    ("64 KiB, zstd", 64 << 10, Codec::Zstd),
    ("64 KiB, snappy", 64 << 10, Codec::Snappy),
    ("64 KiB, gzip", 64 << 10, Codec::Gzip),
];
const SAMPLE: Duration = Duration::from_millis(50);
/// Number of calls between two reads of the clock.
const CALLS_PER_CLOCK_READ: u32 = 20;

pub fn measure(pairs: usize) -> Table {
    let mut table = Table::new("verification", ["a batch", "before compression", "its CRC", "CRC's share of the time"]);
    for (name, size, codec) in BATCHES {
        let batch = fixture::batch(size, codec);
        let plain = fixture::batch(size, Codec::None).bytes().len();
        let rules = rules();
        let mut ours = || nanoseconds(|| verify(&batch, &rules));
        let mut crc = || nanoseconds(|| crc32c::crc32c(black_box(batch.bytes())));
        let [ours, crc] = interleaved(&format!("verification, {name}"), pairs, [&mut ours, &mut crc]);
        let speed = format!("{} GB/s", significant(plain as f64 / ours.median()));
        table.row(name, [median(&ours, "ns"), speed, median(&crc, "ns"), share(&crc, &ours)]);
    }
    table
}

fn verify(batch: &Verified, rules: &VerifyRules) -> Verified {
    Unverified::new(batch.bytes().clone()).verify(rules).expect("a right batch")
}

/// Kafka's defaults.
fn rules() -> VerifyRules {
    VerifyRules {
        accepts: Accepts::V2,
        max_message_bytes: 1_048_588,
        max_decompressed_message_bytes: 64 << 20,
        timestamp_type: TimestampType::CreateTime,
        now: fixture::now(),
        before_max_ms: i64::MAX,
        after_max_ms: 3_600_000,
        target_codec: None,
        compacted: false,
        large_batch_memory: None,
    }
}

fn nanoseconds<R>(mut work: impl FnMut() -> R) -> f64 {
    let (started, mut times) = (Instant::now(), 0_u32);
    while started.elapsed() < SAMPLE {
        (0..CALLS_PER_CLOCK_READ).for_each(|_| drop(black_box(work())));
        times += CALLS_PER_CLOCK_READ;
    }
    started.elapsed().as_nanos() as f64 / f64::from(times)
}
