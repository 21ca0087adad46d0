//! SASL authentication of clients: the server's side of each mechanism as a state machine, without I/O.
//!
//! A connection makes an [`Exchange`] for the mechanism that SaslHandshake named, and passes each message of the client to
//! [`Exchange::step`]. [`Credentials`] is what the exchange looks up.
//!
//! An unknown user and a wrong password get the same messages: the exchange continues with a credential that no
//! password matches. Secrets are compared in constant time. No text of a [`Failure`] contains a secret.

mod mechanism;
mod oauthbearer;
mod plain;
pub mod scram;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use ottla_config::Password;
use ottla_wire::codec::Str;
use ottla_wire::types::TimestampMs;

pub use mechanism::{Mechanism, ScramMechanism};
pub use oauthbearer::{BearerRejection, BearerToken};
pub use scram::{NONCE_BYTES, ScramCredential};

/// The message for an authorization id that is not the user's name (PLAIN, SCRAM).
const OTHER_AUTHORIZATION_ID: &str =
    "Authentication failed: Client requested an authorization id that is different from username";

/// What an exchange looks up. A method that is not implemented knows no user.
pub trait Credentials {
    /// The password of a user of PLAIN (`user_<name>="password"` in the JAAS configuration).
    fn plain_password(&self, _user: &str) -> Option<Password> {
        None
    }

    /// The credential of a SCRAM user.
    fn scram(&self, _mechanism: ScramMechanism, _user: &str) -> Option<Arc<ScramCredential>> {
        None
    }

    /// The credential of a delegation token. As in Kafka, a token that has expired but is not removed yet is accepted; the
    /// session then ends at once.
    fn delegation_token(&self, _mechanism: ScramMechanism, _token_id: &str) -> Option<TokenCredential> {
        None
    }

    /// Validates a bearer token of OAUTHBEARER. The default accepts none.
    fn bearer_token(&self, _token: &str, _now: TimestampMs) -> Result<BearerToken, BearerRejection> {
        Err(BearerRejection::NotChecked { log: "no validator of bearer tokens is configured".to_owned() })
    }

    /// Random bytes that only this broker knows and that stay the same over restarts. Salts of unknown users are derived
    /// from them.
    fn server_secret(&self) -> &[u8];
}

/// The SCRAM credential of a delegation token, and what the token stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenCredential {
    pub credential: Arc<ScramCredential>,
    /// The name of the token's owner, who is the authenticated user.
    pub owner: Str,
    pub expires: TimestampMs,
}

/// Whether a connection authenticates for the first time; error messages differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    First,
    /// Re-authentication of a connection that is in use (`connections.max.reauth.ms`).
    Again,
}

/// One authentication in progress.
#[derive(Debug)]
pub struct Exchange {
    mechanism: Mechanism,
    attempt: Attempt,
    state: State,
}

#[derive(Debug)]
enum State {
    Plain,
    Scram(scram::Server),
    OAuthBearer,
    /// The client has to acknowledge that its bearer token was rejected.
    OAuthBearerRejected(oauthbearer::Rejected),
    /// Done or failed. Every further message fails.
    Ended,
}

/// The outcome of one message.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// The reply; the client sends another message.
    Continue(Vec<u8>),
    Done(Authenticated),
    Failed(Failure),
}

/// A successful authentication.
#[derive(Debug, PartialEq, Eq)]
pub struct Authenticated {
    /// The last reply to the client.
    pub reply: Vec<u8>,
    /// The name of the user principal.
    pub user: Str,
    /// Whether the client authenticated with a delegation token. Such a client may not create tokens.
    pub by_token: bool,
    /// The time after which the credential is not valid any more, and the client has to authenticate again.
    pub expires: Option<TimestampMs>,
}

/// A failed authentication.
#[derive(Debug, PartialEq, Eq)]
pub struct Failure {
    /// The error message of the SaslAuthenticate response, as Kafka's.
    pub message: String,
    /// The reason, for the broker's log. Contains no secrets.
    pub log: String,
    /// The user that the client named, if the exchange got that far.
    pub user: Option<String>,
}

/// A failure of a mechanism.
#[derive(Debug, Default, PartialEq, Eq)]
struct Rejection {
    /// The message to the client; `None` for the one that reveals nothing.
    message: Option<String>,
    log: String,
    user: Option<String>,
}

impl Rejection {
    /// A rejection for which the client gets the message that reveals nothing.
    fn silent(log: impl Into<String>) -> Rejection {
        Rejection { message: None, log: log.into(), user: None }
    }

    /// A rejection with the same text for client and log.
    fn open(message: impl Into<String>) -> Rejection {
        let message = message.into();
        Rejection { log: message.clone(), message: Some(message), user: None }
    }

    fn of_user(self, user: &str) -> Rejection {
        Rejection { user: Some(user.to_owned()), ..self }
    }
}

impl Exchange {
    /// Starts an exchange. `nonce` are new random bytes, which must be used for this exchange only.
    pub fn new(mechanism: Mechanism, attempt: Attempt, nonce: [u8; NONCE_BYTES]) -> Exchange {
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Scram(scram) => State::Scram(scram::Server::new(scram, &nonce)),
            Mechanism::OAuthBearer => State::OAuthBearer,
        };
        Exchange { mechanism, attempt, state }
    }

    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Processes one message of the client. The caller limits its size (`sasl.server.max.receive.size`).
    pub fn step(&mut self, message: &[u8], credentials: &dyn Credentials, now: TimestampMs) -> Step {
        let result = match std::mem::replace(&mut self.state, State::Ended) {
            State::Plain => plain::authenticate(message, credentials).map(Step::Done),
            State::Scram(server) => server.step(message, credentials).map(|(step, server)| {
                self.state = server.map_or(State::Ended, State::Scram);
                step
            }),
            State::OAuthBearer => oauthbearer::authenticate(message, credentials, now).map(|(step, rejected)| {
                self.state = rejected.map_or(State::Ended, State::OAuthBearerRejected);
                step
            }),
            State::OAuthBearerRejected(rejected) => Err(rejected.end()),
            State::Ended => Err(Rejection::silent("a message after the end of the exchange")),
        };
        result.unwrap_or_else(|rejection| Step::Failed(self.failure(rejection)))
    }

    fn failure(&self, Rejection { message, log, user }: Rejection) -> Failure {
        let message = message.unwrap_or_else(|| {
            let attempt = match self.attempt {
                Attempt::First => "authentication",
                Attempt::Again => "re-authentication",
            };
            format!(
                "Authentication failed during {attempt} due to invalid credentials with SASL mechanism {}",
                self.mechanism
            )
        });
        Failure { message, log, user }
    }
}
