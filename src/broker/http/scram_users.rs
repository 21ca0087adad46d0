//! Basic authentication (RFC 7617) with the users of the broker, whose SCRAM credentials are in the metadata log.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, OnceLock, Weak};

use tokio::sync::Semaphore;

use super::listener::{BoxFuture, Passwords};
use crate::state::Broker;
use ottla_config::{Password, User};

/// Stands for every user in a list of users.
const EVERYONE: &str = "*";

/// The number of passwords that are compared at once. Each takes milliseconds of a processor, also a wrong one.
const MAX_COMPARISONS: usize = 2;

/// The users of a broker, which may not be open yet: until it is, no password is right.
#[derive(Clone)]
pub struct ScramUsers(Arc<Shared>);

struct Shared {
    broker: OnceLock<Weak<Broker>>,
    comparisons: Semaphore,
}

impl Default for ScramUsers {
    fn default() -> ScramUsers {
        ScramUsers(Arc::new(Shared { broker: OnceLock::new(), comparisons: Semaphore::new(MAX_COMPARISONS) }))
    }
}

/// Those users of a broker who may use a port.
struct Allowed {
    users: ScramUsers,
    /// `None` for everyone.
    names: Option<BTreeSet<String>>,
}

impl ScramUsers {
    /// Notes the broker when it is open.
    pub fn set_broker(&self, broker: &Arc<Broker>) {
        // A second call has no effect: a service has one broker.
        let _ = self.0.broker.set(Arc::downgrade(broker));
    }

    /// The passwords of a port with this list of users; `None` if it is empty, which demands none.
    pub fn allowed(&self, names: &[String]) -> Option<Arc<dyn Passwords>> {
        let is_everyone = names.iter().any(|name| name == EVERYONE);
        let allowed = Allowed { users: self.clone(), names: (!is_everyone).then(|| names.iter().cloned().collect()) };
        (!names.is_empty()).then(|| Arc::new(allowed) as Arc<dyn Passwords>)
    }
}

impl Passwords for Allowed {
    fn admit(&self, name: String, password: Password) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            let is_allowed = self.names.as_ref().is_none_or(|names| names.contains(&name));
            let shared = &self.users.0;
            let Some(broker) = shared.broker.get().and_then(Weak::upgrade) else { return false };
            // Connections are bounded, and so is what waits here.
            let Ok(_turn) = shared.comparisons.acquire().await else { return false };
            // Also for others, so that the time does not depend on who may use the port.
            broker.has_scram_password(User { name, password }).await && is_allowed
        })
    }
}

impl fmt::Debug for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Allowed").field("names", &self.names).finish_non_exhaustive()
    }
}
