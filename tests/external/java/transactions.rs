//! Transactions by Java clients of every version that has them: protocol 1 before 4.0, then protocol 2.

use std::process::Command;
use std::thread;

use common::Broker;
use libtest_mimic::Trial;
use ottla::client::Client;

use crate::harness::trials;
use crate::java::process::{Running, wait_until};
use crate::java::{Java, java, jvm, run};

/// `today` is the version of the other programs.
const VERSIONS: [&str; 9] = ["0.11.0.3", "1.1.1", "2.0.1", "2.5.1", "2.8.2", "3.0.2", "3.9.2", "4.0.2", "today"];
/// The versions with protocol 2.
const PROTOCOL_2: [&str; 2] = ["4.0.2", "today"];
/// The program's lines: the errors of a fenced and of a timed-out producer. Apache Kafka 4.3.1 causes the same ones.
const ERRORS_1: &str = "commit of the fenced: ProducerFencedException\n\
                        send of the fenced: ProducerFencedException\n\
                        commit after the timeout: ProducerFencedException\n";
const ERRORS_2: &str = "commit of the fenced: ProducerFencedException\n\
                        send of the fenced: InvalidProducerEpochException\n\
                        commit after the timeout: InvalidTxnStateException\n";
/// How many virtual machines run at the same time where each has work to do.
const AT_ONCE: usize = 3;
const KILLS: usize = 4;
/// The broker is killed after so many records more.
const RECORDS_BETWEEN_KILLS: i64 = 100;

fn transactions_of_every_version_end_as_with_apache_kafka() {
    let Some(java) = java() else { return };
    let broker = broker("3");
    for versions in VERSIONS.chunks(AT_ONCE) {
        thread::scope(|scope| {
            for version in versions {
                let bootstrap = broker.bootstrap_servers();
                scope.spawn(move || {
                    let output = run(program(java, version, "Transactions").args([bootstrap, version]));
                    let expected = if PROTOCOL_2.contains(version) { ERRORS_2 } else { ERRORS_1 };
                    assert_eq!(output, expected, "{version}");
                });
            }
        });
    }
}

/// Idempotent and transactional producers that are writing while the broker is killed.
async fn every_version_writes_each_record_once_across_kills_of_the_broker() {
    let Some(java) = java() else { return };
    let mut broker = broker("1");
    let mut programs: Vec<_> = VERSIONS
        .map(|version| {
            let mut program = program(java, version, "Retrying");
            Running::start(version, program.args([broker.bootstrap_servers(), version]))
        })
        .into();
    programs.iter_mut().for_each(|program| program.wait_for("writing"));
    for _ in 0..KILLS {
        wait_for_records(&broker).await;
        broker.kill();
        broker.restart();
    }
    wait_for_records(&broker).await;
    for program in programs {
        let lines = program.finish();
        assert!(lines.last().is_some_and(|line| line.ends_with(" records")), "{lines:?}");
    }
}

/// Waits until every version has written more to both of its topics.
async fn wait_for_records(broker: &Broker) {
    let client = Client::connect(broker.bootstrap_servers()).await.unwrap();
    let mut topics =
        VERSIONS.map(|version| [format!("{version}-idempotent"), format!("{version}-transactional")]).concat();
    // As the program says, this version has no transactions across kills.
    topics.retain(|topic| !topic.starts_with("0.11") || topic.ends_with("-idempotent"));
    let ends = async || {
        let requested: Vec<_> = topics.iter().map(|topic| (topic.as_str(), 0, -1)).collect();
        let listed = client.list_offsets(&requested).await.unwrap();
        listed.into_iter().map(|end| end.unwrap().offset).collect::<Vec<_>>()
    };
    let before = ends().await;
    let runtime = tokio::runtime::Handle::current();
    tokio::task::block_in_place(|| {
        wait_until("more records of every version", || {
            let now = runtime.block_on(ends());
            now.iter().zip(&before).all(|(now, before)| *now >= before + RECORDS_BETWEEN_KILLS)
        });
    });
}

fn broker(partitions: &str) -> Broker {
    Broker::with()
        .set("num.partitions", partitions)
        .set("group.initial.rebalance.delay.ms", "0")
        .set("transaction.abort.timed.out.transaction.cleanup.interval.ms", "100")
        .start()
}

/// Returns the command of a program of `tests/java/transactions` with that version of Kafka's clients.
pub fn program(java: &Java, version: &str, name: &str) -> Command {
    let classes = java.classes("transactions", &[&java.libs("0.11.0.3")]);
    let mut command = jvm(&[classes, java.libs(version), java.libs("shared")].join(":"));
    command.arg(name);
    command
}

pub fn tests() -> Vec<Trial> {
    trials![
        plain: transactions_of_every_version_end_as_with_apache_kafka;
        on_tokio: every_version_writes_each_record_once_across_kills_of_the_broker
    ]
}
