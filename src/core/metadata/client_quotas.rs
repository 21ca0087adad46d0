//! Decisions on client quotas (Kafka's `ClientQuotaControlManager`, KIP-546).

use std::collections::{BTreeMap, HashMap, HashSet};

use super::commands::{AlterClientQuotas, MetadataReply, QuotaAlteration};
use super::errors::MetadataError;
use super::image::QuotaEntity;
use super::records::{ClientQuotaRecord, EntityData, MetadataRecord};
use super::{Decision, MetadataMachine};
use crate::security::quota::{CLIENT_ID, CONNECTION_CREATION_RATE, IP, QuotaType, USER};

use ottla_wire::java::{sort_as_hash_map, string_hash};
use ottla_wire::types::{InOrder as _, sort_by};

/// The type of a quota's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Double,
    Int,
    Long,
}

impl MetadataMachine {
    pub(super) fn alter_client_quotas(&self, request: &AlterClientQuotas) -> Decision {
        let mut records = Vec::new();
        let mut results: Vec<(QuotaEntity, Result<(), MetadataError>)> = Vec::new();
        let mut positions: HashMap<&QuotaEntity, usize> = HashMap::new();
        for alteration in &request.alterations {
            let entity = &alteration.entity;
            // Kafka gives this message also for a quota that is named twice.
            let result = match positions.contains_key(entity) || names_a_quota_twice(alteration) {
                true => Err(invalid(format!("Ignoring duplicate entity {}", display(entity)))),
                false => self.alter_quotas_of(alteration, &request.unresolvable).map(|more| records.extend(more)),
            };
            let position = *positions.entry(entity).or_insert(results.len());
            match results.get_mut(position) {
                Some((_, known)) => *known = result,
                None => results.push((entity.clone(), result)),
            }
        }
        sort_as_hash_map(&mut results, 16, |(entity, _)| quota_entity_hash(entity));
        Decision::new(records, MetadataReply::AlterClientQuotas(results)).drop_records_if(request.validate_only)
    }

    /// The records that remove all client quotas.
    pub(super) fn quota_removals(&self) -> impl Iterator<Item = MetadataRecord> {
        self.image.client_quotas().map(|(entity, key, _)| record(entity, key, None))
    }

    fn alter_quotas_of(
        &self,
        alteration: &QuotaAlteration,
        unresolvable: &HashSet<String>,
    ) -> Result<Vec<MetadataRecord>, MetadataError> {
        let QuotaAlteration { entity, ops } = alteration;
        check_parts(entity)?;
        let kinds = kinds(entity, unresolvable)?;
        let mut sorted = entity.clone();
        sort_by(&mut sorted, Ord::cmp);
        let current: BTreeMap<&str, f64> = self.image.quotas_of(&sorted).in_order();
        let mut ops: Vec<_> = ops.iter().collect();
        let count = ops.len();
        sort_as_hash_map(&mut ops, count, |(key, _)| string_hash(key));
        let mut records = Vec::new();
        for (key, value) in ops {
            let before = current.get(key.as_str());
            match value {
                None if before.is_some() => records.push(record(entity, key, None)),
                None => {}
                Some(value) => {
                    check_value(&kinds, key, *value)?;
                    if before != Some(value) {
                        records.push(record(entity, key, Some(*value)));
                    }
                }
            }
        }
        Ok(records)
    }
}

/// Whether an alteration has several operations for a quota.
fn names_a_quota_twice(alteration: &QuotaAlteration) -> bool {
    let mut seen = HashSet::new();
    alteration.ops.iter().any(|(key, _)| !seen.insert(key.as_str()))
}

/// The parts of an entity in the order in which a Java map of them iterates, with `capacity` as its initial capacity.
fn in_java_order(entity: &QuotaEntity, capacity: usize) -> Vec<&(String, Option<String>)> {
    let mut parts: Vec<_> = entity.iter().collect();
    sort_as_hash_map(&mut parts, capacity, |(kind, _)| string_hash(kind));
    parts
}

