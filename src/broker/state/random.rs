//! The broker's source of chance: pure rooms are handed random values with their commands.

use ottla_wire::types::Uuid;

/// Random bytes from the operating system; an early boot without any is no place for a broker.
fn fill<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    if let Err(error) = getrandom::fill(&mut bytes) {
        // Ids only have to differ from each other, never to be secret.
        tracing::warn!(%error, "no randomness from the operating system, using the clock");
        let clock = crate::clock::wall_clock_nanos().to_be_bytes();
        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = clock[at % clock.len()] ^ at as u8;
        }
    }
    bytes
}

/// A new id for a topic, a directory or a process; never one that Kafka reserves, and never one
/// that begins with a dash, which command lines would take for a flag (as Kafka's `Uuid.randomUuid`).
pub fn uuid() -> Uuid {
    loop {
        let mut bytes: [u8; 16] = fill();
        bytes[6] = (bytes[6] & 0x0f) | 0x40;
        bytes[8] = (bytes[8] & 0x3f) | 0x80;
        let id = Uuid(bytes);
        if !id.to_string().starts_with('-') {
            return id;
        }
    }
}

/// 128 random bits.
pub fn bits() -> u128 {
    u128::from_ne_bytes(fill())
}

/// A random number that is not negative.
pub fn positive_i32() -> i32 {
    i32::from_ne_bytes(fill()) & i32::MAX
}
