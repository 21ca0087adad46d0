//! How far a broker's start or stop is, for health checks and metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};

use ottla_metrics::{Collector, Kind, Metric, Scrape};

static BROKER_STATE: Metric = Metric::gauge(
    "kafka.server:type=KafkaServer,name=BrokerState",
    "1: starting. 2: recovering logs after an unclean stop, before clients are served. 3: the broker serves clients. 7: \
     stopping.",
);
static TO_RECOVER: Metric = Metric::named(
    "ottla_log_recovery_remaining",
    Kind::Gauge,
    &[],
    "Logs that are still to be opened after an unclean stop.",
);

/// The metrics that this module has.
pub fn metrics() -> [&'static Metric; 2] {
    [&BROKER_STATE, &TO_RECOVER]
}

/// The phases of a broker, with the values of Kafka's broker states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Starting = 1,
    /// Logs are opened after a power loss, before clients are served.
    Recovering = 2,
    Running = 3,
    Stopping = 7,
}

/// The stage of one broker. A clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Stage(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    /// 0 is [`Phase::Starting`] too.
    phase: AtomicU8,
    to_recover: AtomicUsize,
    recovered: AtomicUsize,
    registry_is_loading: AtomicBool,
}

impl Stage {
    pub fn set(&self, phase: Phase) {
        self.0.phase.store(phase as u8, Ordering::Relaxed);
    }

    pub fn phase(&self) -> Phase {
        match self.0.phase.load(Ordering::Relaxed) {
            2 => Phase::Recovering,
            3 => Phase::Running,
            7 => Phase::Stopping,
            _ => Phase::Starting,
        }
    }

    /// Begins the recovery of a number of logs.
    pub fn begin_recovery(&self, logs: usize) {
        self.0.to_recover.store(logs, Ordering::Relaxed);
    }

    /// Counts a log that was opened.
    pub fn recovered_one(&self) {
        self.0.recovered.fetch_add(1, Ordering::Relaxed);
    }

    /// Logs that were opened, and all that are to be opened; `None` if there is no recovery or it is done.
    pub fn recovery(&self) -> Option<(usize, usize)> {
        let (done, all) = (self.0.recovered.load(Ordering::Relaxed), self.0.to_recover.load(Ordering::Relaxed));
        (done < all).then_some((done, all))
    }

    /// Notes whether the schema registry reads its topic for the first time.
    pub fn set_registry_is_loading(&self, is_loading: bool) {
        self.0.registry_is_loading.store(is_loading, Ordering::Relaxed);
    }

    /// Why clients are not served completely, one plain text each; empty if they are.
    pub fn reasons(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        match (self.phase(), self.recovery()) {
            (Phase::Running, _) => {}
            (Phase::Stopping, _) => reasons.push("the broker is stopping".to_owned()),
            (Phase::Recovering, Some((done, all))) => {
                let percent = 100 * done / all;
                reasons.push(format!("recovering logs after an unclean stop: {done} of {all} are open ({percent} %)"));
            }
            (Phase::Starting | Phase::Recovering, _) => reasons.push("the broker is starting".to_owned()),
        }
        if self.0.registry_is_loading.load(Ordering::Relaxed) {
            reasons.push("the schema registry is loading its topic".to_owned());
        }
        reasons
    }
}

impl Collector for Stage {
    fn collect(&self, scrape: &mut Scrape) {
        scrape.single(&BROKER_STATE, self.phase() as i32);
        scrape.single(&TO_RECOVER, self.recovery().map_or(0, |(done, all)| all - done));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_name_the_phase_the_share_of_recovered_logs_and_the_registry() {
        let stage = Stage::default();
        assert_eq!(stage.reasons(), ["the broker is starting"]);
        stage.set(Phase::Recovering);
        stage.begin_recovery(120);
        (0..37).for_each(|_| stage.recovered_one());
        assert_eq!(stage.reasons(), ["recovering logs after an unclean stop: 37 of 120 are open (30 %)"]);
        stage.set(Phase::Running);
        assert_eq!(stage.reasons(), [""; 0]);
        stage.set_registry_is_loading(true);
        assert_eq!(stage.reasons(), ["the schema registry is loading its topic"]);
        stage.set_registry_is_loading(false);
        stage.set(Phase::Stopping);
        assert_eq!(stage.reasons(), ["the broker is stopping"]);
        (37..120).for_each(|_| stage.recovered_one());
        assert_eq!(stage.recovery(), None);
    }
}
