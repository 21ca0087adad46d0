//! Registered brokers.

use crate::metadata::commands::{BrokerEpoch, Endpoint, SupportedFeature};
use ottla_wire::types::Uuid;

/// One broker (KRaft `RegisterBrokerRecord` and its changes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerImage {
    pub id: i32,
    pub epoch: BrokerEpoch,
    /// Identifies the process that registered.
    pub incarnation_id: Uuid,
    pub endpoints: Vec<Endpoint>,
    /// Sorted by name. Records may have them in any order.
    pub features: Vec<SupportedFeature>,
    pub rack: Option<String>,
    /// A fenced broker leads nothing and is not shown to clients.
    pub fenced: bool,
    pub in_controlled_shutdown: bool,
    pub directories: Vec<Uuid>,
    /// Directories that take no new partitions; `None` until the broker has reported them.
    pub cordoned_directories: Option<Vec<Uuid>>,
}

impl BrokerImage {
    /// Whether the broker can lead partitions.
    pub fn is_active(&self) -> bool {
        !self.fenced && !self.in_controlled_shutdown
    }
}
