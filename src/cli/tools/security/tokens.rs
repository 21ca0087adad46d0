//! Where a client gets its tokens for OAUTHBEARER: from a token endpoint with the client credentials grant, from a file, or
//! unsigned and made by itself, for development.
//!
//! Each connection gets a token of its own, so there is nothing to refresh.

use std::fs;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::sasl::{JAAS, needed};
use super::{Settings, tls};
use crate::cli::http_errors;
use ottla_client::{BearerToken, TokenSource, Tokens};
use ottla_config::Password;
use ottla_core::security::jaas::LoginModule;
use ottla_tls::keystore;
use ottla_wire::types::InOrder as _;

const URL: &str = "sasl.oauthbearer.token.endpoint.url";
pub(super) const RETRIEVER: &str = "sasl.oauthbearer.jwt.retriever.class";
/// What precedes the name of a SASL extension in the name of an option.
const EXTENSION: &str = "extension_";
const STRING_CLAIM: &str = "unsecuredLoginStringClaim_";
const NUMBER_CLAIM: &str = "unsecuredLoginNumberClaim_";
const LIST_CLAIM: &str = "unsecuredLoginListClaim_";
const LIFETIME: &str = "unsecuredLoginLifetimeSeconds";
const DEFAULT_LIFETIME_SECONDS: f64 = 3600.0;
/// The time limits for the token endpoint without `sasl.login.connect.timeout.ms` and `sasl.login.read.timeout.ms`.
const ENDPOINT_TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer of the token endpoint, and the largest file with a token.
const MAX_TOKEN_BYTES: u64 = 1 << 20;

/// Reads where tokens come from. The error is one plain line.
pub fn read(settings: Settings<'_>, module: &LoginModule, is_unsecured: bool) -> Result<Tokens, String> {
    let extensions: Vec<_> = module
        .options()
        .filter_map(|(name, value)| Some((name.strip_prefix(EXTENSION)?.to_owned(), value.expose().to_owned())))
        .collect();
    settings.refuse_other("sasl.oauthbearer.sub.claim.name", &["sub"])?;
    let url = settings.given(URL).filter(|_| !is_unsecured);
    check_retriever(settings, url)?;
    let source = match url {
        None => Source::Unsecured(Unsecured::read(module)?),
        Some(url) => match url.split_once(':') {
            Some(("file", path)) => Source::File(path.strip_prefix("//").unwrap_or(path).into()),
            Some(("http" | "https", _)) => Source::Endpoint(Endpoint::read(settings, module, url)?),
            _ => return Err(format!("{URL}={} does not begin with https:, http: or file:", url.escape_debug())),
        },
    };
    Ok(Tokens::new(Login { source, extensions }))
}

/// Refuses a class that gets tokens from elsewhere than the URL says.
fn check_retriever(settings: Settings<'_>, url: Option<&str>) -> Result<(), String> {
    let class = settings.given(RETRIEVER).unwrap_or_default();
    let is_file = url.is_some_and(|url| url.starts_with("file:"));
    let fits = match class.rsplit('.').next() {
        Some("ClientCredentialsJwtRetriever") => url.is_some() && !is_file,
        Some("FileJwtRetriever") => is_file,
        _ => true,
    };
    match fits {
        true => Ok(()),
        false => Err(format!("{RETRIEVER}={class} does not fit {URL}={}", url.unwrap_or_default().escape_debug())),
    }
}

struct Login {
    source: Source,
    extensions: Vec<(String, String)>,
}

enum Source {
    Endpoint(Endpoint),
    File(PathBuf),
    Unsecured(Unsecured),
}

impl TokenSource for Login {
    fn token(&self) -> Result<BearerToken, String> {
        let token = match &self.source {
            Source::Endpoint(endpoint) => {
                endpoint.token().map_err(|why| format!("no token from {}: {why}", endpoint.url))?
            }
            Source::File(path) => {
                let read = fs::File::open(path).and_then(|file| {
                    let mut text = String::new();
                    file.take(MAX_TOKEN_BYTES).read_to_string(&mut text).map(|_| text)
                });
                read.map_err(|error| format!("no token from {}: {error}", path.display()))?.trim().to_owned()
            }
            Source::Unsecured(unsecured) => unsecured.token(SystemTime::now()),
        };
        Ok(BearerToken { token, extensions: self.extensions.clone() })
    }
}

/// A token endpoint with the client credentials grant (RFC 6749, 4.4).
struct Endpoint {
    url: String,
    /// The value of the header `Authorization`.
    authorization: Password,
    form: String,
    agent: Agent,
}

