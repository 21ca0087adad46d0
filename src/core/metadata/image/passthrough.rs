//! Records that are kept as they are: those for Apache Kafka, which have no effect on this broker, and those of client
//! quotas.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Image;
use crate::metadata::records::{ClientQuotaRecord, MetadataRecord, RecordBody};
use ottla_wire::types::sort_by;

/// The entity of a client quota: types and names, sorted. A missing name is the default entity of its type.
pub type QuotaEntity = Vec<(String, Option<String>)>;

/// The key of a passthrough record. A record replaces the one with the same key. The variants are in the order of
/// Kafka's snapshots.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::metadata) enum PassthroughKey {
    Controller(i32),
    /// The quota's entity, and its name.
    Quota(QuotaEntity, String),
}

pub(in crate::metadata) type PassthroughRecords = BTreeMap<PassthroughKey, MetadataRecord>;

impl PassthroughKey {
    pub fn quota(record: &ClientQuotaRecord) -> PassthroughKey {
        let part = |name: &ottla_wire::codec::Str| name.to_string();
        let mut entity: Vec<_> =
            record.entity.iter().map(|it| (part(&it.entity_type), it.entity_name.as_ref().map(part))).collect();
        sort_by(&mut entity, Ord::cmp);
        PassthroughKey::Quota(entity, part(&record.key))
    }
}

impl Image {
    /// Client quotas (entity, name, value), sorted.
    pub fn client_quotas(&self) -> impl Iterator<Item = (&QuotaEntity, &str, f64)> {
        self.passthrough.iter().filter_map(|(key, record)| match (key, &record.body) {
            (PassthroughKey::Quota(entity, name), RecordBody::ClientQuota(quota)) => {
                Some((entity, &**name, quota.value))
            }
            _ => None,
        })
    }

    /// The quotas of one entity (name, value), sorted by name.
    pub fn quotas_of<'a>(&'a self, entity: &'a QuotaEntity) -> impl Iterator<Item = (&'a str, f64)> {
        let first = PassthroughKey::Quota(entity.clone(), String::new());
        self.passthrough.range(first..).map_while(move |(key, record)| match (key, &record.body) {
            (PassthroughKey::Quota(other, name), RecordBody::ClientQuota(quota)) if other == entity => {
                Some((&**name, quota.value))
            }
            _ => None,
        })
    }

    /// Whether the client quotas may differ from those of an earlier image. False at small cost if nothing of what is
    /// kept with them changed.
    pub fn quotas_touched_since(&self, before: &Image) -> bool {
        !Arc::ptr_eq(&self.passthrough, &before.passthrough)
    }
}
