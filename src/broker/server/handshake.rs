//! TLS handshakes of accepted connections: bounded in time, in memory, and in their number.
//!
//! Until a client has sent a byte, its connection has no TLS state. Then its handshake takes one of [`MAX_HANDSHAKES`]
//! slots. If none is free, the oldest unfinished handshake ends: a good client needs its slot for milliseconds, while one
//! that stopped in the middle keeps it until its deadline. So no number of unfinished handshakes refuses a good client.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::{AlertDescription, CertificateError, PeerIncompatible as Incompatible};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::dispatch::ConnectionInfo;
use super::read_ahead::ReadAhead;
use super::sniff::foreign_protocol;
use crate::clock::Clock;
use crate::log_rate_limiter::{LogRateLimiter, log_limited_by_reason};
use crate::tls::TlsListener;
use ottla_core::security::Principal;

/// The longest time from the acceptance of a connection to the end of its handshake. `connections.max.idle.ms` may be
/// shorter, and then counts.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(30);
/// Unfinished handshakes that have received a byte, of all listeners. Each needs at most 64 KiB for an incomplete message.
const MAX_HANDSHAKES: usize = 512;
/// The first byte of a TLS connection: a record of a handshake.
const HANDSHAKE_RECORD: u8 = 0x16;
/// The bytes by which another protocol is recognized.
const SNIFFED: usize = 4;
/// How much of a request without TLS is read before the answer. Closing a socket with unread data resets the connection,
/// and a reset can reach the client before it has read the answer.
const DISCARDED: usize = 4096;
/// A fatal alert, `unexpected_message`, for a client without TLS: librdkafka recognizes it and says what is wrong.
const ALERT: &[u8] = &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x0a];

/// Why a connection has no TLS.
#[derive(Debug)]
pub(super) enum HandshakeError {
    /// The client closed the connection before it sent a byte, as health checks of ports do.
    Closed,
    /// It took too long.
    TimedOut,
    /// Others needed its slot.
    Displaced,
    /// The client sent data of another protocol, of this name.
    NotTls(&'static str),
    Failed(io::Error),
    /// The client's certificate has no principal.
    NoPrincipal(String),
}

/// The unfinished handshakes of all listeners.
#[derive(Debug)]
pub(super) struct Handshakes {
    slots: Mutex<Slots>,
    timeout: Duration,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Slots {
    next_id: u64,
    /// The unfinished handshakes, the oldest first. A dropped sender ends its handshake.
    unfinished: VecDeque<(u64, oneshot::Sender<()>)>,
}

/// A slot, released when dropped.
struct Slot<'a> {
    handshakes: &'a Handshakes,
    id: u64,
}

impl Handshakes {
    pub fn new(idle_timeout: Option<Duration>, clock: Clock) -> Handshakes {
        let timeout = idle_timeout.map_or(HANDSHAKE_TIMEOUT, |idle| idle.min(HANDSHAKE_TIMEOUT));
        Handshakes { slots: Mutex::default(), timeout, clock }
    }

    /// Does the handshake. Returns the encrypted stream and the client's principal.
    pub async fn secure(
        &self,
        stream: TcpStream,
        listener: &TlsListener,
    ) -> Result<(TlsStream<ReadAhead<TcpStream>>, Principal), HandshakeError> {
        let secured = self.clock.timeout(self.timeout, self.handshake(stream, listener)).await;
        secured.unwrap_or(Err(HandshakeError::TimedOut))
    }

    async fn handshake(
        &self,
        mut stream: TcpStream,
        listener: &TlsListener,
    ) -> Result<(TlsStream<ReadAhead<TcpStream>>, Principal), HandshakeError> {
        let mut first = [0; SNIFFED];
        let received = stream.peek(&mut first).await.map_err(HandshakeError::Failed)?;
        match first.first() {
            _ if received == 0 => return Err(HandshakeError::Closed),
            Some(&HANDSHAKE_RECORD) => {}
            _ => return Err(refuse(&mut stream, first).await),
        }
        let loaded = listener.current();
        let (slot, displaced) = self.take_slot();
        let accepting = TlsAcceptor::from(Arc::clone(loaded.server())).accept(ReadAhead::new(stream));
        let stream = tokio::select! {
            biased;
            accepted = accepting => accepted.map_err(HandshakeError::Failed)?,
            _ = displaced => return Err(HandshakeError::Displaced),
        };
        drop(slot);
        let principal = match stream.get_ref().1.peer_certificates().and_then(|chain| chain.first()) {
            Some(certificate) => loaded.principal(certificate).map_err(HandshakeError::NoPrincipal)?,
            None => Principal::anonymous(),
        };
        Ok((stream, principal))
    }

