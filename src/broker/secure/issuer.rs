//! The OIDC issuer: tokens for the users of `ottla.users`, signed with a key of this broker.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use ring::digest::{SHA256, digest};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

use super::{Secure, read, write};
use crate::clock::Clock;
use ottla_config::secure::ISSUER_KEYS_FILE;
use ottla_config::{BrokerConfig, User};

/// The private key, in the folder of `ottla.secure`.
const KEY_FILE: &str = "oidc.key";
/// The characters of a token's key id.
const KEY_ID_LENGTH: usize = 16;
/// A point of the curve P-256: a byte 4, and two numbers.
const POINT_BYTES: usize = 65;

/// The issuer.
pub struct Issuer {
    key: EcdsaKeyPair,
    key_id: String,
    random: SystemRandom,
    users: Vec<User>,
    lifetime_seconds: i64,
    clock: Clock,
}

/// A request for a token.
#[derive(Clone, Debug, Default)]
pub struct Grant {
    /// The user.
    pub user: String,
    /// The URL by which the client reached the issuer.
    pub issuer: String,
    pub audience: Option<String>,
    pub scope: Option<String>,
    /// Seconds; zero and less for a token that has expired.
    pub expires_in: Option<i32>,
}

/// A signed token.
pub struct Token {
    pub text: String,
    pub expires_in: i64,
    pub scope: String,
}

impl Issuer {
    /// Makes the key, or reads that of an earlier start, and publishes its public part for the broker's listeners. `None`
    /// if the settings have no issuer. The error is one plain line.
    pub fn prepare(secure: &Secure, config: &BrokerConfig, clock: Clock) -> Result<Option<Issuer>, String> {
        let Some(issuer) = config.secure.as_ref().and_then(|secure| secure.issuer) else { return Ok(None) };
        let (path, keys_path) = (secure.dir().join(KEY_FILE), secure.dir().join(ISSUER_KEYS_FILE));
        let damaged = || format!("{} is damaged; remove it to get a new key of the OIDC issuer", path.display());
        let pair = match read(&path)? {
            Some(pem) => KeyPair::from_pem(&pem).map_err(|_| damaged())?,
            None => {
                let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256);
                let pair = pair.map_err(|error| format!("cannot make the key of the OIDC issuer: {error}"))?;
                write(&path, &pair.serialize_pem(), true)?;
                pair
            }
        };
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pair.serialized_der(), &random);
        let key = key.map_err(|_| damaged())?;
        let mut key_id = URL_SAFE_NO_PAD.encode(digest(&SHA256, key.public_key().as_ref()));
        key_id.truncate(KEY_ID_LENGTH);
        let lifetime_seconds = issuer.token_lifetime_seconds.into();
        let issuer = Issuer { key, key_id, random, users: config.users.clone(), lifetime_seconds, clock };
        let keys = issuer.keys().to_string();
        if read(&keys_path)?.as_ref() != Some(&keys) {
            write(&keys_path, &keys, false)?;
        }
        Ok(Some(issuer))
    }

    /// The public key as a JSON Web Key Set.
    pub fn keys(&self) -> Value {
        let point = self.key.public_key().as_ref();
        let half = |from: usize, to: usize| URL_SAFE_NO_PAD.encode(point.get(from..to).unwrap_or_default());
        let (x, y) = (half(1, POINT_BYTES.div_ceil(2)), half(POINT_BYTES.div_ceil(2), POINT_BYTES));
        json!({"keys": [{"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": self.key_id, "x": x, "y": y}]})
    }

    /// Whether this is the password of the user. Takes the same time for unknown users.
    pub fn admits(&self, user: &str, password: &str) -> bool {
        let given = digest(&SHA256, password.as_bytes());
        let known = self.users.iter().find(|known| known.name == user);
        let expected = digest(&SHA256, known.map_or("", |known| known.password.expose()).as_bytes());
        let is_equal: bool = given.as_ref().ct_eq(expected.as_ref()).into();
        is_equal && known.is_some()
    }

    /// Signs a token. The error is one line.
    pub fn token(&self, grant: Grant) -> Result<Token, String> {
        let now = self.clock.wall() / 1000;
        let expires_in = grant.expires_in.map_or(self.lifetime_seconds, i64::from);
        let expires = now + expires_in;
        // A token that has expired was issued before that.
        let issued = now.min(expires - 1);
        let scope = grant.scope.filter(|scope| !scope.trim().is_empty()).unwrap_or_else(|| "kafka".to_owned());
        let header = json!({"alg": "ES256", "typ": "JWT", "kid": self.key_id});
        let claims = json!({
            "iss": grant.issuer,
            "sub": grant.user,
            "client_id": grant.user,
            "aud": grant.audience.unwrap_or_else(|| "kafka".to_owned()),
            "scope": scope,
            "iat": issued,
            "exp": expires,
        });
        let mut text = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string())).join(".");
        let signature = self.key.sign(&self.random, text.as_bytes());
        let signature = signature.map_err(|_| "the operating system has no random bytes for a signature".to_owned())?;
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(Token { text, expires_in, scope })
    }
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issuer").field("key_id", &self.key_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ottla_config::{Sources, load};
    use ottla_core::security::bearer::{Jwks, JwtSettings};

    fn issuer() -> (tempfile::TempDir, Issuer) {
        let dir = tempfile::tempdir().unwrap();
        let set = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let command_line = vec![
            set("ottla.secure", "true"),
            set("ottla.admin.listener", "0"),
            set("ottla.users", "ann:secret"),
            set("ottla.secure.dir", &dir.path().display().to_string()),
        ];
        let config = load(&Sources { command_line, ..Sources::default() }).unwrap().config;
        let secure = Secure { dir: dir.path().to_owned(), has_certificates: false };
        let issuer = Issuer::prepare(&secure, &config, Clock::start()).unwrap().unwrap();
        let again = Issuer::prepare(&secure, &config, Clock::start()).unwrap().unwrap();
        assert_eq!(issuer.keys(), again.keys());
        (dir, issuer)
    }

    #[test]
    fn token_is_valid_for_the_published_keys_until_it_expires() {
        let (dir, issuer) = issuer();
        let keys = Jwks::parse(&std::fs::read(dir.path().join(ISSUER_KEYS_FILE)).unwrap()).unwrap();
        let settings =
            JwtSettings { allow_unverified_audience: true, allow_unverified_issuer: true, ..JwtSettings::default() };
        let grant = |expires_in| Grant { user: "ann".to_owned(), expires_in, ..Grant::default() };
        let token = issuer.token(grant(None)).unwrap();
        let now = issuer.clock.wall();
        assert_eq!(settings.validate(&token.text, &keys, now).map_err(|fault| fault.log).unwrap().user, "ann");
        assert_eq!(token.expires_in, 3600);
        let expired = issuer.token(grant(Some(-60))).unwrap();
        let fault = settings.validate(&expired.text, &keys, now).unwrap_err();
        assert!(fault.log.contains("expired"), "{}", fault.log);
    }

    #[test]
    fn only_the_password_of_the_user_is_admitted() {
        let (_dir, issuer) = issuer();
        assert!(issuer.admits("ann", "secret"));
        for (user, password) in [("ann", "Secret"), ("ann", ""), ("bob", "secret"), ("bob", ""), ("", "")] {
            assert!(!issuer.admits(user, password), "{user}");
        }
    }
}
