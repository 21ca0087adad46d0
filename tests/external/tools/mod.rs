//! Ottla's command-line tools compared with Apache Kafka's on the same broker: same output, same exit code.
//!
//! A case is a command line. Without Java, only Ottla's tool is run, and must succeed.

mod acls;
mod cluster;
mod configs;
mod console_consumer;
mod consuming;
mod dump_log;
mod get_offsets;
mod groups;
mod groups_with_java;
mod normalise;
mod partitions;
mod producing;
mod run_class;
mod side_by_side;
mod storage;
mod topics;
mod transactions;

use libtest_mimic::Trial;

/// The tests of all modules.
pub fn tests() -> Vec<Trial> {
    let suites = [
        acls::tests(),
        cluster::tests(),
        configs::tests(),
        console_consumer::tests(),
        consuming::tests(),
        dump_log::tests(),
        get_offsets::tests(),
        groups::tests(),
        groups_with_java::tests(),
        partitions::tests(),
        producing::tests(),
        run_class::tests(),
        storage::tests(),
        topics::tests(),
        transactions::tests(),
    ];
    suites.into_iter().flatten().collect()
}
