//! Aborts of overdue transactions, and removal of unused ids.

use std::time::Duration;

use super::TransactionMachine;
use super::machine::Decision;
use ottla_wire::types::{Now, TimestampMs};

/// Maximum number of transactions that one check aborts, so that its batch stays small. The next check follows at once.
const MAX_ABORTS: usize = 100;
/// Maximum number of unused ids that one check removes, for the same reason.
const EXPIRY_BATCH: usize = 5_000;

impl TransactionMachine {
    /// Aborts transactions that were open for longer than their timeout.
    pub(super) fn abort_overdue(&mut self, decision: &mut Decision) {
        let now = decision.now;
        let overdue = self.ongoing.iter().take_while(|(deadline, _)| *deadline < now.wall);
        let overdue: Vec<_> = overdue.take(MAX_ABORTS).map(|(_, id)| id.clone()).collect();
        self.next_abort_check = next_check(now, overdue.len() < MAX_ABORTS, self.config.abort_check_interval);
        for id in overdue {
            let Some(current) = self.ids.get(&id).map(|entry| entry.durable.clone()) else { continue };
            if self.abort_lines.allows((), now.monotonic) {
                tracing::info!(
                    transactional_id = %id,
                    producer_id = current.producer.producer_id,
                    timeout_ms = current.timeout_ms,
                    partitions = current.partitions.len(),
                    "aborted a transaction that was open for longer than its timeout"
                );
            }
            // Without a next producer id: a timer cannot allocate one. If the epoch is exhausted, the markers have the
            // maximum epoch, and the next InitProducerId assigns a new producer id.
            self.fence(decision, &id, &current, None);
        }
    }

    /// Removes ids without a transaction that were not used for `transactional.id.expiration.ms`.
    pub(super) fn remove_unused(&mut self, decision: &mut Decision) {
        let now = decision.now;
        let expiration = TimestampMs::try_from(self.config.id_expiration.as_millis()).unwrap_or(TimestampMs::MAX);
        let unused_since = now.wall.saturating_sub(expiration);
        let unused = self.idle.iter().take_while(|(last_update, _)| *last_update <= unused_since);
        let unused: Vec<_> = unused.take(EXPIRY_BATCH).map(|(_, id)| id.clone()).collect();
        self.next_removal = next_check(now, unused.len() < EXPIRY_BATCH, self.config.removal_interval);
        for id in &unused {
            decision.record(id, None);
        }
    }

    /// Logs how many lines about overdue transactions were suppressed.
    pub(super) fn report_suppressed_lines(&mut self, now: Now) {
        for report in self.abort_lines.take_due(now.monotonic) {
            let (count, seconds) = (report.suppressed, report.seconds);
            tracing::info!(count, seconds, "suppressed log lines: aborts of transactions");
        }
    }
}

fn next_check(now: Now, is_done: bool, interval: Duration) -> Duration {
    if is_done { now.monotonic.saturating_add(interval) } else { now.monotonic }
}
