//! Descriptors of files (`google.protobuf.FileDescriptorProto`), in Base64.
//!
//! | module | content |
//! |---|---|
//! | `wire` | the wire format |
//! | `options` | numbers and names of options |
//! | `decode`, `encode` | from and to the parts of a file |

mod decode;
mod encode;
mod options;
pub(super) mod wire;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::element::File;
use super::names::{Scope, Types};
use encode::Encoder;
pub(super) use encode::entry_name;

/// Decodes a descriptor. Returns `None` for a text that is none.
pub(super) fn decode(text: &str) -> Option<File> {
    let config = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    let bytes = GeneralPurpose::new(&base64::alphabet::STANDARD, config).decode(text).ok()?;
    decode::decode(&bytes)
}

/// Encodes a file. `imported` returns the files that it imports.
pub(super) fn encode<'f>(file: &File, types: &Types<'_>, imported: impl Fn(&str) -> Option<&'f File>) -> String {
    let scope = Scope::of(file.package.as_deref());
    let mut encoder = Encoder { types, scope, syntax: file.syntax };
    STANDARD.encode(encoder.file(file, |path| imported(path).is_some()))
}