impl Endpoint {
    fn read(settings: Settings<'_>, module: &LoginModule, url: &str) -> Result<Endpoint, String> {
        // The settings came with Kafka 4.1, in place of the options.
        let credential = |setting: &str, option: &str| -> Result<String, String> {
            match settings.given(setting) {
                Some(value) => Ok(value.to_owned()),
                None => needed(module, option),
            }
        };
        let (mut id, mut secret) = (
            credential("sasl.oauthbearer.client.credentials.client.id", "clientId")?,
            credential("sasl.oauthbearer.client.credentials.client.secret", "clientSecret")?,
        );
        if settings.given("sasl.oauthbearer.header.urlencode").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            (id, secret) = (form_encoded(&id), form_encoded(&secret));
        }
        let scope = settings.given("sasl.oauthbearer.scope").map(str::to_owned);
        let scope = scope.or_else(|| module.option("scope").map(|scope| scope.expose().to_owned()));
        let scope = scope.filter(|scope| !scope.is_empty()).map(|scope| format!("&scope={}", form_encoded(&scope)));
        Ok(Endpoint {
            url: url.to_owned(),
            authorization: Password::new(format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))),
            form: format!("grant_type=client_credentials{}", scope.unwrap_or_default()),
            agent: agent(settings, module)?,
        })
    }

    fn token(&self) -> Result<String, String> {
        let request = self.agent.post(&self.url).header("Authorization", self.authorization.expose());
        let request = request.content_type("application/x-www-form-urlencoded").header("Accept", "application/json");
        let mut response = request.send(self.form.as_bytes()).map_err(|error| http_errors::reason(&error))?;
        let mut body = Vec::new();
        let reader = response.body_mut().as_reader().take(MAX_TOKEN_BYTES);
        { reader }.read_to_end(&mut body).map_err(|error| error.to_string())?;
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        if !response.status().is_success() {
            let why = body["error_description"].as_str().or(body["error"].as_str()).unwrap_or_default();
            return Err(format!("status {} {}", response.status().as_u16(), why.escape_debug()).trim_end().to_owned());
        }
        let token = body["access_token"].as_str().map(str::trim).filter(|token| !token.is_empty());
        token.map(str::to_owned).ok_or_else(|| "the answer has no access_token".to_owned())
    }
}

/// The client for HTTP. As in Kafka, TLS of the endpoint is configured by options of the login module.
fn agent(settings: Settings<'_>, module: &LoginModule) -> Result<Agent, String> {
    let timeout = |name: &str| -> Result<Duration, String> {
        let Some(ms) = settings.given(name) else { return Ok(ENDPOINT_TIMEOUT) };
        let ms = ms.parse::<u32>().map_err(|_| format!("Invalid value {ms} for configuration {name}"))?;
        Ok(Duration::from_millis(ms.into()))
    };
    let options = module.options().map(|(name, value)| (name.to_owned(), value.expose().to_owned())).in_order();
    let options = Settings(&options);
    let known = ["type", "location", "password", "certificates"].map(|last| format!("ssl.truststore.{last}"));
    if let Some(other) = options.0.keys().find(|name| name.starts_with("ssl.") && !known.contains(name)) {
        return Err(format!("{JAAS}: the option {other} is not supported; only those of ssl.truststore are"));
    }
    let trusted = keystore::load_trusted(&tls::store(options, "ssl.truststore", "certificates"));
    let trusted = trusted.map_err(|why| format!("{JAAS}: {why}"))?;
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(timeout("sasl.login.connect.timeout.ms")?))
        .timeout_recv_response(Some(timeout("sasl.login.read.timeout.ms")?))
        .timeout_recv_body(Some(timeout("sasl.login.read.timeout.ms")?));
    if let Some(trusted) = trusted {
        let trusted = trusted.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let tls = TlsConfig::builder().root_certs(RootCerts::Specific(Arc::new(trusted))).build();
        config = config.tls_config(tls);
    }
    Ok(config.build().into())
}

/// Encodes a value of `application/x-www-form-urlencoded`, as Java's `URLEncoder`.
fn form_encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' | b'*' | b'_' => encoded.push(byte.into()),
            b' ' => encoded.push('+'),
            other => encoded.push_str(&format!("%{other:02X}")),
        }
    }
    encoded
}

/// A token without a signature (Kafka's `OAuthBearerUnsecuredLoginCallbackHandler`).
struct Unsecured {
    claims: Map<String, Value>,
    lifetime_seconds: f64,
}

