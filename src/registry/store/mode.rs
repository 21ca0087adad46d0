//! Modes of subjects.

/// What is allowed under a subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    ReadWrite,
    ReadOnly,
    /// An older name of [`Mode::ReadOnly`] that records can have.
    ReadOnlyOverride,
    /// Ids and versions are given by the client, and nothing is checked.
    Import,
    Forward,
}

impl Mode {
    const ALL: [Mode; 5] = [Mode::ReadWrite, Mode::ReadOnly, Mode::ReadOnlyOverride, Mode::Import, Mode::Forward];

    pub fn name(self) -> &'static str {
        match self {
            Mode::ReadWrite => "READWRITE",
            Mode::ReadOnly => "READONLY",
            Mode::ReadOnlyOverride => "READONLY_OVERRIDE",
            Mode::Import => "IMPORT",
            Mode::Forward => "FORWARD",
        }
    }

    /// Finds a mode by its name, in upper or lower case.
    pub fn from_name(name: &str) -> Option<Mode> {
        Mode::ALL.into_iter().find(|mode| mode.name().eq_ignore_ascii_case(name))
    }

    pub fn is_read_only(self) -> bool {
        matches!(self, Mode::ReadOnly | Mode::ReadOnlyOverride)
    }

    pub fn is_import_or_forward(self) -> bool {
        matches!(self, Mode::Import | Mode::Forward)
    }
}
