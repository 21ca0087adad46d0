//! Secret bytes.

use std::borrow::Borrow;
use std::fmt;

use bytes::Bytes;
use ottla_config::Password;

/// Secret bytes, such as a key: they are in no Debug output.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct SecretBytes(Bytes);

impl SecretBytes {
    pub fn new(secret: impl Into<Bytes>) -> SecretBytes {
        SecretBytes(secret.into())
    }

    /// The secret itself; never for output.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

/// For lookups in a map with secret keys.
impl Borrow<[u8]> for SecretBytes {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Password::HIDDEN)
    }
}
