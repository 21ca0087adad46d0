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

    /// Whether the client may send ApiVersions.
    pub fn allows_api_versions(&self) -> bool {
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

#[cfg(test)]
mod tests {
    use ottla_config::Password;

    use super::*;

    /// Every user has its own name as its password.
    struct OwnNames;

    impl Credentials for OwnNames {
        fn plain_password(&self, user: &str) -> Option<Password> {
            Some(Password::new(user))
        }

        fn server_secret(&self) -> &[u8] {
            &[]
        }
    }

    const PLAIN: Mechanism = Mechanism::Plain;
    const ENABLED: &[Mechanism] = &[PLAIN, Mechanism::OAuthBearer];

    fn at(seconds: u64) -> Now {
        Now { monotonic: Duration::from_secs(seconds), wall: 1_000_000 + i64::try_from(seconds).unwrap() * 1000 }
    }

    fn begin(session: &mut SaslSession, mechanism: &str) {
        session.handshake(1, mechanism, ENABLED, [0; NONCE_BYTES]).unwrap();
    }

    fn log_in(session: &mut SaslSession, user: &str, max_session: Option<u64>, now: Now) -> Reply {
        let message = format!("\0{user}\0{user}");
        session.message(message.as_bytes(), &OwnNames, max_session.map(Duration::from_secs), now)
    }

    /// A session of `alice` that began at second 0.
    fn authenticated(max_session: Option<u64>) -> SaslSession {
        let mut session = SaslSession::default();
        begin(&mut session, "PLAIN");
        assert!(matches!(log_in(&mut session, "alice", max_session, at(0)), Reply::Done { .. }));
        session
    }

    fn failure_of(reply: Reply) -> String {
        match reply {
            Reply::Failed(failure) => failure.message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests_are_expected_after_the_exchange_only() {
        let mut session = SaslSession::default();
        assert!(session.is_initial() && session.expected() == Expected::Handshake);
        assert!(session.allows_api_versions());
        session.note_api_versions_response(true);
        assert!(session.allows_api_versions(), "again after an unsupported version");
        session.note_api_versions_response(false);
        assert!(!session.allows_api_versions(), "but not after a response");
        begin(&mut session, "PLAIN");
        assert_eq!((session.expected(), session.identity()), (Expected::Authenticate, None));
        let reply = log_in(&mut session, "alice", None, at(0));
        assert_eq!(reply, Reply::Done { message: Vec::new(), lifetime: None });
        assert_eq!(session.expected(), Expected::Request);
        assert_eq!(session.identity().unwrap().principal, Principal::user("alice"));
    }

    #[test]
    fn messages_after_handshake_0_have_no_headers() {
        let mut session = SaslSession::default();
        session.handshake(0, "PLAIN", ENABLED, [0; NONCE_BYTES]).unwrap();
        assert_eq!(session.expected(), Expected::Token);
    }

    #[test]
    fn failed_session_expects_nothing() {
        let mut session = SaslSession::default();
        let refused = session.handshake(1, "GSSAPI", ENABLED, [0; NONCE_BYTES]).unwrap_err();
        assert_eq!(
            (refused.message.as_str(), session.expected()),
            ("Unsupported SASL mechanism GSSAPI", Expected::Nothing)
        );
        let mut session = SaslSession::default();
        begin(&mut session, "PLAIN");
        let reply = session.message(b"\0alice\0wrong", &OwnNames, None, at(0));
        assert_eq!(failure_of(reply), "Authentication failed: Invalid username or password");
        assert_eq!(session.expected(), Expected::Nothing);
    }

    #[test]
    fn session_expires_unless_the_client_authenticates_again() {
        let mut session = authenticated(Some(10));
        assert!(!session.is_expired(at(10)) && session.is_expired(at(11)));
        assert!(session.begin_reauthentication(at(9)));
        assert_eq!(session.identity(), None, "nobody while it is in progress");
        begin(&mut session, "PLAIN");
        let lifetime = Some(Duration::from_secs(10));
        assert_eq!(log_in(&mut session, "alice", Some(10), at(9)), Reply::Done { message: Vec::new(), lifetime });
        assert!(!session.is_expired(at(19)));
        assert!(!session.begin_reauthentication(at(9)), "less than a second after the last");
        assert!(session.begin_reauthentication(at(10)));
    }

    #[test]
    fn reauthentication_cannot_change_user_or_mechanism() {
        let mut session = authenticated(None);
        assert!(session.begin_reauthentication(at(5)));
        begin(&mut session, "PLAIN");
        let expected = "Cannot change principals during re-authentication from User.alice: User.bob";
        assert_eq!(failure_of(log_in(&mut session, "bob", None, at(5))), expected);

        let mut session = authenticated(None);
        assert!(session.begin_reauthentication(at(5)));
        begin(&mut session, "OAUTHBEARER");
        assert_eq!(session.expected(), Expected::Authenticate);
        let expected = "SASL mechanism 'OAUTHBEARER' requested by client is not supported for re-authentication of mechanism 'PLAIN'";
        assert_eq!(failure_of(log_in(&mut session, "alice", None, at(5))), expected);
        assert_eq!(session.expected(), Expected::Nothing);
    }
}
