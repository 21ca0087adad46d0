//! Records that this broker does not act on, kept so that a snapshot loses nothing.

use std::collections::BTreeMap;

use crate::metadata::records::{ClientQuotaRecord, MetadataRecord};
use crate::types::Uuid;

/// Each kept record under what it replaces and is removed by. The order of the variants is the
/// order in which Kafka's snapshots have them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::metadata) enum KeptKey {
    Controller(i32),
    /// The entity's parts by type (a missing name is the default entity), and the quota's name.
    Quota(Vec<(String, Option<String>)>, String),
    Acl(Uuid),
    /// A user and the number of a mechanism.
    Scram(String, i8),
    Token(String),
}

pub(in crate::metadata) type Kept = BTreeMap<KeptKey, MetadataRecord>;

impl KeptKey {
    pub fn quota(record: &ClientQuotaRecord) -> KeptKey {
        let part = |name: &crate::codec::Str| name.to_string();
        let mut entity: Vec<_> =
            record.entity.iter().map(|it| (part(&it.entity_type), it.entity_name.as_ref().map(part))).collect();
        entity.sort_unstable();
        KeptKey::Quota(entity, part(&record.key))
    }

    pub fn scram(user: &str, mechanism: i8) -> KeptKey {
        KeptKey::Scram(user.to_owned(), mechanism)
    }
}
