//! What a broker gets from the machine that it runs on.

use ottla_log::Disk;

use crate::clock::Clock;
use crate::state::random::Random;

/// Time, randomness and disk of a broker. Simulated ones make a run repeatable.
#[derive(Clone, Debug)]
pub struct Environment {
    pub clock: Clock,
    pub random: Random,
    /// The disk of the first of `log.dirs`; `None`: the file system of each.
    pub disk: Option<Disk>,
}

impl Environment {
    /// The operating system's randomness and files.
    pub fn system(clock: Clock) -> Environment {
        Environment { clock, random: Random::system(), disk: None }
    }
}
