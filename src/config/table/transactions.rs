//! Transactions.

use super::settings;

settings! {
    pub(super) const TRANSACTIONS:
    "transactional.id.expiration.ms",                              Int,     "604800000", AtLeast(1), ReadOnly,    Ignored, "A transactional id unused for this long is removed.";
    "transaction.max.timeout.ms",                                  Int,     "900000",    AtLeast(1), ReadOnly,    Ignored, "The longest timeout that a transaction may request.";
    "transaction.abort.timed.out.transaction.cleanup.interval.ms", Int,     "10000",     AtLeast(1), ReadOnly,    Ignored, "How often overdue transactions are looked for and aborted.";
    "transaction.remove.expired.transaction.cleanup.interval.ms",  Int,     "3600000",   AtLeast(1), ReadOnly,    Ignored, "How often unused transactional ids are looked for.";
    "transaction.partition.verification.enable",                   Boolean, "true",      Any,        ClusterWide, Ignored, "Whether a partition checks that a transaction is open before it takes its records.";
    "transaction.two.phase.commit.enable",                         Boolean, "false",     Any,        ReadOnly,    Ignored, "Whether a producer may leave the outcome to a coordinator outside.";
    "transaction.state.log.load.buffer.size",                      Int,     "5242880",   AtLeast(1), ReadOnly,    Ignored, "The read size when __transaction_state is loaded.";
    "transaction.state.log.min.isr",                               Int,     "1",         AtLeast(1), ReadOnly,    Ignored, "Replicas of __transaction_state that must have a write; there is one.",
        kafka "2", "There is one broker.";
    "transaction.state.log.num.partitions",                        Int,     "50",        AtLeast(1), ReadOnly,    Ignored, "Partitions of __transaction_state, fixed when it is created.";
    "transaction.state.log.replication.factor",                    Short,   "1",         AtLeast(1), ReadOnly,    Ignored, "Replicas of __transaction_state; there is one.",
        kafka "3", "There is one broker.";
    "transaction.state.log.segment.bytes",                         Int,     "104857600", AtLeast(1), ReadOnly,    Ignored, "The segment size of __transaction_state.";
    "add.partitions.to.txn.retry.backoff.ms",                      Int,     "20",        AtLeast(1), ReadOnly,    Ignored, "The pause before a partition is added to a transaction again.";
    "add.partitions.to.txn.retry.backoff.max.ms",                  Int,     "100",       AtLeast(0), ReadOnly,    Ignored, "How long such retries go on.";
}
