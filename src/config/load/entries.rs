//! The entries of a settings file.

/// Names and values, each with its line number if known.
pub(super) type Entries = Vec<(String, String, Option<usize>)>;
