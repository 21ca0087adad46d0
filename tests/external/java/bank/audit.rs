//! What was ordered, acknowledged and read, and whether they agree.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

const AUDITORS: usize = 2;
/// A reader may see one half of a transfer while the other partition's marker is still to be written, and while the
/// broker or the reader starts again; not for longer.
const TIME_FOR_BOTH_HALVES: Duration = Duration::from_secs(60);

#[derive(Default)]
pub struct Audit {
    transfers: HashMap<String, Transfer>,
    /// The balance of each account, by auditor.
    balances: [BTreeMap<u64, i64>; AUDITORS],
    /// The offset behind the last record of each partition, by auditor.
    next: [HashMap<String, u64>; AUDITORS],
    /// Transfers of which an auditor saw one half, by auditor.
    halves: [HashMap<String, Instant>; AUDITORS],
    complete: [usize; AUDITORS],
}

#[derive(Default)]
struct Transfer {
    payer: u64,
    receiver: u64,
    amount: i64,
    acknowledged: bool,
    /// Whether the payer's and the receiver's record was seen, by auditor.
    seen: [[bool; 2]; AUDITORS],
}

impl Audit {
    pub fn ordered(&mut self, id: &str, payer: u64, receiver: u64, amount: u64) {
        let transfer = Transfer { payer, receiver, amount: amount as i64, ..Transfer::default() };
        self.transfers.insert(id.to_owned(), transfer);
    }

    pub fn acknowledged(&mut self, id: &str) {
        let transfer = self.transfers.get_mut(id).unwrap_or_else(|| panic!("{id} was not ordered"));
        assert!(!transfer.acknowledged, "{id} was acknowledged twice: the first transaction was lost");
        transfer.acknowledged = true;
    }

    /// Adds what an auditor has read.
    pub fn seen(&mut self, auditor: usize, lines: &[String]) {
        for line in lines {
            let fields: Vec<_> = line.split('\t').collect();
            let (partition, offset): (&str, u64) = (fields[1], fields[2].parse().expect("an offset"));
            let next = self.next[auditor].insert(partition.to_owned(), offset + 1).unwrap_or_default();
            assert!(offset >= next, "auditor {auditor} read offset {offset} of partition {partition} after {next}");
            let (id, change) = fields[4].split_once(' ').expect("an id and a change");
            self.seen_half(auditor, id, fields[3].parse().expect("an account"), change.parse().expect("a change"));
        }
    }

    fn seen_half(&mut self, auditor: usize, id: &str, account: u64, change: i64) {
        let transfer = self.transfers.get_mut(id).unwrap_or_else(|| panic!("{id} was not ordered"));
        let half = usize::from(change > 0);
        let expected = [(transfer.payer, -transfer.amount), (transfer.receiver, transfer.amount)][half];
        assert_eq!((account, change), expected, "{id}");
        assert!(!transfer.seen[auditor][half], "auditor {auditor} read {id} twice: {account} {change}");
        transfer.seen[auditor][half] = true;
        *self.balances[auditor].entry(account).or_default() += change;
        if transfer.seen[auditor] == [true; 2] {
            self.halves[auditor].remove(id);
            self.complete[auditor] += 1;
        } else {
            self.halves[auditor].insert(id.to_owned(), Instant::now());
        }
    }

    /// Asserts that no auditor waits too long for the other half of a transfer.
    pub fn check_halves(&self) {
        for (auditor, halves) in self.halves.iter().enumerate() {
            for (id, since) in halves {
                assert!(since.elapsed() < TIME_FOR_BOTH_HALVES, "auditor {auditor} read only one half of {id}");
            }
        }
    }

    /// Whether everything that a mover was to do is acknowledged.
    pub fn all_acknowledged(&self, mover: usize) -> bool {
        let prefix = format!("{mover}-");
        self.transfers.iter().filter(|(id, _)| id.starts_with(&prefix)).all(|(_, transfer)| transfer.acknowledged)
    }

    /// Whether both auditors have read all transfers completely.
    pub fn is_complete(&self) -> bool {
        self.complete.iter().all(|count| *count == self.transfers.len())
    }

    pub fn len(&self) -> usize {
        self.transfers.len()
    }

    /// Asserts that the auditors agree with the orders, and that the sum is as at the beginning.
    pub fn check_balances(&self) {
        let mut expected: BTreeMap<u64, i64> = BTreeMap::new();
        for transfer in self.transfers.values() {
            *expected.entry(transfer.payer).or_default() -= transfer.amount;
            *expected.entry(transfer.receiver).or_default() += transfer.amount;
        }
        for balances in &self.balances {
            assert_eq!(balances, &expected);
            assert_eq!(balances.values().sum::<i64>(), 0, "the sum of all accounts");
        }
    }
}
