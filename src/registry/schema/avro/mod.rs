//! Avro schemas, as Java's Avro 1.12 parses, prints and compares them, with Confluent's additions.
//!
//! The crate `apache-avro` is not used. Ids of schemas depend on the canonical text, for which it does not keep enough: the
//! order of properties, properties of primitive types, the namespaces as they were written, `order`, `error`, numbers of
//! defaults. It also refuses what Java accepts (a name that is used before its definition, repeated equal definitions),
//! and accepts what Java refuses. Its comparison names the first difference only, in its own terms.
//!
//! | module | content |
//! |---|---|
//! | [`model`] | nodes of a parsed schema |
//! | `parse`, `resolve`, `names`, `logical`, `defaults`, `depth` | from text to nodes, with Avro's checks |
//! | `print`, `normalize` | the canonical text and the normalized one |
//! | `equal` | equality for lookups |
//! | [`compat`] | what a reader's schema cannot read |
//! | `codec` | values in the binary and in the JSON encoding |
//! | `tags` | `confluent:tags` of records and fields |

mod codec;
pub mod compat;
mod defaults;
mod depth;
mod equal;
mod logical;
pub mod model;
mod names;
mod normalize;
mod parse;
mod print;
mod resolve;
mod tags;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use thiserror::Error;

pub use compat::{Difference, DifferenceKind};
use model::{NodeId, Nodes};
pub use names::Validation;
use parse::Parser;

use super::{TagChanges, TaggedEntity};

/// Why a text is not an Avro schema, in Avro's words where it has some.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct AvroError(String);

impl AvroError {
    fn new(message: impl Into<String>) -> AvroError {
        AvroError(message.into())
    }
}

/// A parsed schema.
#[derive(Clone, Debug)]
pub struct AvroSchema {
    nodes: Nodes,
    root: NodeId,
    /// Full names of the schemas that this one refers to. Their definitions are not part of the canonical text.
    known: Vec<String>,
    canonical: String,
}

impl AvroSchema {
    /// Parses a schema. `references` are the texts of all schemas that it refers to, each after those that it needs.
    pub fn parse(text: &str, references: &[&str], validation: Validation) -> Result<AvroSchema, AvroError> {
        let mut parser = Parser::new(validation);
        let mut known = Vec::with_capacity(references.len());
        parser.check_names = validation == Validation::New;
        for reference in references {
            let root = parse_one(&mut parser, reference)?;
            known.push(parser.nodes.full_name(root).to_owned());
        }
        parser.check_names = true;
        let root = parse_one(&mut parser, text)?;
        depth::check(&parser.nodes, root)?;
        let canonical = print::canonical(&parser.nodes, root, &known);
        Ok(AvroSchema { nodes: parser.nodes, root, known, canonical })
    }

    /// The text that decides on the id of the schema.
    pub fn canonical(&self) -> &str {
        &self.canonical
    }

    /// The text with the definitions of all types that come from references.
    pub fn resolved(&self) -> String {
        print::resolved(&self.nodes, self.root)
    }

    /// The schema with the insignificant parts of its text in a fixed order.
    pub fn normalized(&self, references: &[&str], validation: Validation) -> Result<AvroSchema, AvroError> {
        let text = normalize::normalized(&self.nodes, self.root, &self.known)?;
        AvroSchema::parse(&text, references, validation)
    }

    /// Returns what keeps this schema from reading data that was written with `writer`.
    pub fn differences(&self, writer: &AvroSchema) -> Result<Arc<[Difference]>, AvroError> {
        compat::differences(self, writer)
    }

    /// Whether the other schema is the same, wherever its types are defined.
    pub fn is_equivalent(&self, other: &AvroSchema) -> bool {
        equal::equivalent(&self.nodes, self.root, &other.nodes, other.root)
    }

    /// The full name of a record; `None` for other types.
    pub fn record_name(&self) -> Option<&str> {
        let is_record = self.nodes.kind(self.root).type_name() == "record";
        is_record.then(|| self.nodes.full_name(self.root))
    }

    pub fn has_top_level_field(&self, name: &str) -> bool {
        self.nodes.fields(self.root).iter().any(|field| field.name == name)
    }

    /// The records and fields with tags, in the order of the schema.
    pub fn tagged_entities(&self) -> Vec<(TaggedEntity, Vec<String>)> {
        tags::entities(&self.nodes, self.root)
    }

    /// Returns the canonical text with other tags.
    pub fn text_with_tags(&self, changes: &TagChanges) -> Result<String, AvroError> {
        tags::modify(&self.canonical, changes)
    }
}

fn parse_one(parser: &mut Parser, text: &str) -> Result<NodeId, AvroError> {
    let first = parser.nodes.len();
    let root = parser.parse_text(text)?;
    parser.resolve(root, first)
}
