//! The parts of an ACL, with Kafka's names and codes.
//!
//! Source: `org.apache.kafka.common.acl` and `org.apache.kafka.common.resource`.

use std::fmt;

/// Declares an enum of `Variant = code on the wire`, displayed as Java's constant.
macro_rules! constants {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $code:literal $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(i8)]
        pub enum $name {
            $($variant = $code,)*
        }

        impl $name {
            const ALL: &'static [$name] = &[$($name::$variant,)*];

            /// Returns the code on the wire.
            pub fn code(self) -> i8 {
                self as i8
            }

            /// Returns the variant with this code; `None` for an unknown code.
            pub fn from_code(code: i8) -> Option<$name> {
                $name::ALL.iter().copied().find(|it| it.code() == code)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $($name::$variant => $text,)*
                })
            }
        }
    };
}

constants! {
    /// The type of a resource that ACLs protect.
    ResourceType {
        Topic = 2 "TOPIC",
        Group = 3 "GROUP",
        Cluster = 4 "CLUSTER",
        TransactionalId = 5 "TRANSACTIONAL_ID",
        DelegationToken = 6 "DELEGATION_TOKEN",
        User = 7 "USER",
    }
}

constants! {
    /// An operation that can be allowed or denied.
    Operation {
        All = 2 "ALL",
        Read = 3 "READ",
        Write = 4 "WRITE",
        Create = 5 "CREATE",
        Delete = 6 "DELETE",
        Alter = 7 "ALTER",
        Describe = 8 "DESCRIBE",
        ClusterAction = 9 "CLUSTER_ACTION",
        DescribeConfigs = 10 "DESCRIBE_CONFIGS",
        AlterConfigs = 11 "ALTER_CONFIGS",
        IdempotentWrite = 12 "IDEMPOTENT_WRITE",
        CreateTokens = 13 "CREATE_TOKENS",
        DescribeTokens = 14 "DESCRIBE_TOKENS",
        TwoPhaseCommit = 15 "TWO_PHASE_COMMIT",
    }
}

constants! {
    /// How a pattern's name matches resources.
    PatternType {
        Any = 1 "ANY",
        Match = 2 "MATCH",
        Literal = 3 "LITERAL",
        Prefixed = 4 "PREFIXED",
    }
}

constants! {
    Permission {
        Deny = 2 "DENY",
        Allow = 3 "ALLOW",
    }
}

/// The code that matches anything in a filter.
pub const ANY: i8 = 1;

impl Operation {
    /// Finds an operation by a name such as `DescribeConfigs`, ignoring case.
    pub fn named(name: &str) -> Option<Operation> {
        Operation::ALL.iter().copied().find(|it| it.to_string().replace('_', "").eq_ignore_ascii_case(name.trim()))
    }
}

impl PatternType {
    /// Finds a pattern type by a name such as `literal`, ignoring case.
    pub fn named(name: &str) -> Option<PatternType> {
        PatternType::ALL.iter().copied().find(|it| it.to_string().eq_ignore_ascii_case(name))
    }
}

impl ResourceType {
    /// Returns the operations that the resource type supports.
    pub fn operations(self) -> &'static [Operation] {
        use Operation::*;
        match self {
            ResourceType::Topic => &[All, Read, Write, Create, Describe, Delete, Alter, DescribeConfigs, AlterConfigs],
            ResourceType::Group => &[All, Read, Describe, Delete, DescribeConfigs, AlterConfigs],
            ResourceType::Cluster => {
                &[All, Create, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite, Alter, Describe]
            }
            ResourceType::TransactionalId => &[All, Describe, Write, TwoPhaseCommit],
            ResourceType::DelegationToken => &[All, Describe],
            ResourceType::User => &[All, CreateTokens, DescribeTokens],
        }
    }
}

/// A resource pattern, of ACLs or of a filter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    pub resource: ResourceType,
    pub name: String,
    pub kind: PatternType,
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
    pub operation: Operation,
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
        let check = |name, expect| assert_eq!(Operation::named(name), expect, "{name}");
        check("Read", Some(Operation::Read));
        check(" describeconfigs ", Some(Operation::DescribeConfigs));
        check("DESCRIBE_CONFIGS", None);
        check("Bogus", None);
    }
}
