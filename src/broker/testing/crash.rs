//! Crashes of a broker at every change and at every sync of the disk while transactions run: after each, a transaction is
//! whole or absent, and no later one is blocked.

use super::reader::View;
use super::*;
use ottla_wire::types::Offset;

const TOPIC: &str = "d";
const PARTITIONS: i32 = 2;
const GROUP: &str = "g";
const TIMEOUT: Duration = Duration::from_secs(20);
/// The interval in which the coordinator looks for overdue transactions, and some time for the markers.
const ABORT_DELAY: Duration = Duration::from_secs(12);
/// Syncs every batch before it is acknowledged.
const SYNCED: [(&str, &str); 1] = [("log.flush.interval.messages", "1")];

/// A transaction that writes one record to each partition and commits an offset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Transaction {
    number: u64,
    fate: Fate,
}

/// What a client knows of the end of its transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The client did not ask for a commit, or the abort was acknowledged.
    Aborted,
    /// The client asked for a commit and has no answer.
    Unknown,
    Committed,
}

/// The transactions in the order of their ends.
type History = Vec<Transaction>;

fn value(number: u64, partition: i32) -> u64 {
    number * 10 + partition.unsigned_abs() as u64
}

async fn write(client: &mut Client, producer: &mut Producer, number: u64) -> Outcome<()> {
    for partition in 0..PARTITIONS {
        producer.produce(client, TOPIC, partition, value(number, partition)).await?;
    }
    producer.commit_offset(client, GROUP, (TOPIC, 0), number as Offset).await
}

async fn end(
    client: &mut Client,
    producer: &mut Producer,
    number: u64,
    commits: bool,
    history: &mut History,
) -> Outcome<()> {
    let at = history.len();
    history.push(Transaction { number, fate: if commits { Fate::Unknown } else { Fate::Aborted } });
    producer.end(client, commits).await?;
    if commits {
        history[at].fate = Fate::Committed;
    }
    Ok(())
}

async fn set_up(running: &Running, level: i16) -> Outcome<()> {
    let mut client = running.client("admin");
    client.create_topic(TOPIC, PARTITIONS, &[]).await?;
    client.set_transaction_version(level).await?;
    client.find_coordinator("a", true).await?;
    client.find_coordinator(GROUP, false).await
}

/// Commits, aborts, two transactions at the same time, and one that stays open.
async fn work(running: &Running, protocol: Protocol, history: &mut History) -> Outcome<()> {
    let (mut client, mut other_client) = (running.client("a"), running.client("b"));
    let timeout = TIMEOUT.as_millis() as i32;
    let (mut a, mut b) = (Producer::new("a", protocol, timeout), Producer::new("b", protocol, timeout));
    a.init(&mut client, false).await?;
    write(&mut client, &mut a, 1).await?;
    end(&mut client, &mut a, 1, true, history).await?;
    write(&mut client, &mut a, 2).await?;
    end(&mut client, &mut a, 2, false, history).await?;
    b.init(&mut other_client, false).await?;
    write(&mut client, &mut a, 3).await?;
    write(&mut other_client, &mut b, 4).await?;
    end(&mut other_client, &mut b, 4, true, history).await?;
    end(&mut client, &mut a, 3, true, history).await?;
    a.init(&mut client, true).await?;
    write(&mut client, &mut a, 5).await?;
    end(&mut client, &mut a, 5, true, history).await?;
    write(&mut client, &mut a, 6).await?;
    history.push(Transaction { number: 6, fate: Fate::Aborted });
    Ok(())
}

/// What happens to the open transactions after a crash.
#[derive(Clone, Copy, Debug)]
enum After {
    /// Their producers come back.
    Init,
    /// Nobody comes back: they time out.
    Timeout,
}

/// Checks the broker after a crash.
async fn check(running: &Running, protocol: Protocol, after: After, history: &History, what: &str) {
    let mut client = running.client("c");
    let mut view = View::new(TOPIC, PARTITIONS);
    match after {
        After::Init => {
            for id in ["a", "b"] {
                let mut producer = Producer::new(id, protocol, TIMEOUT.as_millis() as i32);
                producer.init(&mut client, false).await.unwrap_or_else(|error| panic!("{what}: init {id}: {error:?}"));
            }
        }
        After::Timeout => running.sleep(TIMEOUT + ABORT_DELAY).await,
    }
    view.check_stable(&mut client, what).await;
    view.read(&mut client).await.unwrap();
    let mut offset = -1;
    for Transaction { number, fate } in history {
        let seen = (0..PARTITIONS).filter(|partition| view.has(*partition, value(*number, *partition))).count();
        let all = PARTITIONS as usize;
        let is_right = match fate {
            Fate::Aborted => seen == 0,
            Fate::Unknown => seen == 0 || seen == all,
            Fate::Committed => seen == all,
        };
        assert!(is_right, "{what}: {seen} records of transaction {number}, {fate:?}; {history:?}");
        if seen == all {
            offset = *number as Offset;
        }
    }
    let committed = client.committed_offset(GROUP, TOPIC, 0).await;
    // A transaction's offsets are materialized in the order of the commits' records, which is that of the writes.
    assert!(is_committed(committed, offset, history), "{what}: offset {committed:?}, not {offset}; {history:?}");
    check_later_transactions(running, protocol, &mut view, what).await;
}

