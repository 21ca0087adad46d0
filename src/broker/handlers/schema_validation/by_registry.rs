//! The check of a batch's records by the schemas of a registry.

use super::super::large_batches::LargeBatches;
use super::Invalid;
use crate::state::cluster::Topic;
use crate::state::registry::{NotCurrent, SchemaRegistry};
use ottla_config::SchemaValidation;
use ottla_registry::subject_name::SubjectNameStrategy;
use ottla_registry::validation::{ValidationRules, Validator};
use ottla_wire::record::{RawRecord, RecordCheck, Unverified, VerifiedSet, VerifyRules};
use ottla_wire::types::ErrorCode;

/// Verifies a batch by the rules of its partition, and its records by the schemas that are registered now.
pub(super) fn verify(
    registry: &SchemaRegistry,
    validation: SchemaValidation,
    batches: &LargeBatches,
    topic: &Topic,
    records: &Unverified,
    rules: &VerifyRules,
) -> Result<VerifiedSet, Invalid> {
    let schemas = registry.current_schemas().map_err(not_current)?;
    let validator = Validator::new(&schemas, topic.name(), rules_of(validation));
    let mut check = Check { validator, decodes: validation.decodes };
    let verified = batches.verify(records, rules, Some(&mut check));
    match schemas.is_lost() {
        true => Err(not_current(NotCurrent::Unreadable)),
        false => verified.map_err(Invalid::Records),
    }
}

fn not_current(why: NotCurrent) -> Invalid {
    Invalid::NotValidated(ErrorCode::NotLeaderOrFollower, why.to_string())
}

fn rules_of(SchemaValidation { key, value, decodes }: SchemaValidation) -> ValidationRules {
    ValidationRules { key: key.map(strategy), value: value.map(strategy), decodes }
}

fn strategy(configured: ottla_config::SubjectNameStrategy) -> SubjectNameStrategy {
    match configured {
        ottla_config::SubjectNameStrategy::TopicName => SubjectNameStrategy::TopicName,
        ottla_config::SubjectNameStrategy::RecordName => SubjectNameStrategy::RecordName,
        ottla_config::SubjectNameStrategy::TopicRecordName => SubjectNameStrategy::TopicRecordName,
    }
}

struct Check<'a> {
    validator: Validator<'a>,
    decodes: bool,
}

impl RecordCheck for Check<'_> {
    fn check(&mut self, record: &RawRecord<'_>) -> Result<(), String> {
        // As in Kafka's clients, the last header with a name counts.
        let header = |name: &str| record.headers().filter(|(key, _)| *key == name.as_bytes()).last()?.1;
        self.validator.check(record.key, record.value, header)
    }

    fn may_take_long(&self) -> bool {
        // A JSON schema can demand a million checks of one value.
        self.decodes
    }
}
