//! Validation of produced records by the schemas of the broker's schema registry (`confluent.value.schema.validation` and its
//! counterpart for keys).
//!
//! A record that does not pass refuses its batch with INVALID_RECORD and a reason for each such record. If the schemas are
//! not read yet, the error is NOT_LEADER_OR_FOLLOWER, which every client tries again; a request that waited for them would
//! hold its connection's place and memory. A broker without a schema registry refuses records with INVALID_CONFIG, because
//! their topic demands a check that it cannot do.

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
            Some(validation) => self.validate(batches, topic, records, rules, validation),
        }
    }

    #[cfg(not(feature = "registry"))]
    fn validate(
        &self,
        _: &LargeBatches,
        _: &Topic,
        _: &Unverified,
        _: &VerifyRules,
        _: ottla_config::SchemaValidation,
    ) -> Result<VerifiedSet, Invalid> {
        Err(no_registry())
    }

    #[cfg(feature = "registry")]
    fn validate(
        &self,
        batches: &LargeBatches,
        topic: &Topic,
        records: &Unverified,
        rules: &VerifyRules,
        validation: ottla_config::SchemaValidation,
    ) -> Result<VerifiedSet, Invalid> {
        use ottla_registry::validation::Validator;

        let registry = self.registry.as_ref().ok_or_else(no_registry)?;
        let not_current = |why: crate::state::registry::NotCurrent| {
            Invalid::NotValidated(ErrorCode::NotLeaderOrFollower, why.to_string())
        };
        let schemas = registry.current_schemas().map_err(not_current)?;
        let mut check = Check(Validator::new(&schemas, topic.name(), rules_of(validation)));
        let verified = batches.verify(records, rules, Some(&mut check));
        match schemas.is_lost() {
            true => Err(not_current(crate::state::registry::NotCurrent::Unreadable)),
            false => verified.map_err(Invalid::Records),
        }
    }
}

fn no_registry() -> Invalid {
    Invalid::NotValidated(ErrorCode::InvalidConfig, NO_REGISTRY.to_owned())
}

#[cfg(feature = "registry")]
fn rules_of(validation: ottla_config::SchemaValidation) -> ottla_registry::validation::ValidationRules {
    use ottla_config::SubjectNameStrategy as Configured;
    use ottla_registry::subject_name::SubjectNameStrategy;

    let strategy = |configured| match configured {
        Configured::TopicName => SubjectNameStrategy::TopicName,
        Configured::RecordName => SubjectNameStrategy::RecordName,
        Configured::TopicRecordName => SubjectNameStrategy::TopicRecordName,
    };
    let ottla_config::SchemaValidation { key, value, decodes } = validation;
    ottla_registry::validation::ValidationRules { key: key.map(strategy), value: value.map(strategy), decodes }
}

#[cfg(feature = "registry")]
struct Check<'a>(ottla_registry::validation::Validator<'a>);

#[cfg(feature = "registry")]
impl ottla_wire::record::RecordCheck for Check<'_> {
    fn check(&mut self, record: &ottla_wire::record::RawRecord<'_>) -> Result<(), String> {
        // As in Kafka's clients, the last header with a name counts.
        let header = |name: &str| record.headers().filter(|(key, _)| *key == name.as_bytes()).last()?.1;
        self.0.check(record.key, record.value, header)
    }
}