/// Checks the types and names of an entity.
fn check_parts(entity: &QuotaEntity) -> Result<(), MetadataError> {
    if entity.is_empty() {
        return Err(invalid("Invalid empty client quota entity".to_owned()));
    }
    for (kind, name) in in_java_order(entity, entity.len()) {
        if ![USER, CLIENT_ID, IP].contains(&kind.as_str()) {
            return Err(invalid(format!("Unhandled client quota entity type: {kind}")));
        }
        if name.as_ref().is_some_and(String::is_empty) {
            return Err(invalid(format!("Empty {kind} not supported")));
        }
    }
    Ok(())
}

/// The quotas that an entity can have.
fn kinds(entity: &QuotaEntity, unresolvable: &HashSet<String>) -> Result<Vec<(&'static str, Kind)>, MetadataError> {
    let Some((_, ip)) = entity.iter().find(|(kind, _)| kind == IP) else {
        let kind = |quota: QuotaType| match quota {
            QuotaType::Produce | QuotaType::Fetch => Kind::Long,
            QuotaType::Request | QuotaType::ControllerMutation => Kind::Double,
        };
        return Ok(QuotaType::ALL.iter().map(|quota| (quota.key(), kind(*quota))).collect());
    };
    if entity.len() > 1 {
        // Without a space in Kafka, too.
        let message = "Invalid quota entity combination, IP entity shouldnot be combined with User or ClientId";
        return Err(invalid(message.to_owned()));
    }
    match ip {
        Some(ip) if unresolvable.contains(ip) => Err(invalid(format!("{ip} is not a valid IP or resolvable host."))),
        _ => Ok(vec![(CONNECTION_CREATION_RATE, Kind::Int)]),
    }
}

fn check_value(kinds: &[(&str, Kind)], key: &str, value: f64) -> Result<(), MetadataError> {
    let Some((_, kind)) = kinds.iter().find(|(known, _)| *known == key) else {
        return Err(invalid(format!("Invalid configuration key {key}")));
    };
    if value <= 0.0 {
        return Err(invalid(format!("Quota {key} must be greater than 0")));
    }
    let (max, name) = match kind {
        Kind::Double => return Ok(()),
        Kind::Int => (f64::from(i32::MAX), "an INT"),
        Kind::Long => (i64::MAX as f64, "a LONG"),
    };
    if value > max {
        return Err(invalid(format!("Proposed value for {key} is too large for {name}.")));
    }
    if (value % 1.0).abs() > 1e-6 {
        return Err(invalid(format!("{key} cannot be a fractional value.")));
    }
    Ok(())
}

/// The record that sets a quota, or removes it (`None`).
fn record(entity: &QuotaEntity, key: &str, value: Option<f64>) -> MetadataRecord {
    let part = |(kind, name): &(String, Option<String>)| EntityData {
        entity_type: kind.as_str().into(),
        entity_name: name.as_deref().map(Into::into),
    };
    // The capacity of the map that Kafka writes the record from.
    let entity = in_java_order(entity, 4).into_iter().map(part).collect();
    let record =
        ClientQuotaRecord { entity, key: key.into(), value: value.unwrap_or_default(), remove: value.is_none() };
    MetadataRecord::new(0, record)
}

/// The hash of Kafka's `ClientQuotaEntity`, which decides the order of answers.
pub fn quota_entity_hash(entity: &QuotaEntity) -> i32 {
    let part = |(kind, name): &(String, Option<String>)| string_hash(kind) ^ name.as_deref().map_or(0, string_hash);
    entity.iter().map(part).fold(31i32, i32::wrapping_add)
}

/// The text of Kafka's `ClientQuotaEntity`.
fn display(entity: &QuotaEntity) -> String {
    let parts = in_java_order(entity, entity.len()).into_iter();
    let parts: Vec<_> = parts.map(|(kind, name)| format!("{kind}={}", name.as_deref().unwrap_or("null"))).collect();
    format!("ClientQuotaEntity(entries={{{}}})", parts.join(", "))
}

fn invalid(message: String) -> MetadataError {
    MetadataError::InvalidRequest(message)
}
