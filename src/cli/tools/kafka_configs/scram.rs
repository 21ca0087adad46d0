//! SCRAM credentials of users.

use std::num::NonZeroU32;

use super::changes::Additions;
use super::entities::Entities;
use super::quotas::{is_quota, is_scram};
use super::{Failure, Options};
use crate::cli::admin::scram::{self, Upsertion};
use crate::cli::tools::exceptions::Exception;
use ottla_broker::state::random::Random;
use ottla_client::Client;
use ottla_config::Password;
use ottla_core::security::sasl::{ScramCredential, ScramMechanism};

impl Options {
    /// Alters the credentials of one user.
    pub(super) async fn alter_credentials(
        &self,
        client: &Client,
        entities: &Entities,
        additions: &Additions,
        deletions: &[String],
    ) -> Result<(), Failure> {
        if entities.has_default() {
            return Failure::usage(
                "The use of --entity-default or --user-defaults is not allowed with User SCRAM Credentials using \
                 --bootstrap-server.",
            );
        }
        if additions.keys().chain(deletions).any(|name| is_quota(name)) {
            return Failure::usage(
                "Cannot alter both quota and SCRAM credential configs simultaneously for 'users' using \
                 --bootstrap-server.",
            );
        }
        let Some(user) = entities.names.first() else { return Ok(()) };
        let named = |name: &String| is_scram(name).then(|| ScramMechanism::named(name)).flatten();
        let deletions: Vec<ScramMechanism> = deletions.iter().filter_map(named).collect();
        let mut upsertions = Vec::new();
        for (name, value) in additions {
            let Some(mechanism) = named(name) else { continue };
            upsertions.push(upsertion(mechanism, value)?);
        }
        scram::alter(client, user, &deletions, upsertions).await?;
        Ok(())
    }

    /// The command line for an error message, without passwords.
    pub(super) fn shown_words(&self) -> String {
        self.words.iter().map(|word| without_passwords(word)).collect::<Vec<_>>().join(" ")
    }
}

/// Computes a credential from `[iterations=4096,]password=...`.
fn upsertion(mechanism: ScramMechanism, value: &str) -> Result<Upsertion, Failure> {
    let (iterations, password) = match value.strip_prefix("iterations=").and_then(|rest| rest.split_once(",password="))
    {
        Some((iterations, password)) => (iterations, password),
        None => ("-1", value.strip_prefix("password=").ok_or_else(|| invalid(mechanism))?),
    };
    let minimum = ScramMechanism::FEWEST_ITERATIONS;
    let iterations = match iterations {
        "-1" => i64::from(minimum),
        text => text.parse::<i32>().map(i64::from).map_err(|_| invalid(mechanism))?,
    };
    let enough = u32::try_from(iterations).ok().filter(|iterations| *iterations >= minimum).and_then(NonZeroU32::new);
    let Some(iterations) = enough else {
        return Err(Failure::Usage(format!(
            "Iterations {iterations} is less than the minimum {minimum} required for {mechanism}"
        )));
    };
    if password.is_empty() {
        let class = "org.apache.kafka.common.errors.UnacceptableCredentialException";
        return Err(Exception::new(class, "Password must not be empty").into());
    }
    if iterations.get() > ScramMechanism::MOST_ITERATIONS {
        // The broker would refuse it, and the password is not hashed that often for nothing.
        let class = "org.apache.kafka.common.errors.UnacceptableCredentialException";
        return Err(Exception::new(class, "Too many iterations").into());
    }
    let random = Random::system().secret().map_err(|error| Failure::Usage(error.to_string()))?;
    let salt = ScramCredential::salt_from(&random);
    let salted_password = ScramCredential::salted_password(mechanism, &Password::new(password), &salt, iterations);
    Ok(Upsertion { mechanism, iterations: iterations.get(), salt, salted_password })
}

/// Unlike Kafka's, the message does not quote the value, which may have a password.
fn invalid(mechanism: ScramMechanism) -> Failure {
    let name = mechanism.name().replace('-', "_");
    Failure::Usage(format!("Invalid credential property {name}={}", Password::HIDDEN))
}

/// Replaces what follows `password=`, up to the end of a group of settings.
fn without_passwords(word: &str) -> String {
    let mut shown = String::new();
    let mut rest = word;
    while let Some((before, secret)) = rest.split_once("password=") {
        let end = secret.find(']').unwrap_or(secret.len());
        shown = format!("{shown}{before}password={}", Password::HIDDEN);
        rest = &secret[end..];
    }
    shown + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_command_lines_are_hidden() {
        let check = |word, expected: &str| assert_eq!(without_passwords(word), expected);
        check("--alter", "--alter");
        check("SCRAM-SHA-256=[password=a,b=c]", "SCRAM-SHA-256=[password=[hidden]]");
        check(
            "SCRAM-SHA-256=[iterations=4096,password=a],SCRAM-SHA-512=[password=b]",
            "SCRAM-SHA-256=[iterations=4096,password=[hidden]],SCRAM-SHA-512=[password=[hidden]]",
        );
        check("SCRAM-SHA-256=password=a", "SCRAM-SHA-256=password=[hidden]");
    }

    #[test]
    fn invalid_credentials_are_refused_without_their_passwords() {
        let refusal = |value| match upsertion(ScramMechanism::Sha256, value) {
            Err(Failure::Usage(message)) => message,
            Err(Failure::Executing(error)) => error.to_string(),
            Ok(_) => "none".to_owned(),
        };
        assert_eq!(refusal("iterations=4096,password=x,y=z"), "none");
        assert_eq!(refusal("iterations=-1,password=x"), "none");
        for value in ["iterations=4096", "hunter2", "iterations=x,password=hunter2", "password"] {
            assert_eq!(refusal(value), "Invalid credential property SCRAM_SHA_256=[hidden]", "{value}");
        }
        let few = "Iterations 10 is less than the minimum 4096 required for SCRAM-SHA-256";
        assert_eq!(refusal("iterations=10,password=x"), few);
        assert!(refusal("iterations=16385,password=x").ends_with("Too many iterations"));
        assert!(refusal("password=").ends_with("Password must not be empty"));
    }
}
