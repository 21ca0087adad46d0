//! Chooses a record's partition: by key, or the sticky partition.

use ottla_wire::types::PartitionIndex;

/// The partition that Kafka's Java clients choose for this key.
///
/// Source: `org.apache.kafka.clients.producer.internals.BuiltInPartitioner.partitionForKey`.
pub fn partition_of_key(key: &[u8], partitions: usize) -> usize {
    (murmur2(key) & 0x7fff_ffff) as usize % partitions.max(1)
}

/// MurmurHash2, 32 bits, with Kafka's seed.
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ data.len() as u32;
    let (words, rest) = data.as_chunks::<4>();
    for word in words {
        let mut k = u32::from_le_bytes(*word).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    if !rest.is_empty() {
        hash ^= rest.iter().rev().fold(0, |tail, byte| tail << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The sticky partitioner for records without a key (KIP-794): it stays with one partition until a batch's worth of
/// bytes is written, then switches to a random one. So batches are full and partitions are used evenly.
#[derive(Clone, Debug)]
pub struct Sticky {
    partition: usize,
    written: usize,
    /// The state of an xorshift generator; never 0.
    random: u64,
}

impl Sticky {
    /// `seed` determines the first partition.
    pub fn new(seed: u64) -> Sticky {
        let mut sticky = Sticky { partition: 0, written: 0, random: seed | 1 };
        sticky.partition = sticky.next_random();
        sticky
    }

    /// The current partition.
    pub fn partition(&self, partitions: usize) -> PartitionIndex {
        (self.partition % partitions.max(1)) as PartitionIndex
    }

    /// Counts bytes written to the current partition.
    pub fn add_bytes(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// Whether at least `bytes` were written to the current partition: time to switch, once its batch was sent.
    pub fn has_written(&self, bytes: usize) -> bool {
        self.written >= bytes
    }

    /// Switches to another partition.
    pub fn switch(&mut self) {
        self.written = 0;
        self.partition = self.next_random();
    }

    fn next_random(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 33) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn murmur2_hashes_equal_those_of_kafkas_test() {
        // org.apache.kafka.common.utils.UtilsTest.testMurmur2
        let check = |key: &str, expect: i32| assert_eq!(murmur2(key.as_bytes()) as i32, expect, "{key}");
        check("21", -973_932_308);
        check("foobar", -790_332_482);
        check("a-little-bit-long-string", -985_981_536);
        check("a-little-bit-longer-string", -1_486_304_829);
        check("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971);
        check("abc", 479_470_107);
    }

    #[test]
    fn sticky_partitions_are_distributed_evenly() {
        let mut sticky = Sticky::new(1);
        let mut counts = [0; 4];
        for _ in 0..4000 {
            counts[sticky.partition(4) as usize] += 1;
            sticky.switch();
        }
        assert!(counts.iter().all(|count| (800..1200).contains(count)), "{counts:?}");
    }
}
