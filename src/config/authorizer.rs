//! The authorizer: `authorizer.class.name`, with the settings of Kafka's own one.

use std::collections::{BTreeMap, HashSet};

use super::values::{Source, Values};

pub(super) const AUTHORIZER: &str = "authorizer.class.name";
pub(super) const ALLOW_EVERYONE: &str = "allow.everyone.if.no.acl.found";
pub(super) const SUPER_USERS: &str = "super.users";

/// Kafka's own authorizers, all with the rules of the first one. The others are of releases with ZooKeeper.
const OWN_AUTHORIZERS: [&str; 3] = [
    "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    "kafka.security.authorizer.AclAuthorizer",
    "kafka.security.auth.SimpleAclAuthorizer",
];

/// The authorizer that checks every request (Kafka's `StandardAuthorizer`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthorizerConfig {
    /// Principals that may do everything, such as `User:admin`.
    pub super_users: HashSet<String>,
    /// Whether everyone may do everything to resources without ACLs.
    pub allow_everyone_if_no_acl: bool,
}

/// Reads the settings; `None` if no authorizer is configured. The error, one line, names a class that is not Kafka's
/// own, or a super user that is not a principal.
pub(super) fn resolve(
    values: &Values,
    plugin_settings: &BTreeMap<String, (String, Source)>,
) -> Result<Option<AuthorizerConfig>, String> {
    let Some(class) = values.given(AUTHORIZER).filter(|class| !class.is_empty()) else { return Ok(None) };
    if !OWN_AUTHORIZERS.contains(&class) {
        let from = values.source(AUTHORIZER).map(|from| format!(" ({from})")).unwrap_or_default();
        return Err(format!(
            "{AUTHORIZER}={}{from} demands an authorizer of its own, and only Kafka's is supported; set it to {}, or remove \
             it to allow every client everything",
            class.escape_debug(),
            OWN_AUTHORIZERS[0]
        ));
    }
    let super_users = match plugin_settings.get(SUPER_USERS) {
        Some((list, from)) => super_users(list).map_err(|why| format!("{SUPER_USERS} ({from}): {why}"))?,
        None => HashSet::new(),
    };
    // As Java's Boolean.parseBoolean: everything else is false.
    let everyone = plugin_settings.get(ALLOW_EVERYONE).is_some_and(|(value, _)| value.eq_ignore_ascii_case("true"));
    Ok(Some(AuthorizerConfig { super_users, allow_everyone_if_no_acl: everyone }))
}

/// Splits `User:admin;User:CN=a,O=b`. Commas belong to names.
fn super_users(list: &str) -> Result<HashSet<String>, String> {
    let principals = list.split(';').map(str::trim).filter(|entry| !entry.is_empty());
    let check = |entry: &str| match entry.contains(':') {
        true => Ok(entry.to_owned()),
        false => {
            Err(format!("expected a string in format principalType:principalName but got {}", entry.escape_debug()))
        }
    };
    principals.map(check).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn super_users_are_separated_by_semicolons() {
        let names = |list| super_users(list).map(|found| found.into_iter().collect::<std::collections::BTreeSet<_>>());
        let expect = |names: &[&str]| Ok(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(names(""), expect(&[]));
        assert_eq!(names(" User:a ; User:CN=b,O=c;;"), expect(&["User:a", "User:CN=b,O=c"]));
        let error = "expected a string in format principalType:principalName but got bob";
        assert_eq!(names("User:a;bob"), Err(error.to_owned()));
    }
}
