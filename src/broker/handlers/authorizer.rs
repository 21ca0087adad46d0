//! Authorization in Kafka's terms: operations, resources, and the authorizer that decides.
//!
//! Handlers check the operations that Kafka checks, in Kafka's order, with
//! [`Context::authorize`](super::context::Context::authorize), and answer a denied operation with Kafka's error.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use super::context::Caller;
use crate::state::Broker;
use ottla_config::AuthorizerConfig;
pub(super) use ottla_core::security::acl::AclOperation as Operation;
use ottla_core::security::acl::{Access, Acl, CLUSTER_NAME, Defaults, ResourceType, Rule};

/// What an operation is done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource<'a> {
    Cluster,
    Topic(&'a str),
    /// At least one topic, whatever its name (Kafka's `authorizeByResourceType`).
    AnyTopic,
    Group(&'a str),
    TransactionalId(&'a str),
    /// The id of a delegation token.
    DelegationToken(&'a str),
    /// A principal, such as `User:alice`, whose delegation tokens are created or described.
    User(&'a str),
}

impl<'a> Resource<'a> {
    pub fn resource_type(self) -> ResourceType {
        match self {
            Resource::Cluster => ResourceType::Cluster,
            Resource::Topic(_) | Resource::AnyTopic => ResourceType::Topic,
            Resource::Group(_) => ResourceType::Group,
            Resource::TransactionalId(_) => ResourceType::TransactionalId,
            Resource::DelegationToken(_) => ResourceType::DelegationToken,
            Resource::User(_) => ResourceType::User,
        }
    }

    pub fn name(self) -> &'a str {
        match self {
            Resource::Cluster => CLUSTER_NAME,
            Resource::AnyTopic => "*",
            Resource::Topic(name)
            | Resource::Group(name)
            | Resource::TransactionalId(name)
            | Resource::DelegationToken(name)
            | Resource::User(name) => name,
        }
    }
}

impl fmt::Display for Resource<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.resource_type().log_name(), self.name())
    }
}

/// The refusal of an operation, by the type of its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    Cluster,
    Topic,
    Group,
    TransactionalId,
    DelegationToken,
}

impl From<Resource<'_>> for Denied {
    fn from(resource: Resource<'_>) -> Denied {
        match resource {
            Resource::Cluster => Denied::Cluster,
            Resource::Topic(_) | Resource::AnyTopic => Denied::Topic,
            Resource::Group(_) => Denied::Group,
            Resource::TransactionalId(_) => Denied::TransactionalId,
            Resource::DelegationToken(_) | Resource::User(_) => Denied::DelegationToken,
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
            Denied::DelegationToken => "Delegation Token authorization failed.",
        }
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

/// A decision on one operation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub allowed: bool,
    /// What decided; `None` without an authorizer, which logs nothing.
    pub rule: Option<Rule>,
}

/// Decides which callers may do what.
pub(super) trait Authorizer: Send + Sync {
    fn decide(&self, caller: &Caller, operation: Operation, resource: Resource<'_>) -> Verdict;

    /// Whether every operation is allowed, so that nothing is logged and no caller needs a decision.
    fn allows_everything(&self) -> bool {
        false
    }

    /// Whether ACLs decide; otherwise requests about them are refused.
    fn uses_acls(&self) -> bool {
        false
    }
}

/// The authorizer that the settings name.
pub(super) fn configured(broker: &Arc<Broker>) -> Arc<dyn Authorizer> {
    match &broker.config().authorizer {
        Some(config) => Arc::new(StandardAuthorizer::new(Arc::clone(broker), config)),
        None => Arc::new(AllowAll),
    }
}

/// Allows every operation, as Kafka does without `authorizer.class.name`.
pub(super) struct AllowAll;

impl Authorizer for AllowAll {
    fn decide(&self, _caller: &Caller, _operation: Operation, _resource: Resource<'_>) -> Verdict {
        Verdict { allowed: true, rule: None }
    }

