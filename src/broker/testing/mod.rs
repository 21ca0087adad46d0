//! A whole broker in simulated time, on a simulated disk, with seeded randomness and connections in memory. What happens
//! depends on the seed alone.

mod client;
mod crash;
mod model;
mod producer;
mod quotas;
mod reader;
mod scrapes;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::blocking::simulation::OnThisThread;
use crate::clock::Clock;
use crate::environment::Environment;
use crate::handlers::Handlers;
use crate::log_rate_limiter::LogRateLimiter;
use crate::server::in_memory::InMemoryListener;
use crate::stage::Stage;
use crate::state::loggers::NoLoggers;
use crate::state::random::Random;
use crate::state::{Broker, OpenError};
use ottla_config::{Sources, load};
use ottla_log::{Disk, Simulation};
use ottla_metrics::Registry;
use ottla_wire::types::TimestampMs;

pub use client::{Client, Failed, Outcome};
pub use producer::{Producer, Protocol};

const DATA: &str = "/data";
/// The wall's time when the first broker starts.
const EPOCH: TimestampMs = 1_700_000_000_000;

/// What outlives a broker: its disk, the wall's time, the sequence of random numbers.
pub struct Host {
    pub disk: Simulation,
    seed: u64,
    starts: u64,
    wall: TimestampMs,
    settings: Vec<(String, String)>,
}

/// A broker that runs.
pub struct Running {
    pub broker: Arc<Broker>,
    pub clock: Clock,
    pub metrics: Registry,
    listener: Arc<InMemoryListener>,
}

impl Host {
    pub fn new(seed: u64, settings: &[(&str, &str)]) -> Host {
        let defaults = [
            ("log.dirs", DATA),
            ("offsets.topic.num.partitions", "1"),
            ("transaction.state.log.num.partitions", "1"),
            // These use threads of their own, which have no simulated time.
            ("num.recovery.threads.per.data.dir", "1"),
            ("log.cleaner.enable", "false"),
        ];
        let settings = defaults.iter().chain(settings);
        let settings = settings.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Host { disk: Simulation::default(), seed, starts: 0, wall: EPOCH, settings }
    }

    /// Starts a broker and runs a scenario with it. When the scenario ends, everything of the broker ends at once and
    /// nothing more reaches the disk, as with kill -9.
    pub fn run<T>(&mut self, scenario: impl AsyncFnOnce(&Running) -> T) -> Result<T, OpenError> {
        let _on_this_thread = OnThisThread::begin();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        self.starts += 1;
        let random = Random::seeded(self.seed.wrapping_mul(1_000_003).wrapping_add(self.starts));
        let (outcome, elapsed) = runtime.block_on(async {
            let clock = Clock::simulated(self.wall);
            let outcome = match self.open(clock, random).await {
                Ok(running) => Ok(scenario(&running).await),
                Err(error) => Err(error),
            };
            (outcome, clock.monotonic())
        });
        self.wall += TimestampMs::try_from(elapsed.as_millis()).unwrap() + 1;
        self.disk.fail_after_changes(Some(0));
        drop(runtime);
        self.disk.fail_after_changes(None);
        outcome
    }

    /// Replaces the disk by what a power loss leaves of it.
    pub fn lose_power(&mut self, random: &mut dyn FnMut() -> u64) {
        self.disk = self.disk.power_loss(random);
        // Another boot of the machine.
        self.disk.corrupt(&Path::new(DATA).join("ottla-positions"), |bytes| {
            if let Some(first) = bytes.get_mut(2) {
                *first = b'x';
            }
        });
    }

    async fn open(&self, clock: Clock, random: Random) -> Result<Running, OpenError> {
        let config = load(&Sources { command_line: self.settings.clone(), ..Default::default() }).unwrap().config;
        let disk = Some(Disk::simulated(&self.disk));
        let metrics = Registry::default();
        let environment =
            Environment { clock, random, disk, metrics: metrics.clone(), stage: Stage::default(), otlp: None };
        let limiter = LogRateLimiter::new(clock);
        let broker = Broker::open(config, environment, Vec::new(), Arc::new(NoLoggers), Arc::clone(&limiter)).await?;
        let handlers = Arc::new(Handlers::new(Arc::clone(&broker), 1 << 20, &metrics));
        let listener = Arc::new(InMemoryListener::new(handlers, clock, limiter));
        Ok(Running { broker, clock, metrics, listener })
    }
}

impl Running {
    /// A client with a connection of its own.
    pub fn client(&self, client_id: &str) -> Client {
        Client::new(Arc::clone(&self.listener), self.clock, client_id)
    }

    /// Closes the broker as at a clean stop.
    pub fn close(&self) {
        self.broker.close().unwrap();
    }

    pub async fn sleep(&self, time: Duration) {
        self.clock.sleep(time).await;
    }
}

/// A generator of random numbers for scenarios: a clone has the same sequence.
#[derive(Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    pub fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
