//! Values of schemas: errors and bounds that all formats share.

use std::fmt;

use crate::json::{Json, Number};

/// Maximum number of parts of a value that take no bytes, such as nulls in an array.
const MAX_EMPTY_PARTS: usize = 1_000_000;
/// Maximum number of parts for each byte: a byte can be a value in unions and records in each other.
const MAX_PARTS_PER_BYTE: usize = 16;
/// Maximum size of a decoded value in memory, as it is estimated while it grows.
const MAX_DECODED_BYTES: usize = 64 << 20;
/// Maximum length of the path in an error.
const MAX_PATH: usize = 256;
/// About how much memory a part of a decoded value takes beside its name and text.
const PART_BYTES: usize = 64;

/// Why bytes or a JSON text are not a value of a schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ValueError {
    problem: String,
    /// Names of fields and numbers of items around the problem, the outermost first.
    path: String,
}

impl ValueError {
    pub(crate) fn new(problem: impl Into<String>) -> ValueError {
        ValueError { problem: problem.into(), path: String::new() }
    }

    /// The same error, as seen from around the field `name`.
    pub(crate) fn under(mut self, name: &str) -> ValueError {
        if self.path.is_empty() {
            self.path = name.chars().take(MAX_PATH).collect();
        } else if self.path.len() < MAX_PATH {
            let separator = if self.path.starts_with('[') { "" } else { "." };
            self.path = format!("{name}{separator}{}", self.path);
        }
        self
    }

    /// The same error, as seen from around the item `at`.
    pub(crate) fn under_item(self, at: usize) -> ValueError {
        self.under(&format!("[{at}]"))
    }

    pub(crate) fn end() -> ValueError {
        ValueError::new("the value ends too early")
    }

    /// An error about JSON of the wrong kind.
    pub(crate) fn expected(what: &str, found: &Json) -> ValueError {
        let found = match found {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::String(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        };
        ValueError::new(format!("expected {what}, found {found}"))
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.problem)?;
        if self.path.is_empty() { Ok(()) } else { write!(formatter, " (in {})", self.path) }
    }
}

impl std::error::Error for ValueError {}

/// What reading one value may still take. Counts in payloads are not believed: memory is only taken for what was read.
pub(crate) struct Budget {
    parts: usize,
    bytes: usize,
}

impl Budget {
    /// The budget for a payload of this many bytes.
    pub fn new(payload: usize) -> Budget {
        let parts = payload.saturating_mul(MAX_PARTS_PER_BYTE).saturating_add(MAX_EMPTY_PARTS);
        Budget { parts, bytes: MAX_DECODED_BYTES }
    }

    /// Counts a part of a value.
    pub fn take_part(&mut self) -> Result<(), ValueError> {
        match self.parts.checked_sub(1) {
            Some(left) => {
                self.parts = left;
                Ok(())
            }
            None => Err(ValueError::new("the value has too many parts")),
        }
    }

    /// Counts the memory of a part with this many bytes of names and text.
    pub fn take_memory(&mut self, bytes: usize) -> Result<(), ValueError> {
        match self.bytes.checked_sub(bytes.saturating_add(PART_BYTES)) {
            Some(left) => {
                self.bytes = left;
                Ok(())
            }
            None => Err(ValueError::new(format!("the value takes more than {MAX_DECODED_BYTES} bytes in memory"))),
        }
    }
}

/// Returns an integer of 64 bits, also if it is written with a fraction of zero.
pub(crate) fn integer(number: &Number) -> Option<i64> {
    match number {
        Number::Long(number) => Some(*number),
        Number::Big(_) => None,
        number => {
            let number = number.to_double();
            // Beyond 2^53, not every integer is a double.
            #[expect(clippy::cast_possible_truncation, reason = "an integer below 2^53")]
            let exact = (number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0).then_some(number as i64);
            exact
        }
    }
}
