//! Authorization in Kafka's terms: operations, resources, and the authorizer that decides.
//!
//! Handlers check the operations that Kafka checks, in Kafka's order, with
//! [`Context::authorize`](super::context::Context::authorize), and answer a denied operation with Kafka's error.

use std::fmt;

use super::context::Caller;

/// Kafka's `AclOperation`, with its codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Operation {
    Read = 3,
    Write = 4,
    Create = 5,
    Delete = 6,
    Alter = 7,
    Describe = 8,
    ClusterAction = 9,
    DescribeConfigs = 10,
    AlterConfigs = 11,
    IdempotentWrite = 12,
}

/// What an operation is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource<'a> {
    Cluster,
    Topic(&'a str),
    /// At least one topic, whatever its name (Kafka's `authorizeByResourceType`).
    AnyTopic,
    Group(&'a str),
    TransactionalId(&'a str),
}

impl Resource<'_> {
    /// The operations that Kafka knows for a resource of this type (`AclEntry.supportedOperations`).
    fn operations(self) -> &'static [Operation] {
        use Operation::*;
        match self {
            Resource::Cluster => {
                &[Create, ClusterAction, DescribeConfigs, AlterConfigs, IdempotentWrite, Alter, Describe]
            }
            Resource::Topic(_) | Resource::AnyTopic => {
                &[Read, Write, Create, Describe, Delete, Alter, DescribeConfigs, AlterConfigs]
            }
            Resource::Group(_) => &[Read, Describe, Delete, DescribeConfigs, AlterConfigs],
            Resource::TransactionalId(_) => &[Describe, Write],
        }
    }
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resource::Cluster => f.write_str("Cluster:kafka-cluster"),
            Resource::Topic(name) => write!(f, "Topic:{name}"),
            Resource::AnyTopic => f.write_str("Topic:*"),
            Resource::Group(id) => write!(f, "Group:{id}"),
            Resource::TransactionalId(id) => write!(f, "TransactionalId:{id}"),
        }
    }
}

/// The refusal of an operation, by the type of its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    Cluster,
    Topic,
    Group,
    TransactionalId,
}

impl From<Resource<'_>> for Denied {
    fn from(resource: Resource<'_>) -> Denied {
        match resource {
            Resource::Cluster => Denied::Cluster,
            Resource::Topic(_) | Resource::AnyTopic => Denied::Topic,
            Resource::Group(_) => Denied::Group,
            Resource::TransactionalId(_) => Denied::TransactionalId,
        }
    }
}

impl Denied {
    /// Kafka's message for the error.
    pub fn message(self) -> &'static str {
        match self {
            Denied::Cluster => "Cluster authorization failed.",
            Denied::Topic => "Topic authorization failed.",
            Denied::Group => "Group authorization failed.",
            Denied::TransactionalId => "Transactional Id authorization failed.",
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// Decides which callers may do what.
pub(super) trait Authorizer: Send + Sync {
    fn allows(&self, caller: &Caller, operation: Operation, resource: Resource<'_>) -> bool;
}

/// Allows every operation, as Kafka does without `authorizer.class.name`.
pub(super) struct AllowAll;

impl Authorizer for AllowAll {
    fn allows(&self, _caller: &Caller, _operation: Operation, _resource: Resource<'_>) -> bool {
        true
    }
}

/// The value of a response's authorized operations if the request did not ask for them.
pub(super) const NOT_REQUESTED: i32 = i32::MIN;

/// The operations on a resource that `allows` permits, as a bit field: bit n is the operation with code n.
pub(super) fn authorized_operations(resource: Resource<'_>, allows: impl Fn(Operation) -> bool) -> i32 {
    let allowed = resource.operations().iter().filter(|operation| allows(**operation));
    allowed.fold(0, |bits, operation| bits | 1 << *operation as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn authorized_operations_have_the_bits_of_allowed_operations() {
        let bits = authorized_operations(Resource::Topic("orders"), |operation| operation != Operation::Delete);
        assert_eq!(bits, 0b1101_1011_1000);
        assert_eq!(authorized_operations(Resource::Group("workers"), |_| true), 0b1101_0100_1000);
        assert_eq!(authorized_operations(Resource::Cluster, |_| true), 0b1_1111_1010_0000);
        assert_eq!(authorized_operations(Resource::Cluster, |_| false), 0);
    }
}
