//! SASL on one connection: which message may come next, and who has authenticated (Kafka's `SaslServerAuthenticator`).
//!
//! ```text
//! Initial ─ ApiVersions ─> Versions ─┐
//!    └───────── SaslHandshake ───────┴─> Exchange ─> Authenticated ─ SaslHandshake ─> Exchange (re-authentication)
//! ```
//! Each failure ends in `Failed`, and the connection is to be closed.

use std::time::Duration;

use super::Principal;
use super::sasl::{Attempt, Authenticated, Credentials, Exchange, Failure, Mechanism, NONCE_BYTES, Step};
use ottla_wire::types::Now;

/// The shortest time between two starts of re-authentication. An earlier SaslHandshake is an ordinary request (Kafka's
/// `MIN_REAUTH_INTERVAL_ONE_SECOND_NANOS`).
const MIN_REAUTHENTICATION_INTERVAL: Duration = Duration::from_secs(1);

/// The state of one connection.
#[derive(Debug)]
pub struct SaslSession {
    phase: Phase,
    identity: Option<Identity>,
    /// When the last re-authentication began, on the monotonic clock.
    reauthentication_began: Option<Duration>,
}

#[derive(Debug)]
enum Phase {
    /// Nothing was received.
    Initial,
    /// ApiVersions was received, but its version was not supported.
    Retry,
    /// ApiVersions was answered.
    Versions,
    Exchange {
        exchange: Exchange,
        /// Whether SaslAuthenticate carries the messages. After SaslHandshake 0, they are sent without a header.
        has_headers: bool,
    },
    /// A SaslHandshake of a re-authentication named another mechanism. The next message fails with this reason.
    OtherMechanism(String),
    Authenticated,
    Failed,
}

/// What the next frame of the connection has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// ApiVersions or SaslHandshake.
    Handshake,
    /// A message of the mechanism, without a request header.
    Token,
    /// SaslAuthenticate.
    Authenticate,
    /// Any request.
    Request,
    /// Nothing: the connection is to be closed.
    Nothing,
}

/// Who has authenticated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    pub principal: Principal,
    pub mechanism: Mechanism,
    /// Whether a delegation token was used.
    pub by_token: bool,
    /// The end of the session on the monotonic clock, by which the client has to authenticate again.
    pub expires: Option<Duration>,
}

/// The outcome of a message of the mechanism.
#[derive(Debug, PartialEq, Eq)]
pub enum Reply {
    Continue(Vec<u8>),
    /// The client has authenticated, for this time; `None` for as long as the connection lasts.
    Done {
        message: Vec<u8>,
        lifetime: Option<Duration>,
    },
    Failed(Failure),
}

impl Default for SaslSession {
    fn default() -> SaslSession {
        SaslSession { phase: Phase::Initial, identity: None, reauthentication_began: None }
    }
}

impl SaslSession {
    pub fn expected(&self) -> Expected {
        match &self.phase {
            Phase::Initial | Phase::Retry | Phase::Versions => Expected::Handshake,
            Phase::Exchange { has_headers: true, .. } | Phase::OtherMechanism(_) => Expected::Authenticate,
            Phase::Exchange { has_headers: false, .. } => Expected::Token,
            Phase::Authenticated => Expected::Request,
            Phase::Failed => Expected::Nothing,
        }
    }

    /// Whether no request was received yet, so that the peer may not speak Kafka's protocol at all.
    pub fn is_initial(&self) -> bool {
        matches!(self.phase, Phase::Initial)
    }

    /// The mechanism of the exchange in progress.
    pub fn mechanism(&self) -> Option<Mechanism> {
        match &self.phase {
            Phase::Exchange { exchange, .. } => Some(exchange.mechanism()),
            _ => None,
        }
    }

