//! HMACs of delegation tokens: the secret that the broker gives to a client, and the SCRAM password of the token.

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ottla_config::Password;
use ring::hmac;

use super::SecretBytes;
use super::sasl::{ScramCredential, ScramMechanism};

/// The key that makes HMACs of tokens (`delegation.token.secret.key`).
#[derive(Clone, Debug)]
pub struct TokenKey(Password);

impl TokenKey {
    /// `None` for an empty key, with which Kafka has no tokens.
    pub fn new(secret: &Password) -> Option<TokenKey> {
        (!secret.expose().is_empty()).then(|| TokenKey(secret.clone()))
    }

    /// The HMAC of a token.
    pub fn hmac(&self, token_id: &str) -> SecretBytes {
        let key = hmac::Key::new(hmac::HMAC_SHA512, self.0.expose().as_bytes());
        SecretBytes::new(hmac::sign(&key, token_id.as_bytes()).as_ref().to_vec())
    }

    /// The SCRAM credential of a token, whose password is the HMAC in base64. `server_secret` makes the salt.
    pub fn credential(&self, mechanism: ScramMechanism, token_id: &str, server_secret: &[u8]) -> ScramCredential {
        let password = Password::new(STANDARD.encode(self.hmac(token_id).expose()));
        let salt = ScramCredential::salt_of_name(mechanism, token_id, server_secret);
        let iterations = NonZeroU32::new(ScramMechanism::FEWEST_ITERATIONS).unwrap_or(NonZeroU32::MIN);
        ScramCredential::of_password(mechanism, &password, salt, iterations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hmac_is_that_of_kafka() {
        let key = TokenKey::new(&Password::new("secret")).unwrap();
        let kafkas = "Sd0iNXXYcF6FYWCnrKxp14mwtaETWFr/VLlPBBEBPnCkhOOtx1RzYtQfZM52ICUhuiXYix0Gp+uctuIwB98tbw==";
        assert_eq!(STANDARD.encode(key.hmac("bKaADXPDR-G2gTK5up6lKQ").expose()), kafkas);
        assert!(TokenKey::new(&Password::new("")).is_none());
    }

    #[test]
    fn credential_of_a_token_has_the_salt_of_an_unknown_user() {
        let key = TokenKey::new(&Password::new("secret")).unwrap();
        let of = |id| key.credential(ScramMechanism::Sha256, id, b"server secret");
        assert_eq!(of("a"), of("a"));
        assert_ne!(of("a").salt, of("b").salt);
        let unknown = ScramCredential::salt_of_name(ScramMechanism::Sha256, "a", b"server secret");
        assert_eq!(of("a").salt, unknown);
    }
}
