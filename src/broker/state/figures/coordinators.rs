//! Figures of the coordinators of groups and of transactions.

use super::super::Broker;
use super::super::runtime::MachineStates;
use ottla_metrics::{Metric, Scrape};

macro_rules! metrics {
    ($($id:ident $kind:ident($($argument:expr),*) $help:literal;)*) => {
        $(static $id: Metric = Metric::$kind($($argument,)* $help);)*
        /// The metrics that this module has.
        pub(super) const METRICS: &[&Metric] = &[$(&$id,)*];
    };
}

const GROUPS: &str = "kafka.server:type=group-coordinator-metrics";
const TRANSACTIONS: &str = "kafka.server:type=transaction-coordinator-metrics";

metrics! {
    COMMITS attribute(GROUPS, "offset-commit-count") "Offsets that were committed.";
    EXPIRATIONS attribute(GROUPS, "offset-expiration-count") "Committed offsets that were deleted after offsets.retention.minutes.";
    DELETIONS attribute(GROUPS, "offset-deletion-count") "Committed offsets that were deleted by requests, or with their group or topic.";
    REBALANCES attribute(GROUPS, "group-completed-rebalance-count") "Rebalances of classic groups in which the leader sent its assignment.";
    GROUP_PARTITIONS attribute("kafka.server:type=group-coordinator-metrics,state={state}", "num-partitions") "Partitions of __consumer_offsets by the state of their coordinator.";
    GROUP_LOAD_MAX attribute(GROUPS, "partition-load-time-max") "The longest time in ms to load a partition of __consumer_offsets, since the start.";
    GROUP_LOAD_AVG attribute(GROUPS, "partition-load-time-avg") "The mean time in ms to load a partition of __consumer_offsets, since the start.";
    TXN_LOAD_MAX attribute(TRANSACTIONS, "partition-load-time-max") "The longest time in ms to load a partition of __transaction_state, since the start.";
    TXN_LOAD_AVG attribute(TRANSACTIONS, "partition-load-time-avg") "The mean time in ms to load a partition of __transaction_state, since the start.";
    MARKER_RETRIES gauge("kafka.coordinator.transaction:type=TransactionMarkerChannelManager,name=LogAppendRetryQueueSize") "Ended transactions of which some markers could not be written yet; they are tried again.";
    UNKNOWN_DESTINATIONS gauge("kafka.coordinator.transaction:type=TransactionMarkerChannelManager,name=UnknownDestinationQueueSize") "Always 0: markers are written by the broker itself.";
}

/// Locks the coordinators one after the other.
pub(super) fn collect(broker: &Broker, scrape: &mut Scrape) {
    let counts = broker.groups().counts();
    scrape.single(&COMMITS, counts.commits.get());
    scrape.single(&EXPIRATIONS, counts.expirations.get());
    scrape.single(&DELETIONS, counts.deletions.get());
    scrape.single(&REBALANCES, counts.rebalances.get());
    let MachineStates { loading, active, failed } = broker.groups().runtime().machine_states();
    let mut partitions = scrape.family(&GROUP_PARTITIONS);
    for (state, count) in [("loading", loading), ("active", active), ("failed", failed)] {
        partitions.sample(&[state], count);
    }
    let (groups, transactions) = (broker.groups().runtime().load_times(), broker.transactions().runtime().load_times());
    scrape.single(&GROUP_LOAD_MAX, groups.longest_ms());
    scrape.single(&GROUP_LOAD_AVG, groups.mean_ms());
    scrape.single(&TXN_LOAD_MAX, transactions.longest_ms());
    scrape.single(&TXN_LOAD_AVG, transactions.mean_ms());
    scrape.single(&MARKER_RETRIES, broker.work_figures().marker_retries.count());
    scrape.single(&UNKNOWN_DESTINATIONS, 0u64);
}
