//! What a broker gets from the machine that it runs on.

use ottla_log::Disk;
use ottla_metrics::Registry;

use std::sync::Arc;

use crate::clock::Clock;
use crate::otlp::Exporter;
use crate::stage::Stage;
use crate::state::random::Random;

/// Time, randomness, disk and metrics of a broker. Simulated ones make a run repeatable.
#[derive(Clone, Debug)]
pub struct Environment {
    pub clock: Clock,
    pub random: Random,
    /// The disk of the first of `log.dirs`; `None`: the file system of each.
    pub disk: Option<Disk>,
    /// Where the broker's metrics are registered.
    pub metrics: Registry,
    /// How far the broker's start or stop is.
    pub stage: Stage,
    /// Gets spans, and metrics that clients push.
    pub otlp: Option<Arc<Exporter>>,
}

impl Environment {
    /// The operating system's randomness and files.
    pub fn system(clock: Clock) -> Environment {
        let stage = Stage::default();
        Environment { clock, random: Random::system(), disk: None, metrics: Registry::default(), stage, otlp: None }
    }
}
