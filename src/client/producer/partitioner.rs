//! Which partition a record goes to: by its key, or to the partition whose turn it is.

use ottla_wire::types::PartitionIndex;

/// The partition that every Kafka client in Java gives this key to.
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

/// Records without a key stay with one partition until a batch's worth is there, then go to another one by chance
/// (KIP-794): full batches, evenly spread.
#[derive(Clone, Debug)]
pub struct Sticky {
    partition: usize,
    written: usize,
    /// State of an xorshift generator, never 0.
    chance: u64,
}

impl Sticky {
    /// `seed` decides where it begins.
    pub fn new(seed: u64) -> Sticky {
        let mut sticky = Sticky { partition: 0, written: 0, chance: seed | 1 };
        sticky.partition = sticky.draw();
        sticky
    }

    /// The partition whose turn it is.
    pub fn partition(&self, partitions: usize) -> PartitionIndex {
        (self.partition % partitions.max(1)) as PartitionIndex
    }

    /// Counts bytes written to it.
    pub fn wrote(&mut self, bytes: usize) {
        self.written += bytes;
    }

    /// Whether it has had `enough` bytes: another one's turn, as soon as that leaves no small batch behind.
    pub fn has_had(&self, enough: usize) -> bool {
        self.written >= enough
    }

    /// It is another one's turn.
    pub fn turn(&mut self) {
        self.written = 0;
        self.partition = self.draw();
    }

    fn draw(&mut self) -> usize {
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        (self.chance >> 33) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_of_kafkas_own_test() {
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
    fn turns_are_spread_evenly() {
        let mut sticky = Sticky::new(1);
        let mut turns = [0; 4];
        for _ in 0..4000 {
            turns[sticky.partition(4) as usize] += 1;
            sticky.turn();
        }
        assert!(turns.iter().all(|turns| (800..1200).contains(turns)), "{turns:?}");
    }
}
