//! The public keys of OAUTHBEARER's issuers: read from a file or a URL, and again from time to time (Kafka's
//! `RefreshingHttpsJwks`).
//!
//! Tokens are validated with the keys that were read last, so a login never waits for the issuer. A token with an unknown
//! key has the keys read again soon, because the issuer may have new ones.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::RwLock;
use rustls::pki_types::CertificateDer;
use tokio::sync::Notify;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::blocking;
use crate::clock::Clock;
use ottla_core::security::bearer::Jwks;

/// The longest time for one answer of the issuer.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// The size of the largest key set that is read.
const MAX_KEY_SET_BYTES: u64 = 1 << 20;
/// The shortest delay before the next reading, whatever the settings are.
const MIN_DELAY: Duration = Duration::from_millis(100);
/// The shortest time between two readings because of tokens with unknown keys, which any client can send.
const MIN_REFRESH_INTERVAL: Duration = Duration::from_secs(10);

/// The keys of one issuer.
#[derive(Debug)]
pub struct IssuerKeys {
    place: Place,
    keys: RwLock<Arc<Jwks>>,
    /// Signalled by tokens with unknown keys.
    unknown_key: Notify,
}

/// Where the keys are, and how they are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    source: Source,
    times: Times,
    /// The authorities for `https:`; `None` for those that browsers trust.
    trusted: Option<Vec<CertificateDer<'static>>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Url(String),
}

/// `sasl.oauthbearer.jwks.endpoint.*`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Times {
    /// The time between two readings.
    pub refresh: Duration,
    /// The delay after a failure. It doubles with each further failure.
    pub backoff: Duration,
    pub max_backoff: Duration,
}

impl Place {
    /// The keys at `url`, which begins with `file:`, `http:` or `https:`. The error is one line.
    pub fn new(url: &str, times: Times, trusted: Option<Vec<CertificateDer<'static>>>) -> Result<Place, String> {
        let source = match url.split_once(':') {
            Some(("file", path)) => Source::File(path.strip_prefix("//").unwrap_or(path).into()),
            Some(("http" | "https", _)) => Source::Url(url.to_owned()),
            _ => return Err(format!("{} does not begin with https:, http: or file:", url.escape_debug())),
        };
        Ok(Place { source, times, trusted })
    }

    fn download(&self, url: &str) -> Result<Vec<u8>, Box<ureq::Error>> {
        let mut config = Agent::config_builder().timeout_global(Some(REQUEST_TIMEOUT));
        if let Some(trusted) = &self.trusted {
            let trusted = trusted.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
            let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(trusted))).build();
            config = config.tls_config(tls);
        }
        let mut response = Agent::from(config.build()).get(url).call().map_err(Box::new)?;
        let mut json = Vec::new();
        let body = response.body_mut().as_reader();
        body.take(MAX_KEY_SET_BYTES).read_to_end(&mut json).map_err(|error| Box::new(error.into()))?;
        Ok(json)
    }
}

impl IssuerKeys {
    /// The keys at a place. Nothing is read yet.
    pub fn new(place: Place) -> IssuerKeys {
        IssuerKeys { place, keys: RwLock::default(), unknown_key: Notify::new() }
    }

    /// Whether these are the keys at this place.
    pub fn is_at(&self, place: &Place) -> bool {
        self.place == *place
    }

    /// The keys that were read last; none before.
    pub fn current(&self) -> Arc<Jwks> {
        Arc::clone(&self.keys.read())
    }

    /// Notes a token with an unknown key.
    pub fn note_unknown_key(&self) {
        self.unknown_key.notify_one();
    }

    /// Reads the keys now, and from now on again and again while they are in use. Needs a tokio runtime.
    pub fn start(self: &Arc<Self>, clock: Clock) {
        tokio::spawn(refresh(Arc::downgrade(self), clock));
    }

    /// Reads the keys. Blocks. The error is one line.
    fn read(&self) -> Result<(), String> {
        let json = match &self.place.source {
            Source::File(path) => fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?,
            Source::Url(url) => self.place.download(url).map_err(|error| format!("{url}: {}", reason(&error)))?,
        };
        let keys = Jwks::parse(&json).map_err(|error| match &self.place.source {
            Source::File(path) => format!("{}: {error}", path.display()),
            Source::Url(url) => format!("{url}: {error}"),
        })?;
        *self.keys.write() = Arc::new(keys);
        Ok(())
    }
}

