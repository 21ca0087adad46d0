//! The broker's source of randomness. Pure code gets random values as arguments.

use ottla_wire::types::Uuid;

/// Random bytes from the operating system, or made from the clock if it has none, for example early during boot.
fn fill<const N: usize>() -> [u8; N] {
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

/// A new id for a topic, a directory or a process. As with Kafka's `Uuid.randomUuid`, it is never a reserved one, and
/// never begins with a dash, because a command line would take that for a flag.
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

/// A random number from 0 to `i32::MAX`.
pub fn positive_i32() -> i32 {
    i32::from_ne_bytes(fill()) & i32::MAX
}
