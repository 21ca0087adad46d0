//! SaslHandshake (key 17, versions 0 to 1) and SaslAuthenticate (36, versions 0 to 2): how the clients of a SASL listener
//! authenticate.
//!
//! Until a client has authenticated, its frames come here and reach no other handler. It may send ApiVersions once, then
//! SaslHandshake, and then the messages of the mechanism: in SaslAuthenticate, or without a header after SaslHandshake 0.
//! A failure is answered after `connection.failed.authentication.delay.ms`, and the connection is closed. A SaslHandshake
//! of an authenticated client begins re-authentication; after the end of its session (`connections.max.reauth.ms`, or when
//! its credential expires) nothing else is accepted.
//!
//! Another request than SaslAuthenticate during the exchange is answered with ILLEGAL_SASL_STATE, and the connection is
//! closed, as after a failure.
//!
//! Departure: the mechanisms in the response to SaslHandshake are in the order of `sasl.enabled.mechanisms`; Apache Kafka's
//! are in the order of a hash table.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::context::Answer;
use super::{Handlers, api_versions, encode, illegal_state, served, unencodable};
use crate::server::{CloseReason, ConnectionInfo, Outcome, Reply, Then};
use crate::state::authentication::ListenerSasl;
use ottla_core::security::sasl::{Credentials, Failure, Mechanism};
use ottla_core::security::session::{Expected, Identity, Reply as SaslReply, SaslSession};
use ottla_wire::codec::Str;
use ottla_wire::protocol::frame::{FrameError, decode_request, encode_response};
use ottla_wire::protocol::messages::sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse};
use ottla_wire::protocol::messages::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};
use ottla_wire::protocol::{ApiKey, Request, RequestHeader, Response};
use ottla_wire::types::ErrorCode;

/// The kinds of log line for connections that are closed here.
const FAILED: &str = "connections closed for failed authentication";
const UNEXPECTED: &str = "connections closed for a request before authentication";
const EXPIRED: &str = "connections closed because their sessions expired";

/// What becomes of a frame from a SASL listener.
pub(super) enum Gate {
    /// It is a request of this client.
    Request(Bytes, Identity),
    /// It was part of the authentication.
    Handled(Outcome),
}

/// A frame that is a step of the authentication.
struct Attempt<'a> {
    handlers: &'a Handlers,
    connection: &'a Arc<ConnectionInfo>,
    listener: &'a ListenerSasl,
    session: &'a mut SaslSession,
}

impl Handlers {
    /// Decides what becomes of a frame from a SASL listener.
    pub(super) fn gate(&self, connection: &Arc<ConnectionInfo>, session: &mut SaslSession, frame: Bytes) -> Gate {
        if session.identity().is_some() {
            let now = self.broker.now();
            let is_handshake = api_key(&frame) == Some(ApiKey::SaslHandshake as i16);
            if !(is_handshake && session.begin_reauthentication(now)) {
                return match session.identity() {
                    Some(_) if session.is_expired(now) => {
                        session.fail();
                        connection.figures().expired.increment();
                        let why = "the session has expired, and the client did not authenticate again";
                        Gate::Handled(Outcome::Close(CloseReason::new(EXPIRED, why)))
                    }
                    Some(identity) => Gate::Request(frame, identity.clone()),
                    None => Gate::Handled(closed("the session ended")),
                };
            }
        }
        let Some(listener) = self.broker.authentication().listener(&connection.listener) else {
            return Gate::Handled(closed("the listener has no SASL mechanism"));
        };
        let mut attempt = Attempt { handlers: self, connection, listener: &listener, session };
        Gate::Handled(attempt.step(frame))
    }
}