/// The reason why nothing was downloaded, without the library's name for its kind.
fn reason(error: &ureq::Error) -> String {
    match error {
        ureq::Error::StatusCode(code) => format!("the status of the answer is {code}"),
        ureq::Error::Timeout(_) => format!("no answer within {} seconds", REQUEST_TIMEOUT.as_secs()),
        ureq::Error::Io(why) => why.to_string(),
        ureq::Error::Rustls(why) => why.to_string(),
        ureq::Error::Protocol(why) => why.to_string(),
        ureq::Error::Http(why) => why.to_string(),
        other => other.to_string(),
    }
}

async fn refresh(keys: Weak<IssuerKeys>, clock: Clock) {
    let mut failures = 0u32;
    loop {
        let Some(reading) = keys.upgrade() else { return };
        let times = reading.place.times;
        let outcome = blocking::run(move || reading.read()).await;
        let delay = match outcome {
            Ok(Ok(())) => {
                if failures > 0 {
                    tracing::info!("read the issuer's keys for OAUTHBEARER again");
                }
                failures = 0;
                times.refresh
            }
            Ok(Err(error)) => {
                if failures == 0 {
                    tracing::warn!(%error, "failed to read the issuer's keys for OAUTHBEARER, retrying");
                }
                failures = failures.saturating_add(1);
                times.backoff.saturating_mul(2u32.saturating_pow(failures.min(16))).min(times.max_backoff)
            }
            Err(_) => return,
        };
        let delay = delay.max(MIN_DELAY);
        let read_at = clock.monotonic();
        let Some(waiting) = keys.upgrade() else { return };
        tokio::select! {
            () = clock.sleep(delay) => {}
            () = waiting.unknown_key.notified(), if failures == 0 => {
                clock.sleep_until(read_at + MIN_REFRESH_INTERVAL.min(delay)).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIMES: Times = Times {
        refresh: Duration::from_secs(3600),
        backoff: Duration::from_millis(100),
        max_backoff: Duration::from_secs(10),
    };
    const KEY: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"a","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4",
        "y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

    #[test]
    fn source_is_a_file_or_a_url() {
        let check = |url: &str, expect: Option<Source>| {
            assert_eq!(Place::new(url, TIMES, None).ok().map(|place| place.source), expect, "{url}");
        };
        check("file:///etc/jwks.json", Some(Source::File("/etc/jwks.json".into())));
        check("file:/etc/jwks.json", Some(Source::File("/etc/jwks.json".into())));
        check("https://issuer/jwks", Some(Source::Url("https://issuer/jwks".to_owned())));
        check("/etc/jwks.json", None);
        check("ftp://issuer/jwks", None);
    }

    #[test]
    fn error_of_a_download_names_the_url_and_the_reason_alone() {
        let refused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let url = format!("http://{refused}/keys");
        let error = IssuerKeys::new(Place::new(&url, TIMES, None).unwrap()).read().unwrap_err();
        assert!(error.starts_with(&format!("{url}: Connection refused")), "{error}");
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/keys", server.local_addr().unwrap());
        let answering = std::thread::spawn(move || {
            let (mut socket, _) = server.accept().unwrap();
            let answer = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
            std::io::Write::write_all(&mut socket, answer).unwrap();
            let _ = std::io::Read::read(&mut socket, &mut [0; 1024]);
        });
        let error = IssuerKeys::new(Place::new(&url, TIMES, None).unwrap()).read().unwrap_err();
        assert_eq!(error, format!("{url}: the status of the answer is 404"));
        answering.join().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn keys_of_a_file_are_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("jwks.json");
        let keys = Arc::new(IssuerKeys::new(Place::new(&format!("file://{}", path.display()), TIMES, None).unwrap()));
        let clock = Clock::start();
        keys.start(clock);
        clock.sleep(Duration::from_millis(50)).await;
        assert_eq!(*keys.current(), Jwks::default(), "there is no file yet");
        fs::write(&path, KEY).unwrap();
        clock.sleep(TIMES.max_backoff).await;
        assert_eq!(*keys.current(), Jwks::parse(KEY.as_bytes()).unwrap());
        fs::write(&path, KEY.replace("\"a\"", "\"b\"")).unwrap();
        clock.sleep(MIN_REFRESH_INTERVAL).await;
        assert_eq!(*keys.current(), Jwks::parse(KEY.as_bytes()).unwrap(), "not due");
        keys.note_unknown_key();
        clock.sleep(MIN_REFRESH_INTERVAL).await;
        assert_ne!(*keys.current(), Jwks::parse(KEY.as_bytes()).unwrap());
    }
}
