//! Memory of an open log.

use ottla_log::{Log, LogConfig};
use ottla_wire::record::Codec;
use ottla_wire::types::Offset;

use crate::report::{Table, significant};
use crate::{fixture, system};

const LOGS: usize = 2000;

pub fn measure() -> Table {
    let dir = fixture::scratch();
    let disk = fixture::disk(dir.path());
    let before = own_bytes();
    let per_log = || format!("{} KB", significant((own_bytes() - before) / LOGS as f64 / 1e3));
    let open = |index| fixture::open(&disk, &dir.path().join(format!("t-{index}")), LogConfig::default());
    let mut logs: Vec<Log> = (0..LOGS).map(open).collect();
    let opened = per_log();
    let (batch, append_as) = (fixture::batch(1000, Codec::None), fixture::as_client());
    logs.iter_mut().for_each(|log| drop(log.append(&batch, append_as)));
    let appended = per_log();
    logs.iter().for_each(|log| drop(log.read(0, 1 << 20, true, Offset::MAX).expect("reads")));
    let read = per_log();
    for _ in 0..50 {
        logs.iter_mut().for_each(|log| drop(log.append(&batch, append_as)));
    }
    let grown = per_log();
    let mut table = Table::new("memory of a log", ["open and empty", "after an append", "and a read", "and 50 more"]);
    table.row(&format!("mean of {LOGS}"), [opened, appended, read, grown]);
    table
}

fn own_bytes() -> f64 {
    system::memory(std::process::id()).own * 1e6
}