impl Attempt<'_> {
    fn step(&mut self, frame: Bytes) -> Outcome {
        match (self.session.expected(), api_key(&frame)) {
            (Expected::Handshake, Some(key)) if key == ApiKey::ApiVersions as i16 => self.api_versions(frame),
            (Expected::Handshake, Some(key)) if key == ApiKey::SaslHandshake as i16 => self.handshake(frame),
            (Expected::Authenticate, _) => self.authenticate(frame),
            (Expected::Token, _) => self.token(&frame),
            (Expected::Handshake, key) => {
                let why = unexpected(key, "handshake");
                match self.session.is_initial() {
                    true => self.close(format!(
                        "{why}; the client may be configured with another security protocol, or is not a Kafka client"
                    )),
                    false => self.close(why),
                }
            }
            (Expected::Request | Expected::Nothing, _) => self.close("the authentication has failed before".to_owned()),
        }
    }

    fn api_versions(&mut self, frame: Bytes) -> Outcome {
        if !self.session.allows_api_versions() {
            return self.close("ApiVersions was sent twice before authentication".to_owned());
        }
        let (header, request) = match decode_request(frame) {
            Ok((header, Request::ApiVersions(request))) => (header, request),
            Ok(_) => return self.close(unexpected(None, "handshake")),
            Err(error) => {
                self.session.note_api_versions_response(true);
                return self.handlers.refuse(error);
            }
        };
        if !served::versions(ApiKey::ApiVersions).is_some_and(|range| range.contains(&header.api_version)) {
            self.session.note_api_versions_response(true);
            return self.handlers.refuse(FrameError::UnsupportedVersion { key: ApiKey::ApiVersions, header });
        }
        let context = self.handlers.context(self.connection, header, None);
        let (correlation_id, version) = (context.header.correlation_id, context.version());
        match api_versions::handle(&context, request) {
            Answer::Ready(response) => {
                let is_error = matches!(&*response, Response::ApiVersions(response) if response.error_code != 0);
                self.session.note_api_versions_response(is_error);
                encode(correlation_id, version, &response, Then::Continue)
            }
            _ => self.close("ApiVersions was not answered".to_owned()),
        }
    }

    fn handshake(&mut self, frame: Bytes) -> Outcome {
        let (header, request) = match decode_request(frame) {
            Ok((header, Request::SaslHandshake(request))) if is_served(ApiKey::SaslHandshake, &header) => {
                (header, request)
            }
            Ok((header, _)) => {
                return self.refuse(FrameError::UnsupportedVersion { key: ApiKey::SaslHandshake, header });
            }
            Err(error) => return self.refuse(error),
        };
        let enabled: Vec<Mechanism> = self.listener.mechanisms().collect();
        let nonce = match self.handlers.broker.authentication().nonce() {
            Ok(nonce) => nonce,
            Err(why) => return self.close(why),
        };
        let begun = self.session.handshake(header.api_version, &request.mechanism, &enabled, nonce);
        let error = if begun.is_ok() { ErrorCode::None } else { ErrorCode::UnsupportedSaslMechanism };
        let mechanisms = enabled.iter().map(|mechanism| Str::from_static(mechanism.name())).collect();
        let response = SaslHandshakeResponse { error_code: error.code(), mechanisms };
        match begun {
            Ok(()) => encode(header.correlation_id, header.api_version, &response.into(), Then::Continue),
            Err(failure) => self.fail(Some((&header, response.into())), None, &failure),
        }
    }

    fn authenticate(&mut self, frame: Bytes) -> Outcome {
        let (header, request) = match decode_request(frame) {
            Ok((header, request)) if header.api_key != ApiKey::SaslAuthenticate as i16 => {
                return self.unexpected(&header, request);
            }
            Ok((header, Request::SaslAuthenticate(request))) if is_served(ApiKey::SaslAuthenticate, &header) => {
                (header, request)
            }
            Ok((header, _)) => {
                return self.refuse(FrameError::UnsupportedVersion { key: ApiKey::SaslAuthenticate, header });
            }
            Err(error) => return self.refuse(error),
        };
        let SaslAuthenticateRequest { auth_bytes, .. } = request;
        let mechanism = self.session.mechanism();
        let response = match self.message(&auth_bytes) {
            SaslReply::Continue(message) => SaslAuthenticateResponse {
                auth_bytes: message.into(),
                error_message: Some(Str::new()),
                ..Default::default()
            },
            SaslReply::Done { message, lifetime } => {
                let session_lifetime_ms = lifetime.map_or(0, whole_ms);
                SaslAuthenticateResponse {
                    auth_bytes: message.into(),
                    error_message: Some(Str::new()),
                    session_lifetime_ms,
                    ..Default::default()
                }
            }
            SaslReply::Failed(failure) => {
                let response = SaslAuthenticateResponse {
                    error_code: ErrorCode::SaslAuthenticationFailed.code(),
                    error_message: Some(failure.message.as_str().into()),
                    ..Default::default()
                };
                return self.fail(Some((&header, response.into())), mechanism, &failure);
            }
        };
        encode(header.correlation_id, header.api_version, &response.into(), Then::Continue)
    }

    /// Answers another request during the exchange.
    fn unexpected(&mut self, header: &RequestHeader, request: Request) -> Outcome {
        let key = request.key();
        if !is_served(key, header) {
            return self.refuse(FrameError::UnsupportedVersion { key, header: header.clone() });
        }
        let response = illegal_state::response(header.api_version, request);
        let log = unexpected(Some(header.api_key), "authentication");
        let failure = Failure { message: log.clone(), log, user: None };
        let mechanism = self.session.mechanism();
        self.fail(response.map(|response| (header, response)), mechanism, &failure)
    }

    /// Processes a message without a header. As in Kafka, a failure is not answered.
    fn token(&mut self, message: &[u8]) -> Outcome {
        let mechanism = self.session.mechanism();
        match self.message(message) {
            SaslReply::Continue(message) | SaslReply::Done { message, .. } => {
                let size = u32::try_from(message.len()).unwrap_or_default().to_be_bytes();
                Outcome::Ready(vec![Bytes::copy_from_slice(&size), message.into()].into())
            }
            SaslReply::Failed(failure) => self.fail(None, mechanism, &failure),
        }
    }

    fn message(&mut self, message: &[u8]) -> SaslReply {
        let authentication = self.handlers.broker.authentication();
        let cluster = self.handlers.broker.cluster();
        let credentials = authentication.credentials(self.listener, &cluster.image);
        let max_session = self.session.mechanism().and_then(|mechanism| self.listener.max_session(mechanism));
        let reply =
            self.session.message(message, &credentials as &dyn Credentials, max_session, self.handlers.broker.now());
        if let SaslReply::Done { .. } = reply
            && let Some(identity) = self.session.identity()
        {
            let Identity { principal, mechanism, .. } = identity;
            self.connection.figures().authenticated.increment();
            tracing::debug!(client = %self.connection, %principal, %mechanism, "authenticated");
        }
        reply
    }

    /// Sends the response, if there is one, and closes the connection, both after the delay for failures.
    fn fail(
        &mut self,
        response: Option<(&RequestHeader, Response)>,
        mechanism: Option<Mechanism>,
        failure: &Failure,
    ) -> Outcome {
        self.session.fail();
        self.connection.figures().failed_authentication.increment();
        let mechanism = mechanism.map(|mechanism| format!(" with {mechanism}")).unwrap_or_default();
        let user = failure.user.as_ref().map(|user| format!(" of user '{}'", user.escape_debug())).unwrap_or_default();
        let why = format!("authentication{user}{mechanism} failed: {}", failure.log);
        let why = CloseReason::new(FAILED, why);
        let chunks = match response {
            Some((header, response)) => match encode_response(header.correlation_id, header.api_version, &response) {
                Ok(chunks) => chunks,
                Err(error) => return Outcome::Close(unencodable(response.key(), &error)),
            },
            None => Vec::new(),
        };
        let (clock, delay) = (self.handlers.broker.clock(), self.handlers.broker.authentication().failure_delay());
        Outcome::Parked(Box::pin(async move {
            clock.sleep(delay).await;
            Ok(Reply { chunks, then: Then::Close(why) })
        }))
    }

    /// Closes the connection at once because of a request that is not part of the authentication.
    fn close(&mut self, why: String) -> Outcome {
        self.session.fail();
        closed(why)
    }

    fn refuse(&mut self, error: FrameError) -> Outcome {
        self.session.fail();
        self.handlers.refuse(error)
    }
}