impl Unsecured {
    fn read(module: &LoginModule) -> Result<Unsecured, String> {
        let mut claims = Map::new();
        for (option, value) in module.options() {
            let (option, value) = (option.trim(), value.expose());
            let (name, claim) = if let Some(name) = option.strip_prefix(STRING_CLAIM) {
                (name, value.into())
            } else if let Some(name) = option.strip_prefix(NUMBER_CLAIM) {
                (name, json!(number(option, value)?))
            } else if let Some(name) = option.strip_prefix(LIST_CLAIM) {
                (name, list(value))
            } else {
                continue;
            };
            if matches!(name, "" | "iat" | "exp") {
                return Err(format!("{JAAS}: the option {option} cannot set this claim"));
            }
            claims.insert(name.to_owned(), claim);
        }
        let user_claim = module.option("unsecuredLoginPrincipalClaimName").map_or("sub", Password::expose);
        if !claims.get(user_claim).is_some_and(Value::is_string) {
            return Err(format!(
                "{JAAS} has no token: set {URL}, or for an unsigned token the option {STRING_CLAIM}{user_claim}"
            ));
        }
        let lifetime = module.option(LIFETIME).map(|value| number(LIFETIME, value.expose())).transpose()?;
        Ok(Unsecured { claims, lifetime_seconds: lifetime.unwrap_or(DEFAULT_LIFETIME_SECONDS) })
    }

    fn token(&self, now: SystemTime) -> String {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as f64 / 1000.0;
        let mut claims = self.claims.clone();
        claims.insert("iat".to_owned(), json!(now));
        claims.insert("exp".to_owned(), json!(now + self.lifetime_seconds));
        let encode = |json: Value| URL_SAFE_NO_PAD.encode(json.to_string());
        format!("{}.{}.", encode(json!({"alg": "none"})), encode(Value::Object(claims)))
    }
}

fn number(option: &str, value: &str) -> Result<f64, String> {
    let number = value.trim().parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| format!("{JAAS}: the value of the option {option} is not a number"))
}

/// A list whose first character separates its items: `|one|two`.
fn list(value: &str) -> Value {
    let mut characters = value.chars();
    match characters.next() {
        None => json!([]),
        Some(separator) => characters.as_str().split(separator).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_core::security::bearer::UnsecuredSettings;
    use ottla_core::security::jaas;

    fn module(options: &str) -> LoginModule {
        jaas::parse_property(&format!("x.Y required {options};")).unwrap()
    }

    #[test]
    fn unsigned_token_has_the_claims_of_the_options_and_is_accepted_by_a_broker() {
        let options = "unsecuredLoginStringClaim_sub=alice unsecuredLoginNumberClaim_level=\"7\" \
                       unsecuredLoginListClaim_scope=\"|read|write\" unsecuredLoginLifetimeSeconds=\"60\"";
        let unsecured = Unsecured::read(&module(options)).unwrap();
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_000_500);
        let token = unsecured.token(now);
        let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1).unwrap()).unwrap();
        let claims: Value = serde_json::from_slice(&claims).unwrap();
        let expect = json!({
            "sub": "alice", "level": 7.0, "scope": ["read", "write"], "iat": 1_700_000_000.5, "exp": 1_700_000_060.5,
        });
        assert_eq!(claims, expect);
        let broker = UnsecuredSettings::of_options(&module("unsecuredValidatorRequiredScope=write")).unwrap();
        assert_eq!(&*broker.validate(&token, 1_700_000_001_000).unwrap().user, "alice");
        assert!(broker.validate(&token, 1_700_000_061_000).is_err());
    }

    #[test]
    fn unsigned_token_without_a_user_or_with_fixed_claims_is_refused() {
        let error = |options: &str| Unsecured::read(&module(options)).err().unwrap();
        assert!(error("").contains("unsecuredLoginStringClaim_sub"));
        assert!(error("unsecuredLoginStringClaim_sub=a unsecuredLoginPrincipalClaimName=user").contains("Claim_user"));
        assert!(error("unsecuredLoginStringClaim_sub=a unsecuredLoginNumberClaim_exp=\"1\"").contains("Claim_exp"));
        let text = error("unsecuredLoginStringClaim_sub=a unsecuredLoginLifetimeSeconds=soon");
        assert!(text.contains(LIFETIME) && !text.contains("soon"), "{text}");
    }

    #[test]
    fn form_values_are_encoded_as_in_java() {
        assert_eq!(form_encoded("a b&c=ü*~"), "a+b%26c%3D%C3%BC*%7E");
    }
}
