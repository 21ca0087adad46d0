//! The batches of `__consumer_offsets` with the offsets of transactions and their markers.

use std::fmt::Write as _;

use ottla_wire::record::{Batch, Record};

use super::transaction_log::{Bytes, time};
use crate::wire::WireClient;

const TOPIC: &str = "__consumer_offsets";
/// The version of the keys of committed offsets.
const OFFSET_COMMIT: i64 = 1;

/// All batches, in the order of the log. Records that are not offsets are shown by the version of their key.
pub fn show(client: &mut WireClient) -> String {
    let batches = client.batches(TOPIC, 0);
    let shown: Vec<_> = batches.iter().map(|batch| format!("[{}]", show_batch(batch, client))).collect();
    shown.join(" ")
}

fn show_batch(batch: &Batch, client: &WireClient) -> String {
    let header = batch.header();
    let mut text = format!("attributes={:#x}", header.attributes);
    if header.has_producer_id() {
        let producer = client.producer(header.producer_id);
        let _ = write!(text, " {producer}/{} sequence={}", header.producer_epoch, header.base_sequence);
    }
    for record in batch.records() {
        let record = record.expect("a readable record");
        let shown = if header.is_control() { show_marker(&record) } else { show_record(&record) };
        let _ = write!(text, " {shown}");
    }
    text
}

fn show_marker(record: &Record) -> String {
    format!("marker={:?}/{:?}", record.key.as_deref(), record.value.as_deref())
}

fn show_record(record: &Record) -> String {
    let mut key = Bytes { rest: record.key.as_deref().expect("a key"), flexible: false };
    let version = key.number(2);
    if version != OFFSET_COMMIT {
        return format!("key-{version}");
    }
    let (group, topic, partition) = (key.text(), key.text(), key.number(4));
    let Some(value) = record.value.as_deref() else { return format!("{group}:{topic}-{partition}=null") };
    let mut value = Bytes { rest: value, flexible: false };
    let version = value.number(2);
    value.flexible = version >= 4;
    let offset = value.number(8);
    let epoch = value.number(4);
    let metadata = value.text();
    let committed = time(value.number(8));
    let tags = if value.flexible { value.uvarint() } else { 0 };
    format!("{group}:{topic}-{partition}=v{version}:{offset}/{epoch}/{metadata:?}/{committed} tags={tags}")
}