    /// Takes a slot, if necessary that of the oldest unfinished handshake. The receiver ends when the slot is lost.
    fn take_slot(&self) -> (Slot<'_>, oneshot::Receiver<()>) {
        let (keep, displaced) = oneshot::channel();
        let mut slots = self.slots.lock();
        if slots.unfinished.len() >= MAX_HANDSHAKES {
            slots.unfinished.pop_front();
        }
        let id = slots.next_id;
        slots.next_id += 1;
        slots.unfinished.push_back((id, keep));
        (Slot { handshakes: self, id }, displaced)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut slots = self.handshakes.slots.lock();
        if let Ok(at) = slots.unfinished.binary_search_by_key(&self.id, |(id, _)| *id) {
            slots.unfinished.remove(at);
        }
    }
}

/// Answers a client that does not use TLS.
async fn refuse(stream: &mut TcpStream, first: [u8; SNIFFED]) -> HandshakeError {
    let foreign = foreign_protocol(first);
    let answer = foreign.map(|foreign| foreign.answer).filter(|answer| !answer.is_empty()).unwrap_or(ALERT);
    let _ = stream.try_read(&mut [0; DISCARDED]);
    // The client may have closed the connection.
    let _ = stream.write_all(answer).await;
    HandshakeError::NotTls(foreign.map_or("plain Kafka", |foreign| foreign.name))
}

impl HandshakeError {
    /// Logs why a connection has no TLS.
    pub fn log(&self, connection: &ConnectionInfo, limiter: &Arc<LogRateLimiter>) {
        if let HandshakeError::Closed = self {
            tracing::debug!(client = %connection, "closed by the client before the TLS handshake");
            return;
        }
        let reason = self.to_string();
        log_limited_by_reason!(
            WARN,
            limiter,
            connection.peer.ip(),
            "failed TLS handshakes",
            reason.clone(),
            client = %connection,
            "closed the connection: {reason}"
        );
    }
}

impl fmt::Display for HandshakeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HandshakeError::Closed => f.write_str("the client closed it before the TLS handshake"),
            HandshakeError::TimedOut => f.write_str("the TLS handshake took too long"),
            HandshakeError::Displaced => {
                write!(f, "the TLS handshake was not finished, and more than {MAX_HANDSHAKES} others began")
            }
            HandshakeError::NotTls(name) => {
                write!(f, "the client sent {name} data, but this port serves Kafka with TLS (security.protocol=SSL)")
            }
            HandshakeError::NoPrincipal(why) => write!(f, "the client's certificate gives no user: {why}"),
            HandshakeError::Failed(error) => {
                write!(f, "the TLS handshake failed: ")?;
                match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
                    Some(error) => explain(error, f),
                    None if error.kind() == io::ErrorKind::UnexpectedEof => {
                        f.write_str("the client closed the connection; it may not trust the broker's certificate")
                    }
                    None => write!(f, "{error}"),
                }
            }
        }
    }
}

/// Explains the usual mistakes.
fn explain(error: &rustls::Error, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    use rustls::Error::*;
    match error {
        NoCertificatesPresented => f.write_str("the client presented no certificate, and ssl.client.auth is required"),
        InvalidCertificate(CertificateError::UnknownIssuer) => {
            f.write_str("the client's certificate is not signed by an authority of the truststore")
        }
        InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            f.write_str("the client's certificate has expired")
        }
        InvalidCertificate(CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }) => {
            f.write_str("the client's certificate is not valid yet")
        }
        InvalidCertificate(CertificateError::BadSignature) => f.write_str(
            "the client's certificate, or that of its issuer, has the name of a trusted authority as its issuer, but was \
             signed with another key",
        ),
        InvalidCertificate(CertificateError::InvalidPurpose) => f.write_str(
            "the client's certificate is not for TLS clients: its key usage lacks digitalSignature, its extended key usage \
             or that of an issuer in its chain lacks clientAuth, or its Netscape certificate type lacks client",
        ),
        InvalidCertificate(CertificateError::BadEncoding) => f.write_str("the client's certificate is malformed"),
        InvalidCertificate(CertificateError::Other(why)) => {
            write!(f, "the client's certificate is not valid: {}", why.0)
        }
        InvalidCertificate(other) => write!(f, "the client's certificate is not valid: {other}"),
        AlertReceived(
            AlertDescription::UnknownCA | AlertDescription::BadCertificate | AlertDescription::CertificateUnknown,
        ) => {
            write!(f, "the client does not accept the broker's certificate ({error})")
        }
        AlertReceived(AlertDescription::CertificateExpired) => {
            f.write_str("the client found the broker's certificate expired")
        }
        // Clients of TLS 1.1 do not send the extension.
        PeerIncompatible(
            Incompatible::Tls12NotOfferedOrEnabled | Incompatible::SignatureAlgorithmsExtensionRequired,
        ) => {
            f.write_str("the client offers no version of TLS that ssl.enabled.protocols has")
        }
        PeerIncompatible(Incompatible::NoCipherSuitesInCommon) => {
            f.write_str("the client offers no cipher suite that is supported")
        }
        other => write!(f, "{other}"),
    }
}

#[cfg(test)]
mod tests {
    use rustls::OtherError;

    use super::*;

    #[test]
    fn reasons_of_refused_certificates_are_plain_sentences() {
        let check = |why: CertificateError, expect: &str| {
            let error = HandshakeError::Failed(io::Error::other(rustls::Error::from(why)));
            let text = error.to_string();
            assert!(
                text.starts_with("the TLS handshake failed: the client's certificate") && text.ends_with(expect),
                "{text}"
            );
        };
        check(CertificateError::InvalidPurpose, "or its Netscape certificate type lacks client");
        check(CertificateError::BadEncoding, "certificate is malformed");
        let other = io::Error::other("its chain is long");
        check(CertificateError::Other(OtherError(Arc::new(other))), "is not valid: its chain is long");
    }
}
