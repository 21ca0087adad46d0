//! The limits that are set, and which of them applies to a client.

use std::collections::HashMap;

use super::{CLIENT_ID, CONNECTION_CREATION_RATE, IP, QuotaType, USER};

/// All limits of a metadata image.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct QuotaLimits {
    produce: Limits,
    fetch: Limits,
    request: Limits,
    controller_mutation: Limits,
    ips: IpLimits,
}

/// The limits of one quota type, by user and client id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    users: Level<UserLimits>,
    clients: Level<f64>,
}

/// The connection creation rates of IP addresses.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct IpLimits {
    /// By the names that the entities have, which can be host names.
    pub named: Vec<(String, f64)>,
    pub default: Option<f64>,
}

/// What is set for the names of an entity type, and for all other names.
#[derive(Clone, Debug, PartialEq)]
struct Level<T> {
    named: HashMap<String, T>,
    default: Option<T>,
}

impl<T> Default for Level<T> {
    fn default() -> Self {
        Level { named: HashMap::new(), default: None }
    }
}

#[derive(Clone, Debug, Default, PartialEq)]
struct UserLimits {
    /// The limit of the user, whatever the client id.
    own: Option<f64>,
    clients: Level<f64>,
}

/// The limit of a client, and whose requests count towards it: an empty user or client id stands for all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Applicable<'a> {
    pub user: &'a str,
    pub client_id: &'a str,
    /// `None`: not limited.
    pub limit: Option<f64>,
}

impl<T> Level<T> {
    fn is_empty(&self) -> bool {
        self.named.is_empty() && self.default.is_none()
    }

    fn named(&self, name: &str) -> Option<&T> {
        self.named.get(name)
    }
}

impl<T: Default> Level<T> {
    /// The entry of a name, or of the default; it is created if there is none.
    fn entry(&mut self, name: Option<&str>) -> &mut T {
        match name {
            Some(name) => self.named.entry(name.to_owned()).or_default(),
            None => self.default.get_or_insert_default(),
        }
    }
}

impl QuotaLimits {
    /// Collects limits from entities (types and names), the name of the limit, and its value. Unknown ones are ignored.
    pub fn new<'a>(quotas: impl Iterator<Item = (&'a [(String, Option<String>)], &'a str, f64)>) -> QuotaLimits {
        let mut limits = QuotaLimits::default();
        for (entity, key, value) in quotas {
            let name_of = |kind: &str| entity.iter().find(|(part, _)| part == kind).map(|(_, name)| name.as_deref());
            match (name_of(IP), QuotaType::ALL.into_iter().find(|quota| quota.key() == key)) {
                (Some(ip), None) if key == CONNECTION_CREATION_RATE => limits.ips.set(ip, value),
                (None, Some(quota)) => limits.of_mut(quota).set(name_of(USER), name_of(CLIENT_ID), value),
                _ => {}
            }
        }
        limits
    }

    /// The limits of one quota type.
    pub fn of(&self, quota: QuotaType) -> &Limits {
        match quota {
            QuotaType::Produce => &self.produce,
            QuotaType::Fetch => &self.fetch,
            QuotaType::Request => &self.request,
            QuotaType::ControllerMutation => &self.controller_mutation,
        }
    }

    fn of_mut(&mut self, quota: QuotaType) -> &mut Limits {
        match quota {
            QuotaType::Produce => &mut self.produce,
            QuotaType::Fetch => &mut self.fetch,
            QuotaType::Request => &mut self.request,
            QuotaType::ControllerMutation => &mut self.controller_mutation,
        }
    }

    /// The limits of IP addresses.
    pub fn ips(&self) -> &IpLimits {
        &self.ips
    }
}

impl IpLimits {
    fn set(&mut self, ip: Option<&str>, value: f64) {
        match ip {
            Some(ip) => self.named.push((ip.to_owned(), value)),
            None => self.default = Some(value),
        }
    }
}

impl Limits {
    /// Whether there is no limit.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.clients.is_empty()
    }

    /// Sets a limit. An outer `None` means that the entity does not have this part, an inner one the default.
    fn set(&mut self, user: Option<Option<&str>>, client_id: Option<Option<&str>>, value: f64) {
        match (user, client_id) {
            (Some(user), Some(client_id)) => *self.users.entry(user).clients.entry(client_id) = value,
            (Some(user), None) => self.users.entry(user).own = Some(value),
            (None, Some(client_id)) => *self.clients.entry(client_id) = value,
            (None, None) => {}
        }
    }

    /// The limit for a client, by Kafka's order of precedence.
    ///
    /// Requests without a client id are only limited by the quotas of users, as in Kafka.
    pub(super) fn applicable<'a>(&self, user: &'a str, client_id: &'a str) -> Applicable<'a> {
        let found = |user, client_id, limit: f64| Applicable { user, client_id, limit: Some(limit) };
        for limits in [self.users.named(user), self.users.default.as_ref()].into_iter().flatten() {
            if !client_id.is_empty()
                && let Some(limit) = limits.clients.named(client_id).or(limits.clients.default.as_ref())
            {
                return found(user, client_id, *limit);
            }
            if let Some(limit) = limits.own {
                return found(user, "", limit);
            }
        }
        let of_client = self.clients.named(client_id).or(self.clients.default.as_ref());
        match of_client {
            Some(limit) if !client_id.is_empty() => found("", client_id, *limit),
            _ => Applicable { user: "", client_id, limit: None },
        }
    }
}
