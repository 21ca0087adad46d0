//! Whether data written with one schema can be read with another: the rules of Java's `SchemaCompatibility`, with its
//! kinds of differences, their messages and their locations.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::sync::Arc;

use super::model::{Body, Field, Kind, Named, NodeId, Nodes, Primitive};
use super::{AvroError, AvroSchema};
use crate::schema::nesting::{MAX_COMPARED_DEPTH, MAX_COMPARED_PAIRS, MAX_DIFFERENCES};

/// Maximum number of differences in memory during a comparison. Beyond it, each pair of types keeps only its first one.
const MAX_KEPT_DIFFERENCES: usize = 100 * MAX_DIFFERENCES;

/// The kind of a difference, with Avro's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    NameMismatch,
    FixedSizeMismatch,
    MissingEnumSymbols,
    ReaderFieldMissingDefaultValue,
    TypeMismatch,
    MissingUnionBranch,
}

impl DifferenceKind {
    pub fn name(self) -> &'static str {
        match self {
            DifferenceKind::NameMismatch => "NAME_MISMATCH",
            DifferenceKind::FixedSizeMismatch => "FIXED_SIZE_MISMATCH",
            DifferenceKind::MissingEnumSymbols => "MISSING_ENUM_SYMBOLS",
            DifferenceKind::ReaderFieldMissingDefaultValue => "READER_FIELD_MISSING_DEFAULT_VALUE",
            DifferenceKind::TypeMismatch => "TYPE_MISMATCH",
            DifferenceKind::MissingUnionBranch => "MISSING_UNION_BRANCH",
        }
    }
}

/// A reason why the reader's schema cannot read what the writer's schema wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub kind: DifferenceKind,
    /// The place in the reader's schema, as a JSON pointer.
    pub path: Arc<str>,
    pub message: Arc<str>,
}

impl Difference {
    /// Formats the difference as Confluent's registry reports it; `reader` and `writer` are `new` and `old`, or the other
    /// way round.
    pub fn describe(&self, reader: &str, writer: &str) -> String {
        let Difference { kind, path, message } = self;
        let description = match kind {
            DifferenceKind::FixedSizeMismatch => format!(
                "The size of FIXED type field at path '{path}' in the {reader} schema does not match with the {writer} \
                 schema"
            ),
            DifferenceKind::TypeMismatch => format!(
                "The type (path '{path}') of a field in the {reader} schema does not match with the {writer} schema"
            ),
            DifferenceKind::NameMismatch => format!("The name of the schema has changed (path '{path}')"),
            DifferenceKind::MissingEnumSymbols => format!(
                "The {reader} schema is missing enum symbols '{message}' at path '{path}' in the {writer} schema"
            ),
            DifferenceKind::MissingUnionBranch => format!(
                "The {reader} schema is missing a type inside a union field at path '{path}' in the {writer} schema"
            ),
            DifferenceKind::ReaderFieldMissingDefaultValue => format!(
                "The field '{message}' at path '{path}' in the {reader} schema has no default value and is missing in \
                 the {writer} schema"
            ),
        };
        let name = kind.name();
        format!("{{errorType:'{name}', description:'{description}', additionalInfo:'{message}'}}")
    }
}

/// Returns the differences that keep `reader` from reading what `writer` wrote; none if it can.
pub(super) fn differences(reader: &AvroSchema, writer: &AvroSchema) -> Result<Arc<[Difference]>, AvroError> {
    let (readers, writers) = (&reader.nodes, &writer.nodes);
    let (results, path) = (HashMap::new(), Vec::new());
    let mut checker = Checker { readers, writers, results, path, depth: 0, free: MAX_KEPT_DIFFERENCES };
    checker.compare("", reader.root, writer.root)
}

struct Checker<'a> {
    readers: &'a Nodes,
    writers: &'a Nodes,
    /// The result of each pair; `None` while it is computed, which counts as compatible. A pair that occurs again has the
    /// locations of its first occurrence, as in Avro.
    results: HashMap<(NodeId, NodeId), Option<Arc<[Difference]>>>,
    /// Parts of the location, the root's empty one first.
    path: Vec<String>,
    depth: usize,
    /// How many more differences may be kept.
    free: usize,
}

type Differences = Result<Vec<Difference>, AvroError>;

