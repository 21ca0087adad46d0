//! The transactions in partitions of `__transaction_state`, to name those that are open in other partitions.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::cli::tools::kafka_dump_log::batches::BatchFile;
use ottla_core::coordinator::records::{TransactionMetadata, TransactionRecord};
use ottla_wire::record::Batch;
use ottla_wire::types::ProducerId;

/// The last record of each transactional id.
#[derive(Debug, Default)]
pub struct FoundTransactions(HashMap<String, Arc<TransactionMetadata>>);

impl FoundTransactions {
    /// Adds the transactional ids of a partition's directory, as far as its segments can be read.
    pub fn read(&mut self, directory: &Path) {
        for name in super::metadata::names(directory).iter().filter(|name| name.ends_with(".log")) {
            // Corruption is reported by the check of the log itself.
            let _ = self.read_segment(&directory.join(name));
        }
    }

    fn read_segment(&mut self, path: &Path) -> Option<()> {
        let file = BatchFile::open(path, u64::MAX).ok()?;
        let mut position = 0;
        while let Some(found) = file.batch_at(position, u64::MAX).ok()? {
            position += found.size;
            let batch = Batch::parse(&file.bytes_of(&found).ok()?).ok()?;
            if batch.header().is_control() {
                continue;
            }
            for record in batch.records().map_while(Result::ok) {
                let Some(key) = record.key else { continue };
                let Ok(decoded) = TransactionRecord::decode(&key, record.value.as_ref()) else { continue };
                let id = decoded.transactional_id.to_string();
                match decoded.value {
                    Some(value) => self.0.insert(id, value),
                    None => self.0.remove(&id),
                };
            }
        }
        Some(())
    }

    /// Finds the transactional id whose transaction is open in the partition, and its state.
    pub fn find(&self, partition: &str, producer_id: ProducerId) -> Option<(String, &'static str)> {
        let is_part = |of: &TransactionMetadata| of.partitions.iter().any(|it| it.to_string() == partition);
        let mut known = self.0.iter();
        let (id, of) = known.find(|(_, of)| of.producer.producer_id == producer_id && is_part(of))?;
        Some((id.clone(), of.state.name()))
    }
}
