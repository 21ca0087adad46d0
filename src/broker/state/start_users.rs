//! Sets the SCRAM credentials of `ottla.users`, before the broker is ready.

use std::sync::Arc;

use thiserror::Error;

use super::Broker;
use super::metadata::MetadataUnavailable;
use crate::blocking;
use ottla_config::User;
use ottla_core::metadata::{AlterUserScramCredentials, MetadataError, ScramUpsertion, StartUser};
use ottla_core::security::sasl::ScramMechanism;
use ottla_wire::codec::Str;

/// Why the users could not be set.
#[derive(Debug, Error)]
pub enum StartUserError {
    #[error("cannot set the SCRAM credentials of user {0} (ottla.users): {1}")]
    Refused(Str, MetadataError),
    #[error("cannot set the users of ottla.users: {0}")]
    Unavailable(#[from] MetadataUnavailable),
    #[error("cannot set the users of ottla.users: {0}")]
    Failed(String),
}

impl Broker {
    /// Sets the credentials of `ottla.users` that the metadata log does not have. Those with the same password are not
    /// written again.
    pub async fn set_start_users(self: &Arc<Self>) -> Result<(), StartUserError> {
        if self.config.users.is_empty() {
            return Ok(());
        }
        self.write_start_users().await?;
        // A reset restores them.
        let image = &self.publisher.current().image;
        let user = |user: &User, mechanism: ScramMechanism| {
            let credential = image.scram_credential(mechanism, &user.name)?;
            Some(StartUser { user: user.name.as_str().into(), mechanism: mechanism.code(), credential })
        };
        let users = self.config.users.iter();
        let users =
            users.flat_map(|it| ScramMechanism::ALL.into_iter().filter_map(move |mechanism| user(it, mechanism)));
        *self.start_users.lock() = users.collect();
        Ok(())
    }

    /// The users of a first start: those of `ottla.users`, and those of the formatted directory.
    pub(super) fn first_users(&self) -> Vec<StartUser> {
        let mut users = self.start_users.lock().clone();
        for formatted in &self.formatted_users {
            if !users.iter().any(|it| it.user == formatted.user && it.mechanism == formatted.mechanism) {
                users.push(formatted.clone());
            }
        }
        users
    }

    async fn write_start_users(self: &Arc<Self>) -> Result<(), StartUserError> {
        let broker = Arc::clone(self);
        // Takes milliseconds for each user.
        let upsertions = blocking::run(move || broker.missing_credentials()).await;
        let upsertions = upsertions.map_err(|panic| StartUserError::Failed(panic.to_string()))?;
        let upsertions = upsertions.map_err(StartUserError::Failed)?;
        // A request names a user once.
        for mechanism in ScramMechanism::ALL {
            let of_mechanism = upsertions.iter().filter(|upsertion| upsertion.mechanism == mechanism.code());
            let request =
                AlterUserScramCredentials { upsertions: of_mechanism.cloned().collect(), ..Default::default() };
            if request.upsertions.is_empty() {
                continue;
            }
            for (user, result) in self.metadata.submit(request).await? {
                result.map_err(|error| StartUserError::Refused(user, error))?;
            }
        }
        Ok(())
    }

    fn missing_credentials(&self) -> Result<Vec<ScramUpsertion>, String> {
        let mut missing = Vec::new();
        for user in &self.config.users {
            for mechanism in ScramMechanism::ALL {
                if !self.has_credential(user, mechanism) {
                    missing.push(self.new_credential(&user.name, &user.password, mechanism)?);
                }
            }
        }
        Ok(missing)
    }
}
