//! Users with SCRAM credentials, for the broker's ports for HTTP: their passwords are compared, set and removed.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;

use bytes::Bytes;
use thiserror::Error;

use super::Broker;
use super::metadata::MetadataUnavailable;
use crate::blocking;
use ottla_config::{Password, User};
use ottla_core::metadata::{AlterUserScramCredentials, MetadataError, ScramDeletion, ScramUpsertion};
use ottla_core::security::sasl::{ScramCredential, ScramMechanism};

/// The iterations of new credentials: the fewest that Kafka allows, as its tools use.
const ITERATIONS: NonZeroU32 = match NonZeroU32::new(ScramMechanism::FEWEST_ITERATIONS) {
    Some(iterations) => iterations,
    None => NonZeroU32::MIN,
};

/// Why a user was not changed.
#[derive(Debug, Error)]
pub enum UserError {
    #[error("{0}")]
    Refused(#[from] MetadataError),
    #[error("{0}")]
    Unavailable(#[from] MetadataUnavailable),
    #[error("{0}")]
    Failed(String),
}

impl Broker {
    /// The names of all users with SCRAM credentials, sorted.
    pub fn scram_users(&self) -> Vec<String> {
        let image = &self.publisher.current().image;
        let names: BTreeSet<&str> = image.scram_credentials().into_iter().map(|(user, ..)| &**user).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// Whether a user has a SCRAM credential with this password.
    pub async fn has_scram_password(self: &Arc<Self>, user: User) -> bool {
        let broker = Arc::clone(self);
        // Takes milliseconds.
        blocking::run(move || broker.compare_password(&user)).await.unwrap_or(false)
    }

    fn compare_password(&self, user: &User) -> bool {
        let credentials = ScramMechanism::ALL.into_iter().filter(|mechanism| self.has_credential(user, *mechanism));
        let has_password = credentials.count() > 0;
        // A user that does not exist takes as long as one with a credential, so that both need the same time.
        if ScramMechanism::ALL.into_iter().all(|it| self.scram_credential(it, &user.name).is_none()) {
            ScramCredential::salted_password(ScramMechanism::Sha256, &user.password, b"", ITERATIONS);
        }
        has_password
    }

    fn scram_credential(&self, mechanism: ScramMechanism, name: &str) -> Option<Arc<ScramCredential>> {
        self.publisher.current().image.scram_credential(mechanism, name)
    }

    /// Whether a user has the credential of this mechanism with the same password.
    pub(super) fn has_credential(&self, user: &User, mechanism: ScramMechanism) -> bool {
        let Some(found) = self.scram_credential(mechanism, &user.name) else { return false };
        let Some(iterations) = NonZeroU32::new(found.iterations) else { return false };
        ScramCredential::of_password(mechanism, &user.password, found.salt.clone(), iterations) == *found
    }

    /// Sets the password of a user for one mechanism, and removes the credentials of the others.
    pub async fn set_scram_password(self: &Arc<Self>, user: User, mechanism: ScramMechanism) -> Result<(), UserError> {
        let (broker, name) = (Arc::clone(self), user.name.clone());
        let upsertion = blocking::run(move || broker.new_credential(&user.name, &user.password, mechanism)).await;
        let upsertion = upsertion.map_err(|panic| UserError::Failed(panic.to_string()))?.map_err(UserError::Failed)?;
        let upsertions = vec![upsertion];
        self.alter_users(AlterUserScramCredentials { upsertions, ..Default::default() }).await?;
        self.remove_credentials(&name, |other| other != mechanism.code()).await
    }

    /// Removes a user; one that does not exist is ignored.
    pub async fn remove_scram_user(self: &Arc<Self>, name: &str) -> Result<(), UserError> {
        self.remove_credentials(name, |_| true).await
    }

    async fn remove_credentials(
        self: &Arc<Self>,
        name: &str,
        is_removed: impl Fn(i8) -> bool,
    ) -> Result<(), UserError> {
        let current = self.publisher.current();
        let found = current.image.scram_credentials().into_iter().filter(|(user, ..)| &***user == name);
        let mechanisms: Vec<i8> = found.map(|(_, mechanism, _)| mechanism).filter(|it| is_removed(*it)).collect();
        // A request names a user once.
        for mechanism in mechanisms {
            let deletions = vec![ScramDeletion { user: name.into(), mechanism }];
            self.alter_users(AlterUserScramCredentials { deletions, ..Default::default() }).await?;
        }
        Ok(())
    }

    async fn alter_users(&self, request: AlterUserScramCredentials) -> Result<(), UserError> {
        for (_, result) in self.metadata.submit(request).await? {
            result?;
        }
        Ok(())
    }

    /// Makes the credential of a password. The error is one line.
    pub(super) fn new_credential(
        &self,
        name: &str,
        password: &Password,
        mechanism: ScramMechanism,
    ) -> Result<ScramUpsertion, String> {
        let random = self.random.secret::<{ ScramCredential::SALT_LENGTH }>();
        let random = random.map_err(|error| format!("the operating system has no random bytes: {error}"))?;
        let salt = ScramCredential::salt_from(&random);
        Ok(ScramUpsertion {
            user: name.into(),
            mechanism: mechanism.code(),
            iterations: i32::try_from(ITERATIONS.get()).unwrap_or(i32::MAX),
            salted_password: ScramCredential::salted_password(mechanism, password, &salt, ITERATIONS),
            salt: Bytes::from(salt),
        })
    }
}
