//! Record batches as text.

use bytes::Bytes;
use ottla_wire::record::{Batch, BatchHeader, batches};

use super::Known;

/// Parses batches, without an incomplete last one.
pub fn parse(bytes: &[u8]) -> Vec<Batch> {
    let bytes = Bytes::copy_from_slice(bytes);
    batches(&bytes).map_while(Result::ok).collect()
}

/// Each batch with its offsets, attributes and producer; markers with their keys and values.
pub fn show(bytes: &[u8], known: &Known) -> String {
    let all: Vec<_> = parse(bytes).iter().map(|batch| format!("{{{}}}", show_batch(batch, known))).collect();
    format!("[{}]", all.join(" "))
}

fn show_batch(batch: &Batch, known: &Known) -> String {
    let header = batch.header();
    let mut text = format!("offset={}", header.base_offset);
    if header.record_count != 1 {
        text += &format!(" records={}", header.record_count);
    }
    text += &show_producer(header, known);
    if header.is_control() {
        for record in batch.records().map_while(Result::ok) {
            text += &format!(" marker={}/{}", hex(record.key.as_deref()), hex(record.value.as_deref()));
        }
    }
    text
}

fn show_producer(header: &BatchHeader, known: &Known) -> String {
    if !header.has_producer_id() && header.attributes == 0 {
        return String::new();
    }
    let producer = known.producer(header.producer_id);
    format!(
        " attributes={:#x} producer={producer}/{} sequence={}",
        header.attributes, header.producer_epoch, header.base_sequence
    )
}

fn hex(bytes: Option<&[u8]>) -> String {
    bytes.map_or("null".to_owned(), |bytes| bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}