impl Checker<'_> {
    fn compare(&mut self, part: &str, reader: NodeId, writer: NodeId) -> Result<Arc<[Difference]>, AvroError> {
        match self.results.get(&(reader, writer)) {
            Some(Some(known)) => return Ok(Arc::clone(known)),
            Some(None) => return Ok(Arc::new([])),
            None => {}
        }
        if self.depth == MAX_COMPARED_DEPTH || self.results.len() == MAX_COMPARED_PAIRS {
            return Err(AvroError::new("the schemas are too large or too deep to be compared"));
        }
        self.path.push(part.to_owned());
        self.depth += 1;
        self.results.insert((reader, writer), None);
        let found: Arc<[Difference]> = self.calculate(reader, writer)?.into();
        self.results.insert((reader, writer), Some(Arc::clone(&found)));
        self.depth -= 1;
        self.path.pop();
        Ok(found)
    }

    /// Compares the branch of a union. Its location begins anew, as in Avro; it is seen only if the pair occurs again
    /// elsewhere.
    fn matches(&mut self, reader: NodeId, writer: NodeId) -> Result<bool, AvroError> {
        let path = mem::take(&mut self.path);
        let found = self.compare("", reader, writer)?;
        self.path = path;
        Ok(found.is_empty())
    }

    fn calculate(&mut self, reader: NodeId, writer: NodeId) -> Differences {
        let (readers, writers) = (self.readers, self.writers);
        match (readers.kind(reader), writers.kind(writer)) {
            (Kind::Primitive(reads), Kind::Primitive(writes)) if promotes(*reads, *writes) => Ok(Vec::new()),
            (Kind::Array(reads), Kind::Array(writes)) => Ok(self.compare("items", *reads, *writes)?.to_vec()),
            (Kind::Map(reads), Kind::Map(writes)) => Ok(self.compare("values", *reads, *writes)?.to_vec()),
            (Kind::Union(_), Kind::Union(branches)) => self.compare_unions(reader, branches),
            (_, Kind::Union(branches)) => self.compare_branches(reader, branches),
            (Kind::Union(branches), _) => {
                for branch in branches {
                    if self.matches(*branch, writer)? {
                        return Ok(Vec::new());
                    }
                }
                Ok(vec![self.missing_branch(writer)])
            }
            (Kind::Named(reads), Kind::Named(writes)) if reads.body.type_name() == writes.body.type_name() => {
                self.compare_named(reads, writes, writer)
            }
            (reads, writes) => {
                let message = format!(
                    "reader type: {} not compatible with writer type: {}",
                    reads.type_name().to_uppercase(),
                    writes.type_name().to_uppercase()
                );
                Ok(vec![self.difference(DifferenceKind::TypeMismatch, message)])
            }
        }
    }

    /// Every branch of the writer must be readable.
    fn compare_unions(&mut self, reader: NodeId, branches: &[NodeId]) -> Differences {
        let mut found = Vec::new();
        for (at, branch) in branches.iter().enumerate() {
            self.path.push(at.to_string());
            if !self.matches(reader, *branch)? {
                let difference = self.missing_branch(*branch);
                self.add(&mut found, &[difference]);
            }
            self.path.pop();
        }
        Ok(found)
    }

    fn compare_branches(&mut self, reader: NodeId, branches: &[NodeId]) -> Differences {
        let mut found = Vec::new();
        for (at, branch) in branches.iter().enumerate() {
            let differences = self.compare(&at.to_string(), reader, *branch)?;
            self.add(&mut found, &differences);
        }
        Ok(found)
    }

    fn compare_named(&mut self, reads: &Named, writes: &Named, writer: NodeId) -> Differences {
        let mut found = Vec::new();
        let same_name = reads.name.simple == writes.name.simple
            || reads.aliases.iter().any(|alias| alias_text(reads, alias) == writes.name.full);
        if !same_name {
            let message = format!("expected: {}", writes.name.full);
            found.push(self.difference_at("name", DifferenceKind::NameMismatch, message));
        }
        match (&reads.body, &writes.body) {
            (Body::Fixed { size: reads }, Body::Fixed { size: writes }) if reads != writes => {
                let message = format!("expected: {writes}, found: {reads}");
                found.push(self.difference_at("size", DifferenceKind::FixedSizeMismatch, message));
            }
            (Body::Enum { symbols: known, default }, Body::Enum { symbols: written, .. }) => {
                let known: HashSet<&String> = known.iter().collect();
                let mut missing: Vec<&str> =
                    written.iter().filter(|symbol| !known.contains(symbol)).map(String::as_str).collect();
                if !missing.is_empty() && default.is_none() {
                    missing.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
                    let message = format!("[{}]", missing.join(", "));
                    found.push(self.difference_at("symbols", DifferenceKind::MissingEnumSymbols, message));
                }
            }
            (Body::Record { fields: reads, .. }, Body::Record { fields: writes, .. }) => {
                let differences = self.compare_fields(reads, writes, writer)?;
                self.add(&mut found, &differences);
            }
            _ => {}
        }
        Ok(found)
    }

    fn compare_fields(&mut self, reads: &[Field], writes: &[Field], writer: NodeId) -> Differences {
        let by_name: HashMap<&str, &Field> = writes.iter().map(|field| (field.name.as_str(), field)).collect();
        let mut found = Vec::new();
        self.path.push("fields".to_owned());
        for (at, field) in reads.iter().enumerate() {
            self.path.push(at.to_string());
            match written_field(field, &by_name)? {
                Some(written) => {
                    let differences = self.compare("type", field.schema, written.schema)?;
                    self.add(&mut found, &differences);
                }
                None if field.default.is_some() => {}
                None if has_enum_default(self.readers, field.schema) => {
                    // Avro compares the enum with the whole record here, which never fits.
                    let differences = self.compare("type", field.schema, writer)?;
                    self.add(&mut found, &differences);
                }
                None => {
                    let kind = DifferenceKind::ReaderFieldMissingDefaultValue;
                    let difference = self.difference(kind, field.name.clone());
                    self.add(&mut found, &[difference]);
                }
            }
            self.path.pop();
        }
        self.path.pop();
        Ok(found)
    }

    fn missing_branch(&self, writer: NodeId) -> Difference {
        let name = self.writers.kind(writer).type_name().to_uppercase();
        self.difference(DifferenceKind::MissingUnionBranch, format!("reader union lacking writer type: {name}"))
    }

    fn difference_at(&mut self, part: &str, kind: DifferenceKind, message: String) -> Difference {
        self.path.push(part.to_owned());
        let difference = self.difference(kind, message);
        self.path.pop();
        difference
    }

    fn difference(&self, kind: DifferenceKind, message: String) -> Difference {
        let escaped = self.path.iter().skip(1).map(|part| part.replace('~', "~0").replace('/', "~1"));
        let path = format!("/{}", escaped.collect::<Vec<_>>().join("/"));
        Difference { kind, path: path.into(), message: message.into() }
    }

    /// Adds differences up to the maximum, and the first one always: types that are used in many places repeat them.
    fn add(&mut self, found: &mut Vec<Difference>, more: &[Difference]) {
        let free = self.free.min(MAX_DIFFERENCES.saturating_sub(found.len())).max(usize::from(found.is_empty()));
        let before = found.len();
        found.extend(more.iter().take(free).cloned());
        self.free = self.free.saturating_sub(found.len() - before);
    }
}

