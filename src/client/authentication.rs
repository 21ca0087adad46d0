//! Authentication of a connection with SASL: PLAIN, SCRAM and OAUTHBEARER.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use ring::{digest, hmac, pbkdf2};

use super::{Client, ClientError, Result, check_error_code};
use ottla_wire::codec::Str;
use ottla_wire::protocol::ApiKey;
use ottla_wire::protocol::messages::sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse};
use ottla_wire::protocol::messages::sasl_handshake::SaslHandshakeRequest;
use ottla_wire::types::ErrorCode;

/// Random bytes of a nonce.
const NONCE_BYTES: usize = 24;
/// The most iterations that a broker may ask for, so that it cannot keep the client busy.
const MOST_ITERATIONS: u32 = 1 << 20;

/// How a client authenticates. Debug output has no secrets.
#[derive(Clone, PartialEq, Eq)]
pub enum Sasl {
    Plain {
        user: String,
        password: String,
    },
    Scram {
        mechanism: Scram,
        /// The user, or the id of a delegation token.
        user: String,
        /// The password, or the HMAC of a delegation token.
        password: String,
        /// Whether a delegation token is used.
        by_token: bool,
    },
    OAuthBearer {
        tokens: Tokens,
    },
}

/// Where bearer tokens come from. Each connection asks for one.
pub trait TokenSource: Send + Sync {
    /// Gets a token that is valid now. May block. The error is one line without secrets.
    fn token(&self) -> Result<BearerToken, String>;
}

/// A token of OAUTHBEARER, with what is sent beside it.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken {
    pub token: String,
    /// SASL extensions: names and values.
    pub extensions: Vec<(String, String)>,
}

/// A source of tokens. Copies share it.
#[derive(Clone)]
pub struct Tokens(Arc<dyn TokenSource>);

impl Tokens {
    pub fn new(source: impl TokenSource + 'static) -> Tokens {
        Tokens(Arc::new(source))
    }
}

impl PartialEq for Tokens {
    /// Whether these are copies of each other.
    fn eq(&self, other: &Tokens) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Tokens {}

impl BearerToken {
    /// The first message of the mechanism (RFC 7628). A token or an extension that would end a part of the message is refused.
    fn message(&self) -> Result<String, &'static str> {
        let is_token = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic());
        let is_value = |text: &str| text.bytes().all(|byte| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n'));
        if !is_token(&self.token) {
            return Err("the token is not one of visible characters");
        }
        let mut message = format!("n,,\u{1}auth=Bearer {}\u{1}", self.token);
        for (name, value) in &self.extensions {
            // "auth" would be a second token.
            if name.is_empty()
                || name == "auth"
                || !name.bytes().all(|byte| byte.is_ascii_alphabetic())
                || !is_value(value)
            {
                return Err("an extension has an invalid name or value");
            }
            message.push_str(&format!("{name}={value}\u{1}"));
        }
        message.push('\u{1}');
        Ok(message)
    }
}

/// A mechanism of the SCRAM family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scram {
    Sha256,
    Sha512,
}

impl Sasl {
    pub fn mechanism(&self) -> &'static str {
        match self {
            Sasl::Plain { .. } => "PLAIN",
            Sasl::Scram { mechanism: Scram::Sha256, .. } => "SCRAM-SHA-256",
            Sasl::Scram { mechanism: Scram::Sha512, .. } => "SCRAM-SHA-512",
            Sasl::OAuthBearer { .. } => "OAUTHBEARER",
        }
    }
}

impl fmt::Debug for Sasl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let user = match self {
            Sasl::Plain { user, .. } | Sasl::Scram { user, .. } => Some(user),
            Sasl::OAuthBearer { .. } => None,
        };
        f.debug_struct("Sasl").field("mechanism", &self.mechanism()).field("user", &user).finish_non_exhaustive()
    }
}

/// Authenticates a new connection.
pub(super) async fn authenticate(client: &Client, sasl: &Sasl) -> Result<()> {
    let handshake = SaslHandshakeRequest { mechanism: Str::from_static(sasl.mechanism()) };
    let response = client.call(handshake).await?;
    if response.error_code != 0 {
        let enabled = response.mechanisms.iter().map(|name| &**name).collect::<Vec<_>>().join(", ");
        let message = match ErrorCode::from_code(response.error_code) {
            Some(ErrorCode::IllegalSaslState) => {
                "the broker has no SASL at this port; set security.protocol to PLAINTEXT \
                                                  or SSL, or connect to a port with SASL"
                    .to_owned()
            }
            _ => format!("the broker does not have {} enabled, but {enabled}", sasl.mechanism()),
        };
        check_error_code(ApiKey::SaslHandshake, response.error_code, Some(&message.into()))?;
    }
    match sasl {
        Sasl::Plain { user, password } => drop(send(client, format!("\0{user}\0{password}")).await?),
        Sasl::Scram { mechanism, user, password, by_token } => {
            let mut random = [0; NONCE_BYTES];
            getrandom::fill(&mut random).map_err(|error| failed(error.to_string()))?;
            let extension = if *by_token { ",tokenauth=true" } else { "" };
            let name = user.replace('=', "=3D").replace(',', "=2C");
            let bare = format!("n={name},r={}{extension}", STANDARD.encode(random));
            let challenge = text(&send(client, format!("n,,{bare}")).await?.auth_bytes)?;
            let answer = mechanism.answer(&bare, &challenge, &STANDARD.encode(random), password)?;
            let proof = text(&send(client, answer.message).await?.auth_bytes)?;
            if proof.split(',').next() != Some(&*format!("v={}", answer.expected)) {
                return Err(failed("the broker did not prove that it knows the password"));
            }
        }
        Sasl::OAuthBearer { tokens } => {
            let tokens = tokens.clone();
            // It may read a file or ask a server.
            let token = tokio::task::spawn_blocking(move || tokens.0.token()).await;
            let token = token.map_err(|error| failed(error.to_string()))?.map_err(failed)?;
            let response = send(client, token.message().map_err(failed)?).await?;
            if !response.auth_bytes.is_empty() {
                // The reason; the broker ends the exchange after the client acknowledged it.
                send(client, "\u{1}".to_owned()).await?;
            }
        }
    }
    Ok(())
}

