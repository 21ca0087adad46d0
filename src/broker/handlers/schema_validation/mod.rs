//! Validation of produced records by the schemas of the broker's schema registry (`confluent.value.schema.validation` and its
//! counterpart for keys).
//!
//! A record that does not pass refuses its batch with INVALID_RECORD and a reason for each such record. If the schemas are
//! not read yet, the error is NOT_LEADER_OR_FOLLOWER, which every client tries again; a request that waited for them would
//! hold its connection's place and memory. A broker without a schema registry refuses records with INVALID_CONFIG, because
//! their topic demands a check that it cannot do.

#[cfg(feature = "registry")]
mod by_registry;

use ottla_wire::record::{RecordError, Unverified, VerifiedSet, VerifyRules};
use ottla_wire::types::ErrorCode;

use super::large_batches::LargeBatches;
use crate::state::cluster::Topic;
#[cfg(feature = "registry")]
use crate::state::registry::SchemaRegistry;

/// Why the records of a partition are not valid.
#[derive(Debug)]
pub(super) enum Invalid {
    Records(RecordError),
    /// They could not be validated.
    NotValidated(ErrorCode, String),
}

/// The reason where the topic demands a check that the broker cannot do.
const NO_REGISTRY: &str = "the topic's records are validated by schemas (confluent.key.schema.validation, \
                           confluent.value.schema.validation), and this broker has no schema registry; start it with \
                           --registry-port, or set these settings to false";

/// The schemas by which produced records are validated.
#[derive(Clone, Default)]
pub struct RecordSchemas {
    /// `None` on a broker without a schema registry.
    #[cfg(feature = "registry")]
    pub registry: Option<std::sync::Arc<SchemaRegistry>>,
}

impl RecordSchemas {
    /// Verifies a batch by the rules of its partition, and its records by schemas if the topic demands it.
    pub(super) fn verify(
        &self,
        batches: &LargeBatches,
        topic: &Topic,
        records: &Unverified,
        rules: &VerifyRules,
    ) -> Result<VerifiedSet, Invalid> {
        match topic.config.schema_validation().filter(|_| !topic.image.is_internal()) {
            None => batches.verify(records, rules, None).map_err(Invalid::Records),
            #[cfg(feature = "registry")]
            Some(validation) => {
                let registry = self.registry.as_ref().ok_or_else(no_registry)?;
                by_registry::verify(registry, validation, batches, topic, records, rules)
            }
            #[cfg(not(feature = "registry"))]
            Some(_) => Err(no_registry()),
        }
    }
}

fn no_registry() -> Invalid {
    Invalid::NotValidated(ErrorCode::InvalidConfig, NO_REGISTRY.to_owned())
}
