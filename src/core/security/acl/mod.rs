//! Access control lists, with the rules of Kafka's `StandardAuthorizer`.
//!
//! A request is decided by the ACLs whose resource pattern matches the resource: literal with the same name or `*`, or
//! prefixed with a prefix of the name. A matching deny wins over every allow. Without a matching rule the request is denied,
//! except if no ACL is about the resource at all and `allow.everyone.if.no.acl.found` is true. Super users are never denied.

mod binding;
mod terms;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

pub use binding::{AclBinding, AclFilter, InvalidAcl, Matching, NameMatching};
pub use terms::{AclOperation, PatternType, Permission, ResourceType};

use crate::shared_map::SharedMap;
use ottla_wire::types::{Uuid, sort_by};

/// The name that matches every resource, and the principal name and host that match every one.
pub const WILDCARD: &str = "*";
/// The principal that matches every one, of any type.
const ANY_PRINCIPAL: &str = "User:*";
/// The name of the cluster as a resource.
pub const CLUSTER_NAME: &str = "kafka-cluster";
/// The resource name that Kafka's `authorizeByResourceType` tries first.
const ANY_NAME: &str = "hardcode";

/// One ACL (Kafka's `AclBinding`).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Acl {
    pub resource_type: ResourceType,
    pub resource_name: Arc<str>,
    pub pattern_type: PatternType,
    /// Type and name, such as `User:alice`; `User:*` for every user.
    pub principal: Arc<str>,
    /// The address of the client, or `*`.
    pub host: Arc<str>,
    pub operation: AclOperation,
    pub permission: Permission,
}

/// A request for access.
#[derive(Clone, Copy, Debug)]
pub struct Access<'a> {
    /// Type and name, such as `User:alice`.
    pub principal: &'a str,
    /// The client's address, without a port, as Java writes it.
    pub host: &'a str,
    pub operation: AclOperation,
    pub resource_type: ResourceType,
    pub resource_name: &'a str,
}

/// The outcome of a request, with the rule that decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub allowed: bool,
    pub rule: Rule,
}

/// What decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rule {
    SuperUser,
    Acl(Arc<Acl>),
    /// There are ACLs about the resource, but none matches the request.
    NoMatchingAcl,
    /// There is no ACL about the resource.
    NoAcl,
}

/// The ACLs of a cluster, by id and by what they are about. A clone is cheap and does not change with the original.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Acls {
    by_id: SharedMap<Uuid, Arc<Acl>>,
    /// Every ACL, with the number of its ids. Kafka gives equal ACLs one id.
    ids: SharedMap<Arc<Acl>, usize>,
    by_resource: BTreeMap<ResourceType, OfType>,
}

/// The ACLs about resources of one type.
#[derive(Clone, Debug, Default, PartialEq)]
struct OfType {
    literal: Patterns,
    /// By prefix. A name's prefixes are looked up one by one: names are short, and there may be many ACLs.
    prefixed: Patterns,
    /// The length in bytes of the longest prefix that was ever added.
    longest_prefix: usize,
}

/// ACLs by the name of their pattern.
type Patterns = SharedMap<Arc<str>, Vec<Arc<Acl>>>;

/// Who decides without ACLs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Defaults {
    /// `super.users`: principals such as `User:admin`.
    pub super_users: HashSet<String>,
    /// `allow.everyone.if.no.acl.found`.
    pub allow_if_no_acl: bool,
}

impl Acls {
    /// Adds an ACL, or replaces the one with this id.
    pub fn insert(&mut self, id: Uuid, acl: Acl) {
        self.remove(id);
        let acl = Arc::new(acl);
        let of_type = self.by_resource.entry(acl.resource_type).or_default();
        if acl.pattern_type == PatternType::Prefixed {
            of_type.longest_prefix = of_type.longest_prefix.max(acl.resource_name.len());
        }
        let patterns = of_type.patterns_mut(acl.pattern_type);
        match patterns.get_mut(&acl.resource_name) {
            Some(acls) => acls.push(Arc::clone(&acl)),
            None => drop(patterns.insert(Arc::clone(&acl.resource_name), vec![Arc::clone(&acl)])),
        }
        match self.ids.get_mut(&acl) {
            Some(count) => *count += 1,
            None => drop(self.ids.insert(Arc::clone(&acl), 1)),
        }
        self.by_id.insert(id, acl);
    }

