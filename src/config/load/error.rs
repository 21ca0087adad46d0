//! Errors of loading settings.

use std::path::PathBuf;

use crate::setting::InvalidValue;
use crate::table::{self, Scope};
use crate::values::Source;

/// Why loading failed. The text is one line with the fault and its place.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read {path}: {error}")]
    File { path: PathBuf, error: std::io::Error },
    /// The file that a variable names can't be read.
    #[error("cannot read {path} (environment variable {variable}): {error}")]
    ValueFile { variable: String, path: String, error: std::io::Error },
    #[error("{from}: {reason}")]
    Syntax { from: Source, reason: String },
    #[error("unknown setting {name} ({from}){}", table::hint(Scope::Broker, name))]
    Unknown { name: String, from: Source },
    #[error("{invalid} ({from}){}", allowed(invalid))]
    Invalid { invalid: InvalidValue, from: Source },
    /// Values that conflict.
    #[error("{0}")]
    Conflict(String),
    /// A setting demands protection that is not supported.
    #[error("{0}")]
    Unprotected(String),
}

fn allowed(invalid: &InvalidValue) -> String {
    match table::find(Scope::Broker, invalid.name()).map(|setting| setting.rule.to_string()) {
        // The reason of other errors contains the rule already.
        Some(rule) if !rule.is_empty() && invalid.is_not_a_number() => format!("; allowed: {rule}"),
        _ => String::new(),
    }
}
