//! Sets of ACLs for one caller.

use std::fmt::Write as _;

use ottla_core::security::acl::{AclOperation, PatternType, Permission, ResourceType};

/// The names that literal ACLs are about, for each type of resource. `topic2`, `group2` and `txn2` have none.
fn literal_names(kind: ResourceType) -> &'static [&'static str] {
    match kind {
        ResourceType::Topic => &["topic1", "topic3"],
        ResourceType::Group => &["group1", "group3"],
        ResourceType::TransactionalId => &["txn1", "txn3"],
        ResourceType::Cluster => &["kafka-cluster"],
        ResourceType::DelegationToken | ResourceType::User => &[],
    }
}

/// The prefix of all names.
fn prefix(kind: ResourceType) -> Option<&'static str> {
    match kind {
        ResourceType::Topic => Some("topic"),
        ResourceType::Group => Some("group"),
        ResourceType::TransactionalId => Some("txn"),
        ResourceType::Cluster | ResourceType::DelegationToken | ResourceType::User => None,
    }
}

const KINDS: [ResourceType; 4] =
    [ResourceType::Topic, ResourceType::Group, ResourceType::Cluster, ResourceType::TransactionalId];

/// How the names of resources are covered.
#[derive(Clone, Copy, PartialEq)]
enum Cover {
    Literal,
    Prefix,
    Wildcard,
}

/// A set of ACLs and its name: `Topic.READ` allows one operation on literal names, `Topic.READ^` on a prefix, `Topic.READ*`
/// on all names; a minus sign denies it, and everything else is allowed.
pub struct Rights {
    pub name: String,
    /// The `creations` of a CreateAcls request, as text.
    pub creations: String,
}

/// The host of the caller, which its ACLs name.
pub const HOST: &str = "127.0.0.1";

impl Rights {
    fn new(name: impl Into<String>) -> Rights {
        Rights { name: name.into(), creations: String::new() }
    }

    fn add(mut self, permission: Permission, kind: ResourceType, operation: AclOperation, cover: Cover) -> Rights {
        let (names, pattern) = match cover {
            Cover::Literal => (literal_names(kind).to_vec(), PatternType::Literal),
            Cover::Prefix => (prefix(kind).into_iter().collect(), PatternType::Prefixed),
            Cover::Wildcard if kind == ResourceType::Cluster => (literal_names(kind).to_vec(), PatternType::Literal),
            Cover::Wildcard => (vec!["*"], PatternType::Literal),
        };
        for name in names {
            let (kind, pattern) = (kind.code(), pattern.code());
            let _ = write!(
                self.creations,
                " {{resource_type={kind} resource_name={name} resource_pattern_type={pattern} principal=User:ANONYMOUS \
                 host={HOST} operation={} permission_type={}}}",
                operation.code(),
                permission.code()
            );
        }
        self
    }

    fn everything(name: impl Into<String>) -> Rights {
        let add = |rights: Rights, kind| rights.add(Permission::Allow, kind, AclOperation::All, Cover::Wildcard);
        KINDS.into_iter().fold(Rights::new(name), add)
    }
}

/// Everything, nothing, and every single right and its absence, in each way to name resources.
pub fn all() -> Vec<Rights> {
    let mut all = vec![Rights::everything("everything"), Rights::new("nothing")];
    for kind in KINDS {
        for operation in [&[AclOperation::All], kind.operations()].concat() {
            for (cover, mark) in [(Cover::Literal, ""), (Cover::Prefix, "^"), (Cover::Wildcard, "*")] {
                if cover != Cover::Literal && kind == ResourceType::Cluster {
                    continue;
                }
                let name = format!("{}.{}{mark}", kind.log_name(), operation.name());
                all.push(Rights::new(&name).add(Permission::Allow, kind, operation, cover));
                all.push(Rights::everything(format!("-{name}")).add(Permission::Deny, kind, operation, cover));
            }
        }
    }
    all
}

/// Names of rights as one text. Names with the same beginning share it: `Topic.READ,WRITE`.
pub fn list(names: &[&str]) -> String {
    let mut list = String::new();
    let mut before = None;
    for name in names {
        let (start, rest) = name.split_once('.').map_or((*name, None), |(start, rest)| (start, Some(rest)));
        match rest {
            Some(rest) if before == Some(start) => {
                let _ = write!(list, ",{rest}");
            }
            _ => {
                let _ = write!(list, "{}{name}", if list.is_empty() { "" } else { " " });
            }
        }
        before = Some(start);
    }
    list
}

/// The names of a list.
pub fn names(list: &str) -> impl Iterator<Item = String> {
    list.split(' ').flat_map(|part| {
        let (start, rest) = part.split_once('.').map_or((part, None), |(start, rest)| (start, Some(rest)));
        match rest {
            Some(rest) => rest.split(',').map(|rest| format!("{start}.{rest}")).collect(),
            None => vec![start.to_owned()],
        }
    })
}

#[test]
fn list_of_names_is_read_as_it_was_written() {
    let all = ["-Topic.READ^", "-Topic.WRITE", "Topic.READ", "nothing"];
    assert_eq!(list(&all), "-Topic.READ^,WRITE Topic.READ nothing");
    assert_eq!(names(&list(&all)).collect::<Vec<_>>(), all);
}
