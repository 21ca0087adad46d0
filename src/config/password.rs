//! Secret text.

use std::fmt;
use std::sync::Arc;

/// A secret (Kafka's `Password`): its text is in no Debug or Display output.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Password(Arc<str>);

impl Password {
    /// What is displayed in place of every secret.
    pub const HIDDEN: &'static str = "[hidden]";

    pub fn new(secret: impl Into<Arc<str>>) -> Password {
        Password(secret.into())
    }

    /// The secret itself; never for output.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Password::HIDDEN)
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Password::HIDDEN)
    }
}