    /// Removes an ACL; `None` if it does not exist.
    pub fn remove(&mut self, id: Uuid) -> Option<Arc<Acl>> {
        let acl = self.by_id.remove(&id)?;
        match self.ids.get_mut(&acl) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.ids.remove(&acl)),
        }
        if let Some(of_type) = self.by_resource.get_mut(&acl.resource_type) {
            let patterns = of_type.patterns_mut(acl.pattern_type);
            if let Some(acls) = patterns.get_mut(&acl.resource_name) {
                // Another id may have an equal ACL: one of them goes.
                if let Some(at) = acls.iter().position(|other| *other == acl) {
                    acls.swap_remove(at);
                }
                if acls.is_empty() {
                    patterns.remove(&acl.resource_name);
                }
            }
            if of_type.literal.is_empty() && of_type.prefixed.is_empty() {
                self.by_resource.remove(&acl.resource_type);
            }
        }
        Some(acl)
    }

    /// Every ACL with its id, by id.
    pub fn by_id(&self) -> impl Iterator<Item = (Uuid, &Arc<Acl>)> {
        let mut all: Vec<_> = self.by_id.iter().map(|(id, acl)| (*id, acl)).collect();
        sort_by(&mut all, |(a, _), (b, _)| a.cmp(b));
        all.into_iter()
    }

    /// The ACLs that match a filter with their ids, sorted by resource.
    pub fn matching(&self, filter: &AclFilter) -> Vec<(Uuid, Arc<Acl>)> {
        let matching = self.by_id.iter().filter(|(_, acl)| filter.matches(acl));
        let mut found: Vec<_> = matching.map(|(id, acl)| (*id, Arc::clone(acl))).collect();
        sort_by(&mut found, |(a_id, a), (b_id, b)| (a, a_id).cmp(&(b, b_id)));
        found
    }

    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Whether an ACL that is equal to this one exists.
    pub fn contains(&self, acl: &Acl) -> bool {
        self.ids.get(acl).is_some()
    }

    /// Whether an ACL has this id.
    pub fn has_id(&self, id: Uuid) -> bool {
        self.by_id.get(&id).is_some()
    }

    /// Decides on a request.
    pub fn decide(&self, defaults: &Defaults, access: &Access) -> Decision {
        if defaults.super_users.contains(access.principal) {
            return Decision { allowed: true, rule: Rule::SuperUser };
        }
        let mut any = false;
        let mut allow = None;
        for acl in self.about(access.resource_type, access.resource_name) {
            any = true;
            if !acl.matches_caller(access.principal, access.host) {
                continue;
            }
            match acl.permission {
                Permission::Deny if acl.names(access.operation) => {
                    return Decision { allowed: false, rule: Rule::Acl(Arc::clone(acl)) };
                }
                Permission::Allow if allow.is_none() && acl.allows(access.operation) => allow = Some(acl),
                _ => {}
            }
        }
        match allow {
            Some(acl) => Decision { allowed: true, rule: Rule::Acl(Arc::clone(acl)) },
            None if any => Decision { allowed: false, rule: Rule::NoMatchingAcl },
            None => Decision { allowed: defaults.allow_if_no_acl, rule: Rule::NoAcl },
        }
    }

    /// Whether the caller may do the operation to at least one resource of the type, whatever its name (the default
    /// method `Authorizer.authorizeByResourceType` of Kafka, which `StandardAuthorizer` has too).
    ///
    /// As in Kafka, a certain name is tried first, and operations that imply this one count only for that name. Then the
    /// caller may if an allow matches that no deny of an equal or wider pattern cancels.
    pub fn allows_any(
        &self,
        defaults: &Defaults,
        principal: &str,
        host: &str,
        operation: AclOperation,
        resource_type: ResourceType,
    ) -> bool {
        let access = Access { principal, host, operation, resource_type, resource_name: ANY_NAME };
        if self.decide(defaults, &access).allowed {
            return true;
        }
        let Some(of_type) = self.by_resource.get(&resource_type) else { return false };
        let has = |acls: &[Arc<Acl>], permission: Permission| {
            acls.iter()
                .any(|acl| acl.permission == permission && acl.matches_caller(principal, host) && acl.names(operation))
        };
        let denies =
            |patterns: &Patterns, name: &str| patterns.get(name).is_some_and(|acls| has(acls, Permission::Deny));
        if denies(&of_type.literal, WILDCARD) {
            return false;
        }
        let denied_by_prefix =
            |name: &str| prefixes(name, of_type.longest_prefix).any(|at| denies(&of_type.prefixed, at));
        let literal = of_type.literal.iter().any(|(name, acls)| {
            has(acls, Permission::Allow)
                && (**name == *WILDCARD || !denies(&of_type.literal, name) && !denied_by_prefix(name))
        });
        let prefixed =
            || of_type.prefixed.iter().any(|(name, acls)| has(acls, Permission::Allow) && !denied_by_prefix(name));
        literal || prefixed()
    }

    /// The ACLs whose pattern matches the resource.
    fn about<'a>(&'a self, resource_type: ResourceType, name: &'a str) -> impl Iterator<Item = &'a Arc<Acl>> {
        self.by_resource.get(&resource_type).into_iter().flat_map(move |of_type| {
            let literal = [of_type.literal.get(name), of_type.literal.get(WILDCARD).filter(|_| name != WILDCARD)];
            let prefixed = prefixes(name, of_type.longest_prefix).filter_map(|prefix| of_type.prefixed.get(prefix));
            literal.into_iter().flatten().chain(prefixed).flatten()
        })
    }
}

impl OfType {
    fn patterns_mut(&mut self, pattern_type: PatternType) -> &mut Patterns {
        match pattern_type {
            PatternType::Literal => &mut self.literal,
            PatternType::Prefixed => &mut self.prefixed,
        }
    }
}

impl Acl {
    fn matches_caller(&self, principal: &str, host: &str) -> bool {
        let principal_matches = *self.principal == *principal || *self.principal == *ANY_PRINCIPAL;
        principal_matches && (*self.host == *WILDCARD || *self.host == *host)
    }

    /// Whether an allow covers the operation: others imply Describe and DescribeConfigs.
    fn allows(&self, operation: AclOperation) -> bool {
        self.names(operation) || operation.is_implied_by(self.operation)
    }

    /// Whether the ACL is about the operation itself.
    fn names(&self, operation: AclOperation) -> bool {
        self.operation == AclOperation::All || self.operation == operation
    }
}

/// The prefixes of a name of at most `longest` bytes, the whole name among them, and the empty one, which Kafka does not
/// let anybody create.
fn prefixes(name: &str, longest: usize) -> impl Iterator<Item = &str> {
    let ends = name.char_indices().map(|(at, _)| at).chain([name.len()]);
    ends.take_while(move |end| *end <= longest).filter_map(|end| name.get(..end))
}