    fn allows_everything(&self) -> bool {
        true
    }
}

/// Kafka's authorizer of the same name: decides by the ACLs of the published metadata.
pub(super) struct StandardAuthorizer {
    broker: Arc<Broker>,
    defaults: Defaults,
}

impl StandardAuthorizer {
    pub fn new(broker: Arc<Broker>, config: &AuthorizerConfig) -> StandardAuthorizer {
        let AuthorizerConfig { super_users, allow_everyone_if_no_acl } = config;
        let defaults = Defaults { super_users: super_users.clone(), allow_if_no_acl: *allow_everyone_if_no_acl };
        StandardAuthorizer { broker, defaults }
    }
}

impl Authorizer for StandardAuthorizer {
    fn decide(&self, caller: &Caller, operation: Operation, resource: Resource<'_>) -> Verdict {
        let cluster = self.broker.cluster();
        let (acls, defaults) = (cluster.image.acls(), &self.defaults);
        let (principal, host) = (&*caller.principal.to_string(), &*java_address(caller.client_address.ip()));
        let (resource_type, resource_name) = (resource.resource_type(), resource.name());
        if resource == Resource::AnyTopic {
            let allowed = acls.allows_any(defaults, principal, host, operation, resource_type);
            return Verdict { allowed, rule: Some(Rule::NoAcl) };
        }
        let access = Access { principal, host, operation, resource_type, resource_name };
        let decision = acls.decide(defaults, &access);
        Verdict { allowed: decision.allowed, rule: Some(decision.rule) }
    }

    fn uses_acls(&self) -> bool {
        true
    }
}

/// An address as Java's `getHostAddress` writes it, because the hosts of ACLs are compared as text: IPv6 addresses are
/// not shortened, and those that contain an IPv4 address are written as that.
pub(super) fn java_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => address.segments().map(|segment| format!("{segment:x}")).join(":"),
    }
}

/// A decision in the words of Kafka's `kafka.authorizer.logger`.
pub(super) struct AuditLine<'a> {
    pub verdict: &'a Verdict,
    pub caller: &'a Caller,
    pub operation: Operation,
    pub resource: Resource<'a>,
    /// How often the request names the resource (Kafka's `resourceReferenceCount`).
    pub references: usize,
    /// The name of the request's API.
    pub request: &'a str,
}

impl fmt::Display for AuditLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AuditLine { verdict, caller, operation, resource, references, request } = self;
        let outcome = if verdict.allowed { "Allowed" } else { "Denied" };
        write!(
            f,
            "Principal = {} is {outcome} operation = {} from host = {} on resource = {}:LITERAL:{} for request = {request} \
             with resourceRefCount = {references} based on rule ",
            caller.principal,
            operation.name(),
            java_address(caller.client_address.ip()),
            resource.resource_type().log_name(),
            resource.name().escape_debug(),
        )?;
        match (&verdict.rule, verdict.allowed) {
            (Some(Rule::SuperUser), _) => f.write_str("SuperUser"),
            (Some(Rule::Acl(acl)), _) => write_acl(f, acl),
            (_, true) => f.write_str("DefaultAllow"),
            (_, false) => f.write_str("DefaultDeny"),
        }
    }
}

fn write_acl(f: &mut fmt::Formatter<'_>, acl: &Acl) -> fmt::Result {
    write!(
        f,
        "MatchingAcl(acl=StandardAcl[resourceType={}, resourceName={}, patternType={}, principal={}, host={}, operation={}, \
         permissionType={}])",
        acl.resource_type.name(),
        acl.resource_name.escape_debug(),
        acl.pattern_type.name(),
        acl.principal.escape_debug(),
        acl.host.escape_debug(),
        acl.operation.name(),
        acl.permission.name()
    )
}

/// The value of a response's authorized operations if the request did not ask for them.
pub(super) const NOT_REQUESTED: i32 = i32::MIN;

/// The operations on a resource that `allows` permits, as a bit field: bit n is the operation with code n.
pub(super) fn authorized_operations(resource: Resource<'_>, allows: impl Fn(Operation) -> bool) -> i32 {
    let allowed = resource.resource_type().operations().iter().filter(|operation| allows(**operation));
    allowed.fold(0, |bits, operation| bits | 1 << operation.code())
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

    #[test]
    fn addresses_are_written_as_java_writes_them() {
        for (address, expect) in [
            ("10.0.0.1", "10.0.0.1"),
            ("::1", "0:0:0:0:0:0:0:1"),
            ("fe80::0a:ff", "fe80:0:0:0:0:0:a:ff"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
        ] {
            assert_eq!(java_address(address.parse().unwrap()), expect);
        }
    }
}
