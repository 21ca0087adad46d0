//! Decisions on ACLs (Kafka's `AclControlManager`).

use std::collections::HashSet;
use std::sync::Arc;

use super::commands::MetadataReply;
use super::errors::MetadataError;
use super::records::{AccessControlEntryRecord, MetadataRecord, RemoveAccessControlEntryRecord};
use super::{Decision, MetadataMachine};
use crate::security::acl::{
    Acl, AclBinding, AclFilter, AclOperation, InvalidAcl, PatternType, Permission, ResourceType,
};
use ottla_wire::types::Uuid;

/// The most ACLs that one request can create or delete (Kafka's `MAX_RECORDS_PER_USER_OP`).
pub const MAX_ACLS_PER_REQUEST: usize = 10_000;

impl MetadataMachine {
    pub(super) fn create_acls(&self, bindings: Vec<(Uuid, AclBinding)>) -> Decision {
        let mut records = Vec::new();
        let mut created = HashSet::new();
        let mut results = Vec::with_capacity(bindings.len());
        for (id, binding) in bindings {
            let result = binding.validate().map_err(invalid).and_then(|acl| match self.image.acls().has_id(id) {
                true => Err(MetadataError::Internal("The random id of the ACL is in use.".to_owned())),
                false => Ok(acl),
            });
            results.push(result.map(|acl| {
                if !self.image.acls().contains(&acl) && !created.contains(&acl) {
                    records.push(acl_record(id, &acl));
                    created.insert(acl);
                }
            }));
        }
        let reply = match records.len() > MAX_ACLS_PER_REQUEST {
            true => {
                records.clear();
                let message = "Unable to perform excessively large batch operation.";
                Err(MetadataError::PolicyViolation(message.to_owned()))
            }
            false => Ok(results),
        };
        Decision::new(records, MetadataReply::CreateAcls(reply))
    }

    pub(super) fn delete_acls(&self, filters: &[AclFilter]) -> Decision {
        let mut deletion = Deletion::default();
        let results = filters.iter().map(|filter| self.delete_matching(filter, &mut deletion)).collect();
        Decision::new(deletion.ids.into_iter().map(removal).collect(), MetadataReply::DeleteAcls(results))
    }

    /// The records that remove all ACLs.
    pub(super) fn acl_removals(&self) -> impl Iterator<Item = MetadataRecord> {
        let mut ids: Vec<Uuid> = self.image.acls().by_id().map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids.into_iter().map(removal)
    }

    fn delete_matching(&self, filter: &AclFilter, deletion: &mut Deletion) -> Result<Vec<Arc<Acl>>, MetadataError> {
        filter.validate().map_err(invalid)?;
        let found = self.image.acls().matching(filter);
        let new: Vec<Uuid> = found.iter().map(|(id, _)| *id).filter(|id| !deletion.seen.contains(id)).collect();
        deletion.seen.extend(&new);
        if !found.is_empty() && deletion.seen.len() > MAX_ACLS_PER_REQUEST {
            return Err(MetadataError::InvalidRequest(format!(
                "Cannot remove more than {MAX_ACLS_PER_REQUEST} acls in a single delete operation."
            )));
        }
        deletion.ids.extend(new);
        Ok(found.into_iter().map(|(_, acl)| acl).collect())
    }
}

/// The ACLs that one request deletes.
#[derive(Default)]
struct Deletion {
    /// In the order of the records.
    ids: Vec<Uuid>,
    /// Also those of filters that failed. As in Kafka, the filters after those fail too.
    seen: HashSet<Uuid>,
}

fn removal(id: Uuid) -> MetadataRecord {
    MetadataRecord::new(0, RemoveAccessControlEntryRecord { id })
}

fn invalid(error: InvalidAcl) -> MetadataError {
    MetadataError::InvalidRequest(error.0)
}

/// The record that creates an ACL.
pub(super) fn acl_record(id: Uuid, acl: &Acl) -> MetadataRecord {
    let record = AccessControlEntryRecord {
        id,
        resource_type: acl.resource_type.code(),
        resource_name: (&*acl.resource_name).into(),
        pattern_type: acl.pattern_type.code(),
        principal: (&*acl.principal).into(),
        host: (&*acl.host).into(),
        operation: acl.operation.code(),
        permission_type: acl.permission.code(),
    };
    MetadataRecord::new(0, record)
}

impl AccessControlEntryRecord {
    /// The ACL; `None` if it has a code that this release does not know.
    pub(super) fn acl(&self) -> Option<Acl> {
        Some(Acl {
            resource_type: ResourceType::from_code(self.resource_type)?,
            resource_name: (&*self.resource_name).into(),
            pattern_type: PatternType::from_code(self.pattern_type)?,
            principal: (&*self.principal).into(),
            host: (&*self.host).into(),
            operation: AclOperation::from_code(self.operation)?,
            permission: Permission::from_code(self.permission_type)?,
        })
    }
}