/// Transactions 3 and 4 are open at the same time: the offset that was written last stays.
fn is_committed(committed: Outcome<Offset>, last_ended: Offset, history: &History) -> bool {
    let both = history.iter().any(|transaction| transaction.number == 4);
    committed == Ok(last_ended) || (both && last_ended == 3 && committed == Ok(4))
}

async fn check_later_transactions(running: &Running, protocol: Protocol, view: &mut View, what: &str) {
    for (number, id) in [(100, "c"), (101, "a"), (102, "b")] {
        let mut client = running.client(id);
        let mut producer = Producer::new(id, protocol, TIMEOUT.as_millis() as i32);
        let ended = async {
            producer.init(&mut client, false).await?;
            write(&mut client, &mut producer, number).await?;
            producer.end(&mut client, true).await
        };
        assert_eq!(ended.await, Ok(()), "{what}: transaction of {id}");
        view.check_stable(&mut client, what).await;
        view.read(&mut client).await.unwrap();
        assert!((0..PARTITIONS).all(|partition| view.has(partition, value(number, partition))), "{what}: {id}");
        assert_eq!(client.committed_offset(GROUP, TOPIC, 0).await, Ok(number as Offset), "{what}: {id}");
    }
}

const VARIANTS: [(Protocol, i16); 3] = [(Protocol::One, 0), (Protocol::One, 2), (Protocol::Two, 2)];

/// How often the disk was changed and synced before and after the work.
async fn counts(running: &Running, disk: &Simulation, protocol: Protocol, level: i16) -> [(u64, u64); 2] {
    set_up(running, level).await.unwrap();
    let before = (disk.changes(), disk.syncs());
    work(running, protocol, &mut History::new()).await.unwrap();
    [before, (disk.changes(), disk.syncs())]
}

/// A crash in the middle of a recovery, or none.
fn crash_again(host: &mut Host, dice: &mut Dice) {
    if !dice.one_in(3) {
        return;
    }
    host.disk.fail_after_changes(Some(dice.below(20)));
    let _ = host.run(async |running| {
        let mut producer = Producer::new("a", Protocol::Two, 1_000);
        let _ = producer.init(&mut running.client("a"), false).await;
    });
}

#[test]
fn transactions_after_kill_at_any_change_are_whole_or_absent() {
    for (protocol, level) in VARIANTS {
        let mut host = Host::new(1, &[]);
        let disk = host.disk.clone();
        let [(from, _), (to, _)] = host.run(async |running| counts(running, &disk, protocol, level).await).unwrap();
        assert!(to - from > 40, "{} changes", to - from);
        for kill in from..=to {
            let what = format!("{protocol:?}, level {level}, change {kill} of {from}..={to}");
            let (mut host, mut history) = (Host::new(1, &[]), History::new());
            let disk = host.disk.clone();
            let worked = host.run(async |running| {
                set_up(running, level).await.unwrap();
                assert_eq!(disk.changes(), from, "the set-up is repeatable");
                disk.fail_after_changes(Some(kill - from));
                work(running, protocol, &mut history).await
            });
            assert_eq!(worked.unwrap().is_ok(), kill == to, "{what}");
            crash_again(&mut host, &mut Dice::new(kill));
            let after = if kill % 2 == 0 { After::Init } else { After::Timeout };
            let checked = host.run(async |running| check(running, protocol, after, &history, &what).await);
            checked.unwrap_or_else(|error| panic!("{what}: {error}"));
        }
    }
}

#[test]
fn synced_transactions_after_power_loss_at_any_sync_are_whole_or_absent() {
    for (protocol, level) in VARIANTS {
        let mut host = Host::new(1, &SYNCED);
        let disk = host.disk.clone();
        let [(_, from), (_, to)] = host.run(async |running| counts(running, &disk, protocol, level).await).unwrap();
        assert!(to - from > 40, "{} syncs", to - from);
        for crash in from + 1..=to {
            for seed in 0..2 {
                let what = format!("{protocol:?}, level {level}, sync {crash} of {from}..={to}, seed {seed}");
                let (mut host, mut history) = (Host::new(1, &SYNCED), History::new());
                let disk = host.disk.clone();
                let worked = host.run(async |running| {
                    set_up(running, level).await.unwrap();
                    disk.crash_at_sync(crash);
                    work(running, protocol, &mut history).await
                });
                assert!(worked.unwrap().is_err() || crash == to, "{what}");
                let mut dice = Dice::new(crash * 100 + seed);
                host.lose_power(&mut || dice.next());
                crash_again(&mut host, &mut dice);
                let after = if (crash + seed) % 2 == 0 { After::Init } else { After::Timeout };
                let checked = host.run(async |running| check(running, protocol, after, &history, &what).await);
                checked.unwrap_or_else(|error| panic!("{what}: {error}"));
            }
        }
    }
}

#[test]
fn disk_after_the_same_seed_has_the_same_changes() {
    let run = |seed| {
        let mut host = Host::new(seed, &SYNCED);
        let disk = host.disk.clone();
        let counts = host.run(async |running| counts(running, &disk, Protocol::Two, 2).await).unwrap();
        (counts, disk.digest())
    };
    assert_eq!(run(5), run(5));
    assert_ne!(run(5).1, run(6).1);
}
