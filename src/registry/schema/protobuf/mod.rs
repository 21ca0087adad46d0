//! Protobuf schemas (proto2 and proto3), as Confluent's registry parses, prints and compares them.
//!
//! The parser is our own. Confluent's canonical text keeps what was written: options without a definition, their order and
//! the spelling of their numbers, names of types as they were written, fields whose types are unknown, grouping of reserved
//! numbers and of extensions. Parsers that make descriptors (`protox-parse`, `protobuf-parse`) resolve or drop those
//! parts, and refuse texts that Square's Wire, which Confluent uses, accepts. Ids of schemas depend on all of it.
//!
//! A text may also be a `FileDescriptorProto` in Base64, as some serializers register schemas. Of the options in it,
//! `edition_defaults`, `feature_support` and `declaration` are not kept; Google's own `descriptor.proto` has the first two.
//! A default or a JSON name that has parts is refused; Wire prints objects of Kotlin for it.
//!
//! | module | content |
//! |---|---|
//! | [`element`] | the parts of a file |
//! | `reader`, `options`, `parse` | from text to parts |
//! | `descriptor` | from and to descriptors |
//! | `known` | files that need no reference |
//! | `names` | full names of types |
//! | `writer`, `print`, `values`, `normal`, `numbers` | the canonical text and the normalized one |
//! | `strict` | the checks that `validateFields` asks for |
//! | `tags` | tags of messages and fields |
//! | `codec` | values in the wire format and in JSON |
//! | `diff`, `order`, [`difference`] | what a reader's schema cannot read |

mod codec;
mod descriptor;
mod diff;
pub mod difference;
pub mod element;
mod known;
mod names;
mod normal;
mod numbers;
mod options;
mod order;
mod parse;
mod print;
mod reader;
mod strict;
mod tags;
mod values;
mod writer;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::OnceLock;

use thiserror::Error;

use super::value::ValueError;
use super::{ResolvedReference, TagChanges, TaggedEntity};
use codec::types::Descriptors;
pub use difference::{Difference, DifferenceKind};
use element::{File, Type};
use names::Types;

/// Maximum depth of messages in each other, of values of options, and of parts of a package.
const MAX_DEPTH: usize = 64;
/// Maximum length of a name with those of its package and of the messages around it. The time to resolve names depends on it.
const MAX_NAME_BYTES: usize = 1024;

/// Why a text is not a Protobuf schema, in the words of Confluent's registry where it has some.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct ProtobufError(String);

impl ProtobufError {
    fn new(message: impl Into<String>) -> ProtobufError {
        ProtobufError(message.into())
    }
}

/// A parsed schema with those that it refers to.
#[derive(Debug)]
pub struct ProtobufSchema {
    file: File,
    dependencies: Vec<(String, File)>,
    canonical: String,
    total_bytes: usize,
    /// The types with resolved names. They are only needed to read values.
    descriptors: OnceLock<Result<Descriptors, ValueError>>,
}

impl ProtobufSchema {
    pub fn parse(text: &str, references: &[ResolvedReference]) -> Result<ProtobufSchema, ProtobufError> {
        let file = parse_any(text)?;
        let dependencies = parse_dependencies(references)?;
        let canonical = print::canonical(&file)?;
        let total_bytes = text.len() + references.iter().map(|reference| reference.text.len()).sum::<usize>();
        Ok(ProtobufSchema { file, dependencies, canonical, total_bytes, descriptors: OnceLock::new() })
    }

    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// About how much memory the schema takes with its parts, which are several times larger than the text.
    pub fn estimated_bytes(&self) -> usize {
        16 * self.total_bytes
    }

    fn types(&self) -> Types<'_> {
        Types::of(&self.file, self.dependencies.iter().map(|(_, file)| file))
    }

    /// The schema with full names of types and in a fixed order.
    pub fn normalized(&self, references: &[ResolvedReference]) -> Result<ProtobufSchema, ProtobufError> {
        let text = print::normalized(&self.file, &self.types())?;
        let mut schema = ProtobufSchema::parse(&text, references)?;
        schema.canonical = text;
        Ok(schema)
    }

    /// Checks that all types are defined; if `is_strict` holds, that descriptors can be made.
    pub fn check(&self, is_strict: bool) -> Result<(), ProtobufError> {
        let text = print::normalized(&self.file, &self.types())?;
        parse_any(&text)?;
        if !is_strict {
            return Ok(());
        }
        let mut files: HashMap<&str, &File> = HashMap::new();
        for (path, file) in &self.dependencies {
            files.entry(path).or_insert(file);
        }
        strict::check(&self.file, |path| files.get(path).copied().or_else(|| known::file(path)))
    }

    /// The text in a format: `serialized` is a descriptor in Base64, `ignore_extensions` is a text without extensions.
    pub fn formatted(&self, format: &str) -> String {
        match format.to_ascii_lowercase().as_str() {
            "serialized" => descriptor::encode(&self.file, &self.types(), |path| self.imported(path)),
            "ignore_extensions" => print::without_extensions(&self.file).unwrap_or_else(|_| self.canonical.clone()),
            _ => self.canonical.clone(),
        }
    }

    fn imported(&self, path: &str) -> Option<&File> {
        let found = self.dependencies.iter().find(|(name, _)| name == path).map(|(_, file)| file);
        found.or_else(|| known::file(path))
    }

    /// Returns what keeps this schema from reading data that was written with `writer`.
    pub fn differences(&self, writer: &ProtobufSchema) -> Result<Vec<Difference>, ProtobufError> {
        let original = diff::Side { file: &writer.file, types: writer.types() };
        let update = diff::Side { file: &self.file, types: self.types() };
        diff::compare(&original, &update)
    }

    /// The messages and fields with tags.
    pub fn tagged_entities(&self) -> Vec<(TaggedEntity, Vec<String>)> {
        tags::entities(&self.file)
    }

    /// Returns the canonical text with other tags.
    pub fn text_with_tags(&self, changes: &TagChanges) -> Result<String, ProtobufError> {
        tags::modify(&self.file, changes)
    }

    pub fn has_top_level_field(&self, name: &str) -> bool {
        self.effective_file().types.iter().any(|found| match found {
            Type::Message(message) => message.field(name).is_some(),
            Type::Enum(_) => false,
        })
    }

    /// The file that a schema which only imports one publicly stands for, or the schema itself.
    fn effective_file(&self) -> &File {
        let file = &self.file;
        let is_empty =
            file.types.is_empty() && file.imports.is_empty() && file.services.is_empty() && file.extends.is_empty();
        match file.public_imports.as_slice() {
            [path] if is_empty => self.imported(path).filter(|found| !found.types.is_empty()).unwrap_or(file),
            _ => file,
        }
    }
}

fn parse_dependencies(references: &[ResolvedReference]) -> Result<Vec<(String, File)>, ProtobufError> {
    let mut dependencies = Vec::with_capacity(references.len());
    for reference in references {
        dependencies.push((reference.name.clone(), parse_any(&reference.text)?));
    }
    Ok(dependencies)
}

/// Parses a text, or a descriptor in Base64. If it is neither, the error is that of the text.
fn parse_any(text: &str) -> Result<File, ProtobufError> {
    let parsed = parse::parse(text).or_else(|error| {
        descriptor::decode(text).ok_or_else(|| ProtobufError::new(format!("Could not parse Protobuf - {error}")))
    });
    parsed.and_then(|file| names::check_lengths(&file).map(|()| file))
}
