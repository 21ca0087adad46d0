//! From the records of one decision to batches of the log.

use super::records::{BeginTransactionRecord, EndTransactionRecord, MetadataRecord};
use ottla_wire::codec::EncodeError;

/// The most bytes that the records of one batch may have: half of the 8 MiB that Apache Kafka
/// reads, which leaves more than enough for what surrounds each record.
pub const MAX_BATCH_BYTES: usize = 4 << 20;

/// Cuts the records of one decision into batches of at most about `limit` bytes.
///
/// Usually that is one batch, which a crash keeps whole or not at all. More than one stand between
/// BeginTransaction and EndTransaction (KIP-868): without its end, none of them counts.
///
/// # Errors
/// If a record can't be encoded; then nothing of the decision must be written.
pub fn batches(records: Vec<MetadataRecord>, limit: usize) -> Result<Vec<Vec<MetadataRecord>>, EncodeError> {
    let sizes = records.iter().map(|record| Ok(record.encode()?.len())).collect::<Result<Vec<_>, EncodeError>>()?;
    if sizes.iter().sum::<usize>() <= limit {
        return Ok(if records.is_empty() { Vec::new() } else { vec![records] });
    }
    let begin = MetadataRecord::new(0, BeginTransactionRecord { name: None });
    let end = MetadataRecord::new(0, EndTransactionRecord {});
    let (mut batches, mut batch, mut size) = (Vec::new(), vec![begin], 0);
    for (record, bytes) in records.into_iter().zip(sizes) {
        if size + bytes > limit {
            batches.push(std::mem::take(&mut batch));
            size = 0;
        }
        batch.push(record);
        size += bytes;
    }
    batch.push(end);
    batches.push(batch);
    Ok(batches)
}
