//! The broker's source of randomness. Pure code gets random values as arguments.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ottla_wire::types::Uuid;

/// A source of random values; clones share it.
#[derive(Clone, Debug)]
pub struct Random(Source);

#[derive(Clone, Debug)]
enum Source {
    System,
    /// The state of a generator whose sequence depends only on its seed.
    Seeded(Arc<AtomicU64>),
}

impl Random {
    /// Random values from the operating system.
    pub const fn system() -> Random {
        Random(Source::System)
    }

    /// Values that depend only on `seed`, for simulations.
    pub fn seeded(seed: u64) -> Random {
        Random(Source::Seeded(Arc::new(AtomicU64::new(seed))))
    }

    /// A new id for a topic, a directory or a process. As with Kafka's `Uuid.randomUuid`, it is never a reserved one, and
    /// never begins with a dash, because a command line would take that for a flag.
    pub fn uuid(&self) -> Uuid {
        loop {
            let mut bytes: [u8; 16] = self.fill();
            bytes[6] = (bytes[6] & 0x0f) | 0x40;
            bytes[8] = (bytes[8] & 0x3f) | 0x80;
            let id = Uuid(bytes);
            if !id.to_string().starts_with('-') {
                return id;
            }
        }
    }

    /// Random bytes for secrets and nonces. Unlike ids, they are never made from the clock.
    ///
    /// # Errors
    /// The operating system has none.
    pub fn secret<const N: usize>(&self) -> std::io::Result<[u8; N]> {
        let mut bytes = [0; N];
        match &self.0 {
            Source::System => getrandom::fill(&mut bytes).map_err(|error| std::io::Error::other(error.to_string()))?,
            Source::Seeded(_) => bytes = self.fill(),
        }
        Ok(bytes)
    }

    /// 128 random bits.
    pub fn bits(&self) -> u128 {
        u128::from_ne_bytes(self.fill())
    }

    /// A random number from 0 to `i32::MAX`.
    pub fn positive_i32(&self) -> i32 {
        i32::from_ne_bytes(self.fill()) & i32::MAX
    }

    fn fill<const N: usize>(&self) -> [u8; N] {
        match &self.0 {
            Source::System => fill_from_system(),
            Source::Seeded(state) => {
                let mut bytes = [0; N];
                for chunk in bytes.chunks_mut(8) {
                    chunk.copy_from_slice(&next(state).to_le_bytes()[..chunk.len()]);
                }
                bytes
            }
        }
    }
}

/// Random bytes from the operating system, or made from the clock if it has none, for example early during boot.
fn fill_from_system<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        // Ids only have to be different. They are not secret.
        tracing::warn!(%error, "failed to get random bytes from the operating system, using the clock");
        let clock = crate::clock::wall_clock_nanos().to_be_bytes();
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = clock[at % clock.len()] ^ at as u8;
        }
    }
    bytes
}

/// The next number of a SplitMix64 generator.
fn next(state: &AtomicU64) -> u64 {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut z = state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeded_values_repeat_and_differ_between_seeds() {
        let values = |seed| {
            let random = Random::seeded(seed);
            (random.uuid(), random.bits(), random.positive_i32())
        };
        assert_eq!(values(1), values(1));
        assert_ne!(values(1), values(2));
    }
}