async fn send(client: &Client, message: String) -> Result<SaslAuthenticateResponse> {
    let request = SaslAuthenticateRequest { auth_bytes: message.into_bytes().into() };
    let response = client.call(request).await?;
    check_error_code(ApiKey::SaslAuthenticate, response.error_code, response.error_message.as_ref())?;
    Ok(response)
}

fn text(bytes: &Bytes) -> Result<String> {
    String::from_utf8(bytes.to_vec()).map_err(|_| failed("the broker's message is not text"))
}

fn failed(why: impl Into<String>) -> ClientError {
    ClientError::Authentication(why.into())
}

/// The client's final message, and the signature that the broker has to answer.
struct Answer {
    message: String,
    expected: String,
}

impl Scram {
    fn answer(self, bare: &str, challenge: &str, nonce: &str, password: &str) -> Result<Answer> {
        let field = |prefix: &str| challenge.split(',').find_map(|field| field.strip_prefix(prefix));
        let server_nonce = field("r=").filter(|both| both.starts_with(nonce) && both.len() > nonce.len());
        let salt = field("s=").and_then(|salt| STANDARD.decode(salt).ok());
        let iterations =
            field("i=").and_then(|count| count.parse::<u32>().ok()).filter(|count| *count <= MOST_ITERATIONS);
        let (Some(server_nonce), Some(salt), Some(iterations)) =
            (server_nonce, salt, iterations.and_then(NonZeroU32::new))
        else {
            return Err(failed("the broker's SCRAM message is invalid"));
        };
        let (hash, mac, derivation) = match self {
            Scram::Sha256 => (&digest::SHA256, hmac::HMAC_SHA256, pbkdf2::PBKDF2_HMAC_SHA256),
            Scram::Sha512 => (&digest::SHA512, hmac::HMAC_SHA512, pbkdf2::PBKDF2_HMAC_SHA512),
        };
        let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(mac, key), text.as_bytes());
        let mut salted = vec![0; hash.output_len()];
        pbkdf2::derive(derivation, iterations, &salt, password.as_bytes(), &mut salted);
        let client_key = sign(&salted, "Client Key");
        let without_proof = format!("c=biws,r={server_nonce}");
        let messages = format!("{bare},{challenge},{without_proof}");
        let signature = sign(digest::digest(hash, client_key.as_ref()).as_ref(), &messages);
        let proof: Vec<u8> = client_key.as_ref().iter().zip(signature.as_ref()).map(|(a, b)| a ^ b).collect();
        let expected = STANDARD.encode(sign(sign(&salted, "Server Key").as_ref(), &messages));
        Ok(Answer { message: format!("{without_proof},p={}", STANDARD.encode(proof)), expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answer_to_the_challenge_of_rfc_7677_is_its_proof() {
        let nonce = "rOprNGfwEbeRWgbNEkqO";
        let challenge = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let answer = Scram::Sha256.answer(&format!("n=user,r={nonce}"), challenge, nonce, "pencil").unwrap();
        assert_eq!(
            answer.message,
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        assert_eq!(answer.expected, "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    }

    #[test]
    fn challenges_that_are_invalid_or_too_expensive_are_refused() {
        for challenge in
            ["", "r=abc,s=YQ==,i=4096", "r=abcd,s=!,i=4096", "r=abcd,s=YQ==,i=0", "r=abcd,s=YQ==,i=1048577"]
        {
            assert!(Scram::Sha256.answer("n=u,r=abc", challenge, "abc", "pencil").is_err(), "{challenge}");
        }
    }

    #[test]
    fn bearer_tokens_are_sent_with_extensions_and_invalid_ones_are_refused() {
        let message = |token: &str, extensions: &[(&str, &str)]| {
            let extensions = extensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            BearerToken { token: token.to_owned(), extensions }.message().ok()
        };
        assert_eq!(message("a.b.c", &[]).as_deref(), Some("n,,\u{1}auth=Bearer a.b.c\u{1}\u{1}"));
        let extended = "n,,\u{1}auth=Bearer a\u{1}cluster=one two\u{1}\u{1}";
        assert_eq!(message("a", &[("cluster", "one two")]).as_deref(), Some(extended));
        for (token, extensions) in
            [("", &[][..]), ("a b", &[]), ("a\u{1}", &[]), ("a", &[("auth", "b")]), ("a", &[("x", "\u{1}")])]
        {
            assert_eq!(message(token, extensions), None, "{token} {extensions:?}");
        }
    }

    #[test]
    fn debug_output_has_no_secrets() {
        let sasl = Sasl::Plain { user: "alice".to_owned(), password: "hunter2".to_owned() };
        assert_eq!(format!("{sasl:?}"), "Sasl { mechanism: \"PLAIN\", user: Some(\"alice\"), .. }");
    }
}