/// Whether a value of one primitive type can be read as another.
fn promotes(reads: Primitive, writes: Primitive) -> bool {
    use Primitive::{Bytes, Double, Float, Int, Long, String};
    reads == writes
        || matches!(
            (reads, writes),
            (Long, Int) | (Float, Int | Long) | (Double, Int | Long | Float) | (Bytes, String) | (String, Bytes)
        )
}

/// Returns an alias as Java's `getAliases` does: with a dot if it is outside any namespace and the type is in one.
fn alias_text(named: &Named, alias: &super::model::Name) -> String {
    match (&alias.space, &named.name.space) {
        (None, Some(_)) => format!(".{}", alias.simple),
        _ => alias.full.clone(),
    }
}

fn written_field<'w>(reads: &Field, writes: &HashMap<&str, &'w Field>) -> Result<Option<&'w Field>, AvroError> {
    let names = std::iter::once(&reads.name).chain(&reads.aliases);
    let mut found: Vec<&'w Field> = names.filter_map(|name| writes.get(name.as_str()).copied()).collect();
    match found.len() {
        0 | 1 => Ok(found.pop()),
        _ => Err(AvroError::new(format!(
            "Reader record field {} matches multiple fields in writer record schema",
            reads.name
        ))),
    }
}

fn has_enum_default(nodes: &Nodes, id: NodeId) -> bool {
    nodes.named(id).is_some_and(|named| matches!(named.body, Body::Enum { default: Some(_), .. }))
}
