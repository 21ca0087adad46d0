//! Blocks of producer ids (Kafka's `ProducerIdControlManager`).

use super::commands::{MetadataReply, ProducerIdBlock};
use super::errors::MetadataError;
use super::records::{MetadataRecord, ProducerIdsRecord};
use super::{Decision, MetadataMachine};

/// Number of ids in a block. A restart skips the unused ids of the current block.
pub const PRODUCER_ID_BLOCK_SIZE: i64 = 1000;

impl MetadataMachine {
    pub(super) fn allocate_producer_ids(&self) -> Decision {
        let first = self.image.next_producer_id();
        let Some(next) = first.checked_add(PRODUCER_ID_BLOCK_SIZE) else {
            let error = MetadataError::Internal("All producer ids are allocated.".to_owned());
            return Decision::new(Vec::new(), MetadataReply::AllocateProducerIds(Err(error)));
        };
        let node = self.config.node_id;
        let record = ProducerIdsRecord {
            broker_id: node,
            broker_epoch: self.image.brokers().get(&node).map_or(-1, |broker| broker.epoch),
            next_producer_id: next,
        };
        let block = ProducerIdBlock { first, count: PRODUCER_ID_BLOCK_SIZE };
        Decision::new(vec![MetadataRecord::new(0, record)], MetadataReply::AllocateProducerIds(Ok(block)))
    }
}
