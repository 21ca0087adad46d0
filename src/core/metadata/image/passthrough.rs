//! Passthrough records: they have no effect on this broker, and are stored so that snapshots contain them.

use std::collections::BTreeMap;

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
    /// A user and the code of a mechanism.
    Scram(String, i8),
    Token(String),
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

    pub fn scram(user: &str, mechanism: i8) -> PassthroughKey {
        PassthroughKey::Scram(user.to_owned(), mechanism)
    }
}

impl Image {
    /// Client quotas (entity, name, value), sorted. They are not enforced.
    pub fn client_quotas(&self) -> impl Iterator<Item = (&QuotaEntity, &str, f64)> {
        self.passthrough.iter().filter_map(|(key, record)| match (key, &record.body) {
            (PassthroughKey::Quota(entity, name), RecordBody::ClientQuota(quota)) => {
                Some((entity, &**name, quota.value))
            }
            _ => None,
        })
    }

    /// SCRAM credentials (user, mechanism, iterations), sorted. They are not used for authentication.
    pub fn scram_credentials(&self) -> impl Iterator<Item = (&str, i8, i32)> {
        self.passthrough.iter().filter_map(|(key, record)| match (key, &record.body) {
            (PassthroughKey::Scram(user, mechanism), RecordBody::UserScramCredential(credential)) => {
                Some((&**user, *mechanism, credential.iterations))
            }
            _ => None,
        })
    }
}
