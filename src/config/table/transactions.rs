//! Transactions.

use super::settings;

settings! {
    pub(super) const TRANSACTIONS:
    "transactional.id.expiration.ms",                              Int,     "604800000", AtLeast(1), ReadOnly,    Implemented, "A transactional id that had no transaction for this long is removed.";
    "transaction.max.timeout.ms",                                  Int,     "900000",    AtLeast(1), ReadOnly,    Implemented, "The longest timeout that a client may request for its transactions.";
    "transaction.abort.timed.out.transaction.cleanup.interval.ms", Int,     "10000",     AtLeast(1), ReadOnly,    Implemented, "How often transactions are checked for their timeout; overdue ones are aborted.";
    "transaction.remove.expired.transaction.cleanup.interval.ms",  Int,     "3600000",   AtLeast(1), ReadOnly,    Implemented, "How often transactional ids are checked for expiration.";
    "transaction.partition.verification.enable",                   Boolean, "true",      Any,        ClusterWide, Implemented, "Whether a partition accepts records of a transaction only after the coordinator confirmed that it is part of it.";
    "transaction.two.phase.commit.enable",                         Boolean, "false",     Any,        ReadOnly,    Implemented, "Whether a coordinator outside may decide the outcome of transactions. Not supported yet: the broker does not start with true.";
    "transaction.state.log.load.buffer.size",                      Int,     "5242880",   AtLeast(1), ReadOnly,    Ignored, "The read size when __transaction_state is loaded.";
    "transaction.state.log.min.isr",                               Int,     "1",         AtLeast(1), ReadOnly,    Ignored, "Replicas of __transaction_state that must have a write; there is one.",
        kafka "2", "There is one broker.";
    "transaction.state.log.num.partitions",                        Int,     "50",        AtLeast(1), ReadOnly,    Implemented, "Partitions of __transaction_state, fixed when it is created.";
    "transaction.state.log.replication.factor",                    Short,   "1",         AtLeast(1), ReadOnly,    Ignored, "Replicas of __transaction_state; there is one.",
        kafka "3", "There is one broker.";
    "transaction.state.log.segment.bytes",                         Int,     "104857600", AtLeast(1), ReadOnly,    Implemented, "The segment size of __transaction_state.";
    "add.partitions.to.txn.retry.backoff.ms",                      Int,     "20",        AtLeast(1), ReadOnly,    Ignored, "The pause before a partition is added to a transaction again.";
    "add.partitions.to.txn.retry.backoff.max.ms",                  Int,     "100",       AtLeast(0), ReadOnly,    Ignored, "How long such retries go on.";
}
