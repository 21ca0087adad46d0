//! Producer ids: handed out from a block that the metadata log has given away for good.

use std::sync::Arc;

use super::metadata::{Metadata, MetadataUnavailable};
use ottla_core::metadata::AllocateProducerIds;
use ottla_wire::types::ProducerId;

/// The block in use. A restart forgets what is left of it and takes another: ids are never reused.
#[derive(Default)]
pub struct ProducerIds {
    /// The next id and the first that is no longer ours. Held while a new block is fetched, so that
    /// one request fetches it for all that wait.
    block: tokio::sync::Mutex<std::ops::Range<ProducerId>>,
}

impl ProducerIds {
    /// An id that was never assigned.
    pub async fn next(&self, metadata: &Arc<Metadata>) -> Result<ProducerId, MetadataUnavailable> {
        let mut block = self.block.lock().await;
        loop {
            if let Some(id) = block.next() {
                return Ok(id);
            }
            let given = metadata.submit(AllocateProducerIds).await?.map_err(|_| MetadataUnavailable::NotWritten)?;
            *block = given.first..given.first + given.count;
        }
    }
}