    /// Who has authenticated; `None` before, and while re-authentication is in progress.
    pub fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref().filter(|_| matches!(self.phase, Phase::Authenticated))
    }

    /// Whether the session has ended: the only request that is still allowed is a SaslHandshake.
    pub fn is_expired(&self, now: Now) -> bool {
        self.identity().and_then(|identity| identity.expires).is_some_and(|expires| now.monotonic > expires)
    }

    /// Begins re-authentication with the SaslHandshake that has arrived. Returns false if the last one began less than a
    /// second ago: then the request is an ordinary one.
    pub fn begin_reauthentication(&mut self, now: Now) -> bool {
        let too_soon = self.reauthentication_began.is_some_and(|at| now.monotonic < at + MIN_REAUTHENTICATION_INTERVAL);
        if self.identity().is_none() || too_soon {
            return false;
        }
        self.reauthentication_began = Some(now.monotonic);
        self.phase = Phase::Versions;
        true
    }

    /// Notes an ApiVersions request. Returns false if none is allowed any more.
    pub fn note_api_versions(&mut self) -> bool {
        matches!(self.phase, Phase::Initial | Phase::Retry)
    }

    /// Notes the response to ApiVersions: after an error the client may send another one.
    pub fn note_api_versions_response(&mut self, is_error: bool) {
        self.phase = if is_error { Phase::Retry } else { Phase::Versions };
    }

    /// Starts the exchange that a SaslHandshake of this version asks for. `nonce` are new random bytes.
    ///
    /// # Errors
    /// The mechanism is not among the enabled ones.
    pub fn handshake(
        &mut self,
        version: i16,
        mechanism: &str,
        enabled: &[Mechanism],
        nonce: [u8; NONCE_BYTES],
    ) -> Result<(), Failure> {
        let Some(mechanism) = enabled.iter().find(|enabled| enabled.name() == mechanism) else {
            self.phase = Phase::Failed;
            return Err(failure(format!("Unsupported SASL mechanism {mechanism}")));
        };
        self.phase = match self.identity.as_ref().map(|identity| identity.mechanism) {
            Some(before) if before != *mechanism => Phase::OtherMechanism(format!(
                "SASL mechanism '{mechanism}' requested by client is not supported for re-authentication of mechanism \
                 '{before}'"
            )),
            before => {
                let attempt = if before.is_some() { Attempt::Again } else { Attempt::First };
                Phase::Exchange { exchange: Exchange::new(*mechanism, attempt, nonce), has_headers: version >= 1 }
            }
        };
        Ok(())
    }

    /// Processes a message of the mechanism. `max_session` is `connections.max.reauth.ms`; `None` for no limit.
    pub fn message(
        &mut self,
        message: &[u8],
        credentials: &dyn Credentials,
        max_session: Option<Duration>,
        now: Now,
    ) -> Reply {
        let mut exchange = match std::mem::replace(&mut self.phase, Phase::Failed) {
            Phase::Exchange { exchange, has_headers } => (exchange, has_headers),
            Phase::OtherMechanism(why) => return Reply::Failed(failure(why)),
            _ => return Reply::Failed(failure("a message outside of an exchange".to_owned())),
        };
        match exchange.0.step(message, credentials, now.wall) {
            Step::Continue(reply) => {
                self.phase = Phase::Exchange { exchange: exchange.0, has_headers: exchange.1 };
                Reply::Continue(reply)
            }
            Step::Done(authenticated) => self.finish(exchange.0.mechanism(), authenticated, max_session, now),
            Step::Failed(failure) => Reply::Failed(failure),
        }
    }

    fn finish(
        &mut self,
        mechanism: Mechanism,
        authenticated: Authenticated,
        max_session: Option<Duration>,
        now: Now,
    ) -> Reply {
        let principal = Principal::user(authenticated.user);
        if let Some(before) = self.identity.as_ref().map(|identity| &identity.principal)
            && *before != principal
        {
            return Reply::Failed(failure(format!(
                "Cannot change principals during re-authentication from {}.{}: {}.{}",
                before.principal_type, before.name, principal.principal_type, principal.name
            )));
        }
        let remaining = |expires: i64| Duration::from_millis(expires.saturating_sub(now.wall).max(0).unsigned_abs());
        let lifetime = [authenticated.expires.map(remaining), max_session].into_iter().flatten().min();
        let expires = lifetime.map(|lifetime| now.monotonic.saturating_add(lifetime));
        self.identity = Some(Identity { principal, mechanism, by_token: authenticated.by_token, expires });
        self.phase = Phase::Authenticated;
        Reply::Done { message: authenticated.reply, lifetime }
    }

    /// Notes that the connection is to be closed: nothing is accepted any more.
    pub fn fail(&mut self) {
        self.phase = Phase::Failed;
    }
}

fn failure(message: String) -> Failure {
    Failure { log: message.clone(), message, user: None }
}
