//! Kafka's terms for ACLs, with their codes on the wire and in records.

use std::fmt;

macro_rules! terms {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $code:literal $text:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(i8)]
        pub enum $name {
            $($(#[$variant_doc])* $variant = $code,)*
        }

        impl $name {
            /// Every value, by code.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            /// The code on the wire and in records.
            pub fn code(self) -> i8 {
                self as i8
            }

            /// The value with that code; `None` for Kafka's UNKNOWN and ANY, and for codes that Kafka does not define.
            pub fn from_code(code: i8) -> Option<$name> {
                $name::ALL.iter().copied().find(|value| value.code() == code)
            }

            /// Kafka's name in the output of `kafka-acls`.
            pub fn name(self) -> &'static str {
                match self {
                    $($name::$variant => $text,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

terms! {
    /// The type of a resource (Kafka's `ResourceType`).
    ResourceType {
        Topic = 2 "TOPIC";
        Group = 3 "GROUP";
        Cluster = 4 "CLUSTER";
        TransactionalId = 5 "TRANSACTIONAL_ID";
        DelegationToken = 6 "DELEGATION_TOKEN";
        User = 7 "USER";
    }
}

terms! {
    /// How a pattern matches names (Kafka's `PatternType`).
    PatternType {
        Literal = 3 "LITERAL";
        Prefixed = 4 "PREFIXED";
    }
}

terms! {
    /// What may be done (Kafka's `AclOperation`).
    AclOperation {
        All = 2 "ALL";
        Read = 3 "READ";
        Write = 4 "WRITE";
        Create = 5 "CREATE";
        Delete = 6 "DELETE";
        Alter = 7 "ALTER";
        Describe = 8 "DESCRIBE";
        ClusterAction = 9 "CLUSTER_ACTION";
        DescribeConfigs = 10 "DESCRIBE_CONFIGS";
        AlterConfigs = 11 "ALTER_CONFIGS";
        IdempotentWrite = 12 "IDEMPOTENT_WRITE";
        CreateTokens = 13 "CREATE_TOKENS";
        DescribeTokens = 14 "DESCRIBE_TOKENS";
        TwoPhaseCommit = 15 "TWO_PHASE_COMMIT";
    }
}

terms! {
    /// Whether an ACL allows or denies (Kafka's `AclPermissionType`).
    Permission {
        Deny = 2 "DENY";
        Allow = 3 "ALLOW";
    }
}

impl ResourceType {
    /// The operations that Kafka knows for a resource of this type (`AclEntry.supportedOperations`). An ACL with
    /// [`AclOperation::All`] is about all of them.
    pub fn operations(self) -> &'static [AclOperation] {
        use AclOperation::*;
        match self {
            ResourceType::Topic => &[Read, Write, Create, Describe, Delete, Alter, DescribeConfigs, AlterConfigs],
            ResourceType::Group => &[Read, Describe, Delete, DescribeConfigs, AlterConfigs],
            ResourceType::Cluster => {
                &[Create, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite, Alter, Describe]
            }
            ResourceType::TransactionalId => &[Describe, Write, TwoPhaseCommit],
            ResourceType::DelegationToken => &[Describe],
            ResourceType::User => &[CreateTokens, DescribeTokens],
        }
    }

    /// Kafka's name in its log of decisions (`SecurityUtils.resourceTypeName`).
    pub fn log_name(self) -> &'static str {
        match self {
            ResourceType::Topic => "Topic",
            ResourceType::Group => "Group",
            ResourceType::Cluster => "Cluster",
            ResourceType::TransactionalId => "TransactionalId",
            ResourceType::DelegationToken => "DelegationToken",
            ResourceType::User => "User",
        }
    }
}

impl AclOperation {
    /// Whether an allow of `other` also allows this operation.
    pub(super) fn is_implied_by(self, other: AclOperation) -> bool {
        use AclOperation::*;
        match self {
            Describe => matches!(other, Read | Write | Delete | Alter),
            DescribeConfigs => other == AlterConfigs,
            _ => false,
        }
    }
}
