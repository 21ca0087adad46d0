//! Which events a follower wants.

use super::event::{Event, Shown};
use ottla_wire::protocol::ApiKey;

/// Every event that has one of the values of each list; an empty list allows all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    pub client_ids: Vec<String>,
    pub apis: Vec<ApiKey>,
    pub groups: Vec<String>,
    pub topics: Vec<String>,
    /// Whether only requests that failed are wanted.
    pub errors: bool,
}

impl Filter {
    /// Finds an API by its name, in upper or lower case and with or without underscores.
    pub fn api(name: &str) -> Option<ApiKey> {
        let plain: String = name.chars().filter(|letter| *letter != '_').collect();
        ApiKey::ALL.iter().copied().find(|api| api.name().eq_ignore_ascii_case(&plain))
    }

    /// Whether an event may be wanted: compares what is known without decoding its body.
    pub fn may_admit(&self, event: &Event) -> bool {
        let is_api = || event.api().is_some_and(|api| self.apis.contains(&api));
        let is_client = || {
            let client_id = event.client_id().unwrap_or_default();
            self.client_ids.iter().any(|wanted| wanted.as_bytes() == client_id)
        };
        (!self.errors || event.failed)
            && (self.apis.is_empty() || is_api())
            && (self.client_ids.is_empty() || is_client())
    }

    /// Whether an event that may be wanted is.
    pub fn admits(&self, shown: &Shown) -> bool {
        let has_one =
            |wanted: &[String], found: &[String]| wanted.is_empty() || found.iter().any(|it| wanted.contains(it));
        has_one(&self.topics, &shown.topics) && has_one(&self.groups, &shown.groups)
    }
}
