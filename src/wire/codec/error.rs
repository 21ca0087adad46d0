//! Errors of decoding and encoding, with their position.

use std::fmt;

/// Bytes that can't be decoded, with the field and the position of the error.
///
/// Boxed to keep the `Result` of every field small.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodeError(Box<Details<DecodeErrorKind>>);

/// A struct that can't be encoded at the requested version.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodeError(Box<Details<EncodeErrorKind>>);

/// Why decoding failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeErrorKind {
    #[error("needs {needed} bytes, but only {remaining} remain")]
    Truncated { needed: usize, remaining: usize },
    #[error("claims {count} elements of at least {element_size} bytes, but only {remaining} bytes remain")]
    TooManyElements { count: usize, element_size: usize, remaining: usize },
    #[error("claims {count} elements, which take too much memory for a message of this size")]
    TooMuchMemory { count: usize },
    #[error("{length} bytes of text, more than a string may have")]
    TextTooLong { length: usize },
    #[error("null, which this version doesn't allow")]
    UnexpectedNull,
    #[error("a variable-length integer that doesn't end within its size")]
    BadVarint,
    #[error("tagged field {tag} leaves {unread} of its bytes unread")]
    TaggedFieldTooLong { tag: u32, unread: usize },
    #[error("version {version} is not one of {min}..={max}")]
    UnsupportedVersion { version: i16, min: i16, max: i16 },
    #[error("frame version {0} is not 1")]
    UnsupportedFrameVersion(u32),
}

/// Why encoding failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeErrorKind {
    #[error("{length} bytes or elements, but the format allows at most {limit}")]
    TooLong { length: usize, limit: usize },
    #[error("null, which this version doesn't allow")]
    UnexpectedNull,
    #[error("version {version} is not one of {min}..={max}")]
    UnsupportedVersion { version: i16, min: i16, max: i16 },
}

#[derive(Clone, PartialEq, Eq)]
struct Details<Kind> {
    kind: Kind,
    /// Bytes read or written before the error.
    offset: usize,
    /// The path from the message to the field, innermost step first.
    path: Vec<Step>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Field(&'static str),
    Element(usize),
}

impl<Kind> Details<Kind> {
    fn path(&self) -> String {
        let mut path = String::new();
        for step in self.path.iter().rev() {
            match step {
                Step::Field(name) if path.is_empty() => path.push_str(name),
                Step::Field(name) => path.extend([".", name]),
                Step::Element(index) => path.push_str(&format!("[{index}]")),
            }
        }
        path
    }
}

macro_rules! error_with_path {
    ($error:ident, $kind:ident) => {
        impl $error {
            #[cold]
            pub(crate) fn new(kind: $kind, offset: usize) -> Self {
                $error(Box::new(Details { kind, offset, path: Vec::new() }))
            }

            /// The kind of error.
            pub fn kind(&self) -> &$kind {
                &self.0.kind
            }

            /// The position of the error, in bytes from the start of the input or output.
            pub fn offset(&self) -> usize {
                self.0.offset
            }

            /// The path of the field, such as `topics[2].partitions[0].index`; empty for the message itself.
            pub fn path(&self) -> String {
                self.0.path()
            }

            #[cold]
            pub fn in_field(mut self, name: &'static str) -> Self {
                self.0.path.push(Step::Field(name));
                self
            }

            #[cold]
            pub(crate) fn in_element(mut self, index: usize) -> Self {
                self.0.path.push(Step::Element(index));
                self
            }
        }

        impl std::error::Error for $error {}

        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let path = self.path();
                let field = if path.is_empty() { "message" } else { &path };
                write!(f, "{field} at byte {}: {}", self.0.offset, self.0.kind)
            }
        }

        impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($error))
            }
        }
    };
}

error_with_path!(DecodeError, DecodeErrorKind);
error_with_path!(EncodeError, EncodeErrorKind);
