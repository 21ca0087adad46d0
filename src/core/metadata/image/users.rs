//! Users' SCRAM credentials.

use std::sync::Arc;

use super::{Image, SharedMap};
use crate::metadata::records::UserScramCredentialRecord;
use crate::security::sasl::{ScramCredential, ScramMechanism};
use ottla_wire::codec::Str;
use ottla_wire::types::sort_by;

/// SCRAM credentials by user and code of the mechanism. Codes of unknown mechanisms are kept.
pub(super) type ScramUsers = SharedMap<(Str, i8), Arc<ScramCredential>>;

impl Image {
    /// The SCRAM credential of a user.
    pub fn scram_credential(&self, mechanism: ScramMechanism, user: &str) -> Option<Arc<ScramCredential>> {
        self.scram_users.get(&(Str::from(user), mechanism.code())).map(Arc::clone)
    }

    /// All SCRAM credentials (user, code of the mechanism, credential), sorted.
    pub fn scram_credentials(&self) -> Vec<(&Str, i8, &Arc<ScramCredential>)> {
        let mut all: Vec<_> =
            self.scram_users.iter().map(|((user, mechanism), credential)| (user, *mechanism, credential)).collect();
        sort_by(&mut all, |a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        all
    }

    pub(in crate::metadata) fn has_scram_credential(&self, user: &Str, mechanism: i8) -> bool {
        self.scram_users.get(&(user.clone(), mechanism)).is_some()
    }

    pub(super) fn apply_scram_credential(&mut self, record: &UserScramCredentialRecord) {
        let credential = credential_of(record);
        // A name of its own: that of a record shares the buffer of a whole batch.
        let name = Str::from(&*record.name);
        self.scram_users.insert((name, record.mechanism), Arc::new(credential));
    }

    pub(super) fn remove_scram_credential(&mut self, user: &Str, mechanism: i8) {
        self.scram_users.remove(&(user.clone(), mechanism));
    }
}

pub(in crate::metadata) fn credential_of(record: &UserScramCredentialRecord) -> ScramCredential {
    ScramCredential {
        salt: record.salt.to_vec(),
        stored_key: record.stored_key.to_vec(),
        server_key: record.server_key.to_vec(),
        iterations: u32::try_from(record.iterations).unwrap_or_default(),
    }
}
