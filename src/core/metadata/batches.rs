//! Splits the records of one decision into batches of the log.

use super::records::{BeginTransactionRecord, EndTransactionRecord, MetadataRecord};
use ottla_wire::codec::EncodeError;

/// The maximum size of the record values of one batch, in bytes: half of the 8 MiB that Apache Kafka reads. The
/// other half is for the headers of the batch and of its records.
pub const MAX_BATCH_BYTES: usize = 4 << 20;

/// Splits the records of one decision into batches of about `limit` bytes at most.
///
/// Usually that is one batch, which is atomic. Several batches are enclosed in BeginTransaction and EndTransaction
/// (KIP-868): replay drops them if EndTransaction is missing.
///
/// # Errors
/// If a record can't be encoded. None of the records may be written then.
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
