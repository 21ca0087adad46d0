//! Creation and deletion of ACLs.

use std::sync::Arc;

use super::*;
use crate::security::acl::{AclBinding, AclFilter, Matching, NameMatching};

/// Read on the topic `name` for `principal`.
fn read(name: &str, principal: &str) -> AclBinding {
    AclBinding {
        resource_type: 2,
        resource_name: name.into(),
        pattern_type: 3,
        principal: principal.into(),
        host: "*".into(),
        operation: 3,
        permission: 3,
    }
}

fn by_principal(principal: &str) -> AclFilter {
    AclFilter {
        resource_type: Matching::Any,
        resource_name: None,
        pattern_type: NameMatching::Any,
        principal: Some(principal.into()),
        host: None,
        operation: Matching::Any,
        permission: Matching::Any,
    }
}

impl TestCluster {
    fn create_acls(&mut self, bindings: &[AclBinding]) -> Result<Vec<Result<(), MetadataError>>, MetadataError> {
        let with_ids = bindings.iter().map(|binding| (self.draw(), binding.clone())).collect();
        match self.run(MetadataCommand::CreateAcls(CreateAcls(with_ids))) {
            MetadataReply::CreateAcls(results) => results,
            other => panic!("{other:?}"),
        }
    }

    /// Deletes ACLs; returns the topics of each filter, or its error.
    fn delete_acls(&mut self, filters: &[AclFilter]) -> Vec<Result<Vec<Arc<str>>, String>> {
        match self.run(MetadataCommand::DeleteAcls(DeleteAcls(filters.to_vec()))) {
            MetadataReply::DeleteAcls(results) => results
                .into_iter()
                .map(|result| {
                    let names = |acls: Vec<Arc<crate::security::acl::Acl>>| {
                        acls.iter().map(|acl| Arc::clone(&acl.resource_name)).collect()
                    };
                    result.map(names).map_err(|error| error.to_string())
                })
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    fn draw(&mut self) -> Uuid {
        self.ids_drawn += 1;
        let [high, low] = self.ids_drawn.to_be_bytes();
        let mut id = [9; 16];
        (id[0], id[1]) = (high, low);
        Uuid(id)
    }
}

#[test]
fn created_acl_survives_restarts_and_snapshots() {
    let mut cluster = TestCluster::started();
    let alice = read("orders", "User:alice");
    assert_eq!(cluster.create_acls(&[alice.clone(), read("orders", "User:bob")]), Ok(vec![Ok(()), Ok(())]));
    for recovered in [cluster.restarted(), cluster.recovered_from_snapshot()] {
        assert_eq!(recovered.image().acls(), cluster.image().acls());
        let cluster = recovered;
        assert_eq!(cluster.image().acls().len(), 2);
        assert!(cluster.image().acls().contains(&alice.validate().unwrap()));
    }
    let before = cluster.image().clone();
    assert_eq!(cluster.delete_acls(&[by_principal("User:alice")]), [Ok(vec!["orders".into()])]);
    assert_eq!((before.acls().len(), cluster.image().acls().len()), (2, 1), "images do not change");
    assert_eq!(cluster.restarted().image().acls().len(), 1);
}

#[test]
fn acl_that_exists_is_not_written_again() {
    let mut cluster = TestCluster::started();
    let acl = read("orders", "User:alice");
    assert_eq!(cluster.create_acls(&[acl.clone(), acl.clone()]), Ok(vec![Ok(()), Ok(())]));
    let written = cluster.log.len();
    assert_eq!(cluster.create_acls(&[acl]), Ok(vec![Ok(())]));
    assert_eq!((cluster.log.len(), cluster.image().acls().len()), (written, 1));
}

#[test]
fn invalid_acls_are_rejected_with_kafkas_messages_and_the_others_created() {
    let mut cluster = TestCluster::started();
    let valid = read("orders", "User:alice");
    let no_colon = "Could not parse principal from `alice` (no colon is present separating the principal type from the \
                    principal name)";
    for (invalid, message) in [
        (AclBinding { resource_type: 99, ..valid.clone() }, "Invalid resourceType UNKNOWN"),
        (AclBinding { pattern_type: 9, ..valid.clone() }, "Invalid patternType UNKNOWN"),
        (AclBinding { operation: 77, ..valid.clone() }, "Invalid operation UNKNOWN"),
        (AclBinding { permission: 9, ..valid.clone() }, "Invalid permissionType UNKNOWN"),
        (read("", "User:alice"), "Resource name should not be empty"),
        (read("orders", "alice"), no_colon),
    ] {
        let results = cluster.create_acls(&[invalid, valid.clone()]).unwrap();
        assert_eq!(results, [Err(MetadataError::InvalidRequest(message.to_owned())), Ok(())]);
    }
    assert_eq!(cluster.image().acls().len(), 1);
}

#[test]
fn one_request_changes_at_most_as_many_acls_as_in_kafka() {
    let mut cluster = TestCluster::started();
    let many = |count: usize| -> Vec<_> { (0..count).map(|n| read(&n.to_string(), "User:alice")).collect() };
    let error = cluster.create_acls(&many(MAX_ACLS_PER_REQUEST + 1)).unwrap_err();
    assert_eq!(error.to_string(), "Unable to perform excessively large batch operation.");
    assert!(cluster.image().acls().is_empty());
    assert!(cluster.create_acls(&many(MAX_ACLS_PER_REQUEST)).is_ok());
    assert!(cluster.create_acls(&[read("more", "User:bob"), read("more", "User:alice")]).is_ok());
    let results = cluster.delete_acls(&[by_principal("User:bob"), by_principal("User:alice")]);
    let too_many = "Cannot remove more than 10000 acls in a single delete operation.";
    assert_eq!(results, [Ok(vec!["more".into()]), Err(too_many.to_owned())]);
    assert_eq!(cluster.image().acls().len(), MAX_ACLS_PER_REQUEST + 1);
}

#[test]
fn filters_of_one_request_may_overlap_and_unknown_ones_are_rejected() {
    let mut cluster = TestCluster::started();
    assert!(cluster.create_acls(&[read("orders", "User:alice")]).is_ok());
    let alice = by_principal("User:alice");
    let results = cluster.delete_acls(&[
        AclFilter { resource_type: Matching::Unknown, ..alice.clone() },
        AclFilter { operation: Matching::Unknown, ..alice.clone() },
        alice.clone(),
        alice.clone(),
    ]);
    let found = Ok(vec!["orders".into()]);
    let errors = ["Unknown patternFilter.", "Unknown entryFilter."].map(|error| Err(error.to_owned()));
    assert_eq!(results, [&errors[..], &[found.clone(), found]].concat());
    assert!(cluster.image().acls().is_empty());
    assert_eq!(cluster.delete_acls(&[alice]), [Ok(vec![])]);
}

#[test]
fn reset_removes_acls() {
    let mut cluster = TestCluster::started();
    assert!(cluster.create_acls(&[read("orders", "User:alice")]).is_ok());
    cluster.run(MetadataCommand::Reset(Reset::default()));
    assert!(cluster.image().acls().is_empty());
    assert!(cluster.restarted().image().acls().is_empty());
}
