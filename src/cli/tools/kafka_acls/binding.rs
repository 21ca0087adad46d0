//! The parts of an ACL as Kafka's tool displays and parses them.
//!
//! Source: `org.apache.kafka.common.acl` and `org.apache.kafka.common.resource`.

use std::fmt;

use ottla_core::security::acl::{AclOperation, PatternType, Permission, ResourceType};

/// The code that matches anything in a filter.
pub const ANY: i8 = 1;
/// The code of a pattern type that only filters have.
const MATCH: i8 = 2;

/// A pattern type of ACLs, or one that only filters have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PatternKind {
    Any,
    Match,
    Of(PatternType),
}

impl PatternKind {
    /// Finds a pattern type by a name such as `literal`, ignoring case.
    pub fn named(name: &str) -> Option<PatternKind> {
        let of_acls = PatternType::ALL.iter().copied().map(PatternKind::Of);
        [PatternKind::Any, PatternKind::Match]
            .into_iter()
            .chain(of_acls)
            .find(|it| it.to_string().eq_ignore_ascii_case(name))
    }

    /// Returns the code on the wire.
    pub fn code(self) -> i8 {
        match self {
            PatternKind::Any => ANY,
            PatternKind::Match => MATCH,
            PatternKind::Of(kind) => kind.code(),
        }
    }
}

impl fmt::Display for PatternKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PatternKind::Any => "ANY",
            PatternKind::Match => "MATCH",
            PatternKind::Of(kind) => kind.name(),
        })
    }
}

/// Finds an operation by a name such as `DescribeConfigs`, ignoring case.
pub fn operation_named(name: &str) -> Option<AclOperation> {
    AclOperation::ALL.iter().copied().find(|it| it.name().replace('_', "").eq_ignore_ascii_case(name.trim()))
}

/// Returns the operations that ACLs of a resource type can have.
pub fn operations_of(resource: ResourceType) -> impl Iterator<Item = AclOperation> + Clone {
    std::iter::once(AclOperation::All).chain(resource.operations().iter().copied())
}

/// A resource pattern, of ACLs or of a filter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    pub resource: ResourceType,
    pub name: String,
    pub kind: PatternKind,
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Pattern { resource, name, kind } = self;
        write!(f, "ResourcePattern(resourceType={resource}, name={name}, patternType={kind})")
    }
}

/// An access control entry.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub principal: String,
    pub host: String,
    pub operation: AclOperation,
    pub permission: Permission,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Entry { principal, host, operation, permission } = self;
        write!(f, "(principal={principal}, host={host}, operation={operation}, permissionType={permission})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_found_by_name_ignoring_case() {
        let check = |name, expect| assert_eq!(operation_named(name), expect, "{name}");
        check("Read", Some(AclOperation::Read));
        check(" describeconfigs ", Some(AclOperation::DescribeConfigs));
        check("DESCRIBE_CONFIGS", None);
        check("Bogus", None);
    }

    #[test]
    fn pattern_types_are_found_by_name_ignoring_case() {
        let check = |name, expect| assert_eq!(PatternKind::named(name), expect, "{name}");
        check("any", Some(PatternKind::Any));
        check("Match", Some(PatternKind::Match));
        check("LITERAL", Some(PatternKind::Of(PatternType::Literal)));
        check("prefixed", Some(PatternKind::Of(PatternType::Prefixed)));
        check("unknown", None);
    }
}
