//! TLS of a connection, and what its errors mean.

use std::fmt;
use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, CertificateError, ClientConfig};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::ClientError;

/// What to do if the broker has a listener without TLS at this port.
const PLAIN: &str = "set security.protocol to PLAINTEXT or SASL_PLAINTEXT, or connect to a port with TLS";

/// TLS of a client: whom it trusts, and its own certificate. Copies share the sessions that can be resumed.
#[derive(Clone)]
pub struct Tls(Arc<ClientConfig>);

impl Tls {
    pub fn new(config: ClientConfig) -> Tls {
        Tls(Arc::new(config))
    }

    /// Does the handshake with the broker at `address` (`host:port`). The error says what to do.
    pub(super) async fn connect(&self, address: &str, socket: TcpStream) -> Result<TlsStream<TcpStream>, ClientError> {
        let failed = |why| ClientError::Tls { address: address.to_owned(), why };
        let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            failed(format!("\"{}\" is not a host name that a certificate can have", host.escape_debug()))
        })?;
        let connector = TlsConnector::from(Arc::clone(&self.0));
        connector.connect(name, socket).await.map_err(|error| match tls_error(&error) {
            Some(error) => failed(explain(error)),
            None if is_end(&error) => ClientError::Disconnected(format!(
                "the broker closed it during the TLS handshake, its port may be without TLS; {PLAIN}"
            )),
            None => failed(format!("the TLS handshake failed: {error}")),
        })
    }
}

impl PartialEq for Tls {
    /// Whether these are copies of each other.
    fn eq(&self, other: &Tls) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// Whether the peer ended the connection.
pub(super) fn is_end(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// The error of TLS in an error of the stream.
pub(super) fn tls_error(error: &io::Error) -> Option<&rustls::Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>())
}

/// Says in one line what an error of TLS means for a client, and what to do.
pub(super) fn explain(error: &rustls::Error) -> String {
    use AlertDescription::*;
    use rustls::Error::*;
    match error {
        InvalidCertificate(why) => explain_certificate(why),
        InvalidMessage(_) => format!("the broker's answer is not TLS; {PLAIN}"),
        AlertReceived(CertificateRequired) => {
            "the broker demands a client certificate; set ssl.keystore.location, and ssl.keystore.type=PEM for a PEM file"
                .to_owned()
        }
        AlertReceived(UnknownCA | BadCertificate | CertificateUnknown | UnsupportedCertificate | AccessDenied) => {
            format!(
                "the broker did not accept the client's certificate, or there is none ({error}); set ssl.keystore.location \
                 to one that an authority of the broker's truststore has signed"
            )
        }
        AlertReceived(CertificateExpired | CertificateRevoked) => {
            format!("the broker did not accept the client's certificate ({error}); replace the one of ssl.keystore.location")
        }
        AlertReceived(ProtocolVersion | HandshakeFailure | InsufficientSecurity) | PeerIncompatible(_) => format!(
            "client and broker have no version of TLS, cipher suite or kind of key in common ({error}); check \
             ssl.enabled.protocols and ssl.cipher.suites"
        ),
        other => format!("the TLS connection failed: {other}"),
    }
}

/// Says that the broker has a listener without TLS at this port, and what to do.
pub(super) fn listener_without_tls() -> String {
    format!("the broker has no TLS at this port; {PLAIN}")
}

fn explain_certificate(why: &CertificateError) -> String {
    use CertificateError::*;
    match why {
        NotValidForNameContext { expected, presented } => {
            let names = if presented.is_empty() { "no host".to_owned() } else { presented.join(", ") };
            format!(
                "the broker's certificate is for {names}, not for {}; connect with a name of the certificate, or set \
                 ssl.endpoint.identification.algorithm to an empty value to accept any",
                expected.to_str()
            )
        }
        UnknownIssuer => {
            "no authority of the truststore has signed the broker's certificate; set ssl.truststore.location to \
                          the authority's certificate, and ssl.truststore.type=PEM for a PEM file"
                .to_owned()
        }
        Expired | ExpiredContext { .. } => "the broker's certificate has expired; replace it".to_owned(),
        NotValidYet | NotValidYetContext { .. } => {
            "the broker's certificate is not valid yet; check the clocks of both machines".to_owned()
        }
        BadSignature => {
            "the broker's certificate, or that of its issuer, has the name of a trusted authority as its issuer, but was \
             signed with another key; set ssl.truststore.location to the authority's present certificate"
                .to_owned()
        }
        InvalidPurpose => {
            "the broker's certificate is not for TLS servers: its key usage lacks digitalSignature, its extended key usage \
             or that of an issuer in its chain lacks serverAuth, or its Netscape certificate type lacks server"
                .to_owned()
        }
        BadEncoding => "the broker's certificate is malformed".to_owned(),
        Other(why) => format!("the broker's certificate is not valid: {}", why.0),
        other => format!("the broker's certificate is not valid: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rustls::OtherError;

    use super::*;

    #[test]
    fn reasons_of_refused_certificates_are_plain_sentences() {
        let check = |why: CertificateError, expect: &str| {
            let text = explain(&why.into());
            assert!(text.starts_with("the broker's certificate") && text.contains(expect), "{text}");
        };
        check(CertificateError::InvalidPurpose, "is not for TLS servers: ");
        check(CertificateError::BadSignature, "was signed with another key");
        check(CertificateError::BadEncoding, "is malformed");
        let other = io::Error::other("its chain is long");
        check(CertificateError::Other(OtherError(Arc::new(other))), "is not valid: its chain is long");
    }
}
