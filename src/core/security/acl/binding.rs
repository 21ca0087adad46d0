//! ACLs and filters as requests have them, with codes that may be invalid.

use std::sync::Arc;

use super::{Acl, AclOperation, PatternType, Permission, ResourceType, WILDCARD};

/// Kafka's code for ANY, in all its enumerations.
const ANY: i8 = 1;

/// An ACL in a request to create it.
#[derive(Clone, Debug, PartialEq)]
pub struct AclBinding {
    pub resource_type: i8,
    pub resource_name: Arc<str>,
    pub pattern_type: i8,
    pub principal: Arc<str>,
    pub host: Arc<str>,
    pub operation: i8,
    pub permission: i8,
}

/// Why an ACL cannot be created; the message is Kafka's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidAcl(pub String);

impl AclBinding {
    /// The ACL, if Kafka accepts it (`AclControlManager.validateNewAcl`).
    ///
    /// # Errors
    /// The first invalid part, in the order of Kafka's checks.
    pub fn validate(&self) -> Result<Acl, InvalidAcl> {
        let unknown = |part: &str| InvalidAcl(format!("Invalid {part} UNKNOWN"));
        let acl = Acl {
            resource_type: ResourceType::from_code(self.resource_type).ok_or_else(|| unknown("resourceType"))?,
            pattern_type: PatternType::from_code(self.pattern_type).ok_or_else(|| unknown("patternType"))?,
            operation: AclOperation::from_code(self.operation).ok_or_else(|| unknown("operation"))?,
            permission: Permission::from_code(self.permission).ok_or_else(|| unknown("permissionType"))?,
            resource_name: Arc::clone(&self.resource_name),
            principal: Arc::clone(&self.principal),
            host: Arc::clone(&self.host),
        };
        match () {
            () if acl.resource_name.is_empty() => Err(InvalidAcl("Resource name should not be empty".to_owned())),
            () if !acl.principal.contains(':') => Err(InvalidAcl(format!(
                "Could not parse principal from `{}` (no colon is present separating the principal type from the \
                 principal name)",
                acl.principal
            ))),
            () => Ok(acl),
        }
    }

    /// Whether a part is ANY, or a pattern type that only filters have. No Java client can build such an ACL.
    pub fn has_filter_codes(&self) -> bool {
        self.resource_type == ANY
            || self.operation == ANY
            || self.permission == ANY
            || matches!(NameMatching::from_code(self.pattern_type), NameMatching::Any | NameMatching::Match)
    }
}

/// A condition on one part of an ACL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matching<T> {
    Any,
    Only(T),
    /// A code that Kafka does not define: it matches nothing.
    Unknown,
}

impl<T: PartialEq + Copy> Matching<T> {
    /// The condition with that code.
    pub fn from_code(code: i8, value: fn(i8) -> Option<T>) -> Matching<T> {
        match code {
            ANY => Matching::Any,
            code => value(code).map_or(Matching::Unknown, Matching::Only),
        }
    }

    fn matches(self, value: T) -> bool {
        match self {
            Matching::Any => true,
            Matching::Only(only) => only == value,
            Matching::Unknown => false,
        }
    }
}

/// A condition on the pattern of an ACL, in a filter with a name (Kafka's `PatternType` in a `ResourcePatternFilter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameMatching {
    /// Patterns with that name, of both types.
    Any,
    /// Patterns that match a resource of that name.
    Match,
    Only(PatternType),
    /// A code that Kafka does not define: it matches nothing.
    Unknown,
}

impl NameMatching {
    pub fn from_code(code: i8) -> NameMatching {
        match code {
            ANY => NameMatching::Any,
            2 => NameMatching::Match,
            code => PatternType::from_code(code).map_or(NameMatching::Unknown, NameMatching::Only),
        }
    }
}

/// Which ACLs to list or to delete (Kafka's `AclBindingFilter`). `None` matches everything.
#[derive(Clone, Debug, PartialEq)]
pub struct AclFilter {
    pub resource_type: Matching<ResourceType>,
    pub resource_name: Option<Arc<str>>,
    pub pattern_type: NameMatching,
    pub principal: Option<Arc<str>>,
    pub host: Option<Arc<str>>,
    pub operation: Matching<AclOperation>,
    pub permission: Matching<Permission>,
}

impl AclFilter {
    /// Checks that all parts are known, as Kafka does before it deletes ACLs.
    ///
    /// # Errors
    /// Kafka's message.
    pub fn validate(&self) -> Result<(), InvalidAcl> {
        if self.resource_type == Matching::Unknown || self.pattern_type == NameMatching::Unknown {
            return Err(InvalidAcl("Unknown patternFilter.".to_owned()));
        }
        if self.operation == Matching::Unknown || self.permission == Matching::Unknown {
            return Err(InvalidAcl("Unknown entryFilter.".to_owned()));
        }
        Ok(())
    }

    pub fn matches(&self, acl: &Acl) -> bool {
        let is = |wanted: &Option<Arc<str>>, value: &str| wanted.as_ref().is_none_or(|wanted| **wanted == *value);
        self.resource_type.matches(acl.resource_type)
            && self.matches_pattern(acl)
            && is(&self.principal, &acl.principal)
            && is(&self.host, &acl.host)
            && self.operation.matches(acl.operation)
            && self.permission.matches(acl.permission)
    }

    fn matches_pattern(&self, acl: &Acl) -> bool {
        let same_type = match self.pattern_type {
            NameMatching::Any | NameMatching::Match => true,
            NameMatching::Only(only) => only == acl.pattern_type,
            NameMatching::Unknown => false,
        };
        let Some(name) = &self.resource_name else { return same_type };
        let same_name = *name == acl.resource_name;
        same_type
            && match (self.pattern_type, acl.pattern_type) {
                (NameMatching::Match, PatternType::Literal) => same_name || *acl.resource_name == *WILDCARD,
                (NameMatching::Match, PatternType::Prefixed) => name.starts_with(&*acl.resource_name),
                _ => same_name,
            }
    }
}
