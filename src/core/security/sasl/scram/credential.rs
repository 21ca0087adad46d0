//! Credentials of SCRAM users.

use std::fmt;
use std::num::NonZeroU32;

use ring::{digest, hmac, pbkdf2};

use super::super::ScramMechanism;
use crate::security::SecretBytes;
use ottla_config::Password;

/// The characters of a salt, as Kafka's tools make it: text, which is used as bytes.
const SALT_CHARACTERS: &[u8; 32] = b"0123456789abcdefghijklmnopqrstuv";

/// What a broker stores of a SCRAM user. The password cannot be computed from it, but a reader of the stored key who sees
/// an exchange can authenticate as the user; so both keys are secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct ScramCredential {
    pub salt: Vec<u8>,
    pub stored_key: Vec<u8>,
    pub server_key: Vec<u8>,
    pub iterations: u32,
}

impl ScramCredential {
    /// The random bytes from which [`ScramCredential::salt_from`] makes a salt.
    pub const SALT_LENGTH: usize = 26;

    /// The credential of a user with this password.
    pub fn of_password(
        mechanism: ScramMechanism,
        password: &Password,
        salt: Vec<u8>,
        iterations: NonZeroU32,
    ) -> ScramCredential {
        let salted = ScramCredential::salted_password(mechanism, password, &salt, iterations);
        ScramCredential::of_salted_password(mechanism, salted.expose(), salt, iterations.get())
    }

    /// PBKDF2 of a password, which a client sends to set a credential.
    pub fn salted_password(
        mechanism: ScramMechanism,
        password: &Password,
        salt: &[u8],
        iterations: NonZeroU32,
    ) -> SecretBytes {
        let mut salted = vec![0; mechanism.digest().output_len()];
        pbkdf2::derive(mechanism.pbkdf2(), iterations, salt, password.expose().as_bytes(), &mut salted);
        SecretBytes::new(salted)
    }

    /// The credential of a user, from PBKDF2 of the password.
    pub fn of_salted_password(
        mechanism: ScramMechanism,
        salted: &[u8],
        salt: Vec<u8>,
        iterations: u32,
    ) -> ScramCredential {
        let key = hmac::Key::new(mechanism.hmac(), salted);
        let client_key = hmac::sign(&key, b"Client Key");
        ScramCredential {
            salt,
            stored_key: digest::digest(mechanism.digest(), client_key.as_ref()).as_ref().to_vec(),
            server_key: hmac::sign(&key, b"Server Key").as_ref().to_vec(),
            iterations,
        }
    }

    /// A salt of random bytes, in the form of Kafka's.
    pub fn salt_from(random: &[u8; Self::SALT_LENGTH]) -> Vec<u8> {
        random.iter().map(|byte| SALT_CHARACTERS[usize::from(byte % 32)]).collect()
    }

    /// A credential that no password has. The same name always gets the same one, so that a client cannot find out whether
    /// the user exists.
    pub(super) fn of_unknown_user(mechanism: ScramMechanism, user: &str, server_secret: &[u8]) -> ScramCredential {
        let length = mechanism.digest().output_len();
        let key =
            |purpose| derived(purpose, mechanism, user, server_secret).as_ref().iter().take(length).copied().collect();
        ScramCredential {
            salt: ScramCredential::salt_of_name(mechanism, user, server_secret),
            stored_key: key("stored key"),
            server_key: key("server key"),
            iterations: ScramMechanism::FEWEST_ITERATIONS,
        }
    }

    /// The salt of a name that has none of its own.
    pub(in crate::security) fn salt_of_name(mechanism: ScramMechanism, name: &str, server_secret: &[u8]) -> Vec<u8> {
        let bytes = derived("salt", mechanism, name, server_secret);
        let characters = bytes.as_ref().iter().take(Self::SALT_LENGTH);
        characters.map(|byte| SALT_CHARACTERS[usize::from(byte % 32)]).collect()
    }
}

/// Bytes that depend on the purpose, the mechanism and the name, and that cannot be computed without the secret.
fn derived(purpose: &str, mechanism: ScramMechanism, name: &str, server_secret: &[u8]) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA512, server_secret);
    let mut context = hmac::Context::with_key(&key);
    for part in [purpose, mechanism.name(), name] {
        context.update(part.as_bytes());
        context.update(&[0]);
    }
    context.sign()
}

impl fmt::Debug for ScramCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScramCredential")
            .field("iterations", &self.iterations)
            .field("keys", &format_args!("{}", Password::HIDDEN))
            .finish_non_exhaustive()
    }
}
