//! SCRAM-SHA-256 and SCRAM-SHA-512 (RFC 5802, RFC 7677), with the rules of Kafka's `ScramSaslServer`.
//!
//! Unlike Kafka, an unknown user gets a salt as a known one does, and fails only at the proof.

mod credential;
mod messages;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ottla_wire::codec::Str;
use ottla_wire::types::TimestampMs;
use ring::{digest, hmac};
use subtle::ConstantTimeEq;

use super::{Authenticated, Credentials, Rejection, ScramMechanism, Step};
pub use credential::ScramCredential;
use messages::{ClientFinal, ClientFirst};

/// Random bytes for the server's part of a nonce.
pub const NONCE_BYTES: usize = 24;

/// The server's side of an exchange.
#[derive(Debug)]
pub(super) struct Server {
    mechanism: ScramMechanism,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The client's first message is next. Contains the server's part of the nonce.
    First(String),
    Final(Box<Challenge>),
}

/// What the server keeps between the two messages of a client.
#[derive(Debug)]
struct Challenge {
    user: Str,
    /// `None` for an unknown user or token.
    known: Option<Known>,
    credential: Arc<ScramCredential>,
    /// The nonces of the client and of the server.
    nonce: String,
    /// The client's first message without its header, and the server's first message.
    messages: String,
}

/// The result of a successful exchange.
#[derive(Debug)]
struct Known {
    user: Str,
    by_token: bool,
    expires: Option<TimestampMs>,
}

impl Server {
    pub fn new(mechanism: ScramMechanism, nonce: &[u8; NONCE_BYTES]) -> Server {
        Server { mechanism, state: State::First(STANDARD.encode(nonce)) }
    }

    /// Processes a message. Returns the state for the next one, if there is to be one.
    pub fn step(self, message: &[u8], credentials: &dyn Credentials) -> Result<(Step, Option<Server>), Rejection> {
        let mechanism = self.mechanism;
        match self.state {
            State::First(nonce) => {
                let (challenge, reply) = challenge(mechanism, message, &nonce, credentials)?;
                let next = Server { mechanism, state: State::Final(Box::new(challenge)) };
                Ok((Step::Continue(reply), Some(next)))
            }
            State::Final(challenge) => Ok((Step::Done(challenge.verify(mechanism, message)?), None)),
        }
    }
}

/// Answers the client's first message.
fn challenge(
    mechanism: ScramMechanism,
    message: &[u8],
    server_nonce: &str,
    credentials: &dyn Credentials,
) -> Result<(Challenge, Vec<u8>), Rejection> {
    let first =
        ClientFirst::parse(message).ok_or_else(|| Rejection::silent("invalid SCRAM client first message format"))?;
    // Computed for every user, so that the time reveals nothing.
    let unknown = ScramCredential::of_unknown_user(mechanism, &first.name, credentials.server_secret());
    let (known, credential) = match look_up(mechanism, &first, credentials) {
        Some((known, credential)) => (Some(known), credential),
        None => (None, Arc::new(unknown)),
    };
    if first.authorization_id.as_ref().is_some_and(|id| *id != first.name) {
        return Err(Rejection::open(super::OTHER_AUTHORIZATION_ID).of_user(&first.name));
    }
    if credential.iterations < ScramMechanism::FEWEST_ITERATIONS {
        let log = format!(
            "the credential has {} iterations, fewer than the minimum {}",
            credential.iterations,
            ScramMechanism::FEWEST_ITERATIONS
        );
        return Err(Rejection::silent(log).of_user(&first.name));
    }
    let nonce = format!("{}{server_nonce}", first.nonce);
    let reply = format!("r={nonce},s={},i={}", STANDARD.encode(&credential.salt), credential.iterations);
    let messages = format!("{},{reply}", first.bare);
    Ok((Challenge { user: first.name.into(), known, credential, nonce, messages }, reply.into_bytes()))
}

fn look_up(
    mechanism: ScramMechanism,
    first: &ClientFirst<'_>,
    credentials: &dyn Credentials,
) -> Option<(Known, Arc<ScramCredential>)> {
    if first.token_auth {
        let token = credentials.delegation_token(mechanism, &first.name)?;
        let known = Known { user: token.owner, by_token: true, expires: Some(token.expires) };
        return Some((known, token.credential));
    }
    let credential = credentials.scram(mechanism, &first.name)?;
    Some((Known { user: first.name.as_str().into(), by_token: false, expires: None }, credential))
}

impl Challenge {
    /// Verifies the client's proof, and proves to the client that the server has its credential.
    fn verify(self, mechanism: ScramMechanism, message: &[u8]) -> Result<Authenticated, Rejection> {
        let rejected = |log: &str| Rejection::silent(log).of_user(&self.user);
        let last = ClientFinal::parse(message).ok_or_else(|| rejected("invalid SCRAM client final message format"))?;
        if last.nonce != self.nonce {
            return Err(rejected("the client's final message has another nonce"));
        }
        let messages = format!("{},{}", self.messages, last.without_proof);
        let sign = |key: &[u8]| hmac::sign(&hmac::Key::new(mechanism.hmac(), key), messages.as_bytes());

        let signature = sign(&self.credential.stored_key);
        if last.proof.len() != signature.as_ref().len() {
            return Err(rejected("the client's proof has a wrong length"));
        }
        let client_key: Vec<u8> = signature.as_ref().iter().zip(&last.proof).map(|(a, b)| a ^ b).collect();
        let stored_key = digest::digest(mechanism.digest(), &client_key);
        let proven = bool::from(stored_key.as_ref().ct_eq(&self.credential.stored_key));
        let reply = format!("v={}", STANDARD.encode(sign(&self.credential.server_key)));
        match self.known {
            Some(Known { user, by_token, expires }) if proven => {
                Ok(Authenticated { reply: reply.into_bytes(), user, by_token, expires })
            }
            Some(Known { by_token: false, .. }) => Err(rejected("wrong password")),
            Some(Known { by_token: true, .. }) => Err(rejected("wrong HMAC of a delegation token")),
            None => Err(rejected("unknown user or delegation token")),
        }
    }
}