/// Answers a SaslHandshake that is not part of an authentication: of a listener without SASL, or too soon after the last.
pub(super) fn handshake(_request: SaslHandshakeRequest) -> Answer {
    SaslHandshakeResponse { error_code: ErrorCode::IllegalSaslState.code(), ..Default::default() }.into()
}

/// Answers a SaslAuthenticate that is not part of an authentication.
pub(super) fn authenticate(_request: SaslAuthenticateRequest) -> Answer {
    SaslAuthenticateResponse {
        error_code: ErrorCode::IllegalSaslState.code(),
        error_message: Some(Str::from_static("SaslAuthenticate request received after successful authentication")),
        ..Default::default()
    }
    .into()
}

fn closed(why: impl Into<std::borrow::Cow<'static, str>>) -> Outcome {
    Outcome::Close(CloseReason::new(UNEXPECTED, why))
}

fn unexpected(key: Option<i16>, stage: &str) -> String {
    let name = key.and_then(ApiKey::from_code).map(|key| key.to_string());
    match (name, key) {
        (Some(name), _) => format!("the client sent {name} during SASL {stage}"),
        (None, Some(key)) => format!("the client sent a request with the unknown key {key} during SASL {stage}"),
        (None, None) => format!("the client sent what is not a request during SASL {stage}"),
    }
}

fn is_served(key: ApiKey, header: &RequestHeader) -> bool {
    served::versions(key).is_some_and(|range| range.contains(&header.api_version))
}

fn api_key(frame: &[u8]) -> Option<i16> {
    frame.first_chunk().map(|key| i16::from_be_bytes(*key))
}

fn whole_ms(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
