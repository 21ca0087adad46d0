//! Secrets among the settings.

use std::fmt;

/// A secret (Kafka's `Password`). It is never shown: `Debug` prints `[hidden]`, as Kafka does.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Password(String);

impl Password {
    pub fn new(secret: impl Into<String>) -> Password {
        Password(secret.into())
    }

    /// The secret itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn password_is_hidden_in_debug_output() {
        assert_eq!(format!("{:?}", Some(Password::new("secret"))), "Some([hidden])");
    }
}
