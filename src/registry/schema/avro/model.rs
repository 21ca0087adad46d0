//! A parsed Avro schema: nodes that refer to each other by their numbers, because schemas can be recursive.

use crate::json::{Json, Object};

/// The number of a node in its [`Nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub(super) usize);

/// The nodes of a schema and of the schemas that it refers to. A named type has one node; every other type has a node for
/// each of its occurrences.
#[derive(Clone, Debug, Default)]
pub struct Nodes(Vec<Node>);

impl Nodes {
    pub(super) fn add(&mut self, node: Node) -> NodeId {
        self.0.push(node);
        NodeId(self.0.len() - 1)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, id: NodeId) -> &Node {
        &self.0[id.0]
    }

    pub(super) fn get_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.0[id.0]
    }

    pub fn kind(&self, id: NodeId) -> &Kind {
        &self.get(id).kind
    }

    pub fn named(&self, id: NodeId) -> Option<&Named> {
        match self.kind(id) {
            Kind::Named(named) => Some(named),
            _ => None,
        }
    }

    /// Returns the fields of a record; none for other types.
    pub fn fields(&self, id: NodeId) -> &[Field] {
        match self.named(id) {
            Some(Named { body: Body::Record { fields, .. }, .. }) => fields,
            _ => &[],
        }
    }

    /// Returns the full name of a named type, or the name of the type (Java's `getFullName`).
    pub fn full_name(&self, id: NodeId) -> &str {
        match self.kind(id) {
            Kind::Named(named) => &named.name.full,
            kind => kind.type_name(),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Node {
    pub kind: Kind,
    /// Attributes that the specification does not reserve, in their order.
    pub properties: Object,
    /// A valid logical type; an invalid one is only a property.
    pub logical: Option<LogicalType>,
}

#[derive(Clone, Debug)]
pub enum Kind {
    Primitive(Primitive),
    Array(NodeId),
    Map(NodeId),
    Union(Vec<NodeId>),
    Named(Box<Named>),
    /// A name without a definition so far. None is left in a schema that was parsed.
    Unresolved(String),
}

impl Kind {
    pub fn type_name(&self) -> &'static str {
        match self {
            Kind::Primitive(primitive) => primitive.name(),
            Kind::Array(_) => "array",
            Kind::Map(_) => "map",
            Kind::Union(_) => "union",
            Kind::Named(named) => named.body.type_name(),
            // Avro represents it as a record.
            Kind::Unresolved(_) => "record",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Primitive {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
}

impl Primitive {
    pub fn from_name(name: &str) -> Option<Primitive> {
        Some(match name {
            "null" => Primitive::Null,
            "boolean" => Primitive::Boolean,
            "int" => Primitive::Int,
            "long" => Primitive::Long,
            "float" => Primitive::Float,
            "double" => Primitive::Double,
            "bytes" => Primitive::Bytes,
            "string" => Primitive::String,
            _ => return None,
        })
    }

    pub fn name(self) -> &'static str {
        match self {
            Primitive::Null => "null",
            Primitive::Boolean => "boolean",
            Primitive::Int => "int",
            Primitive::Long => "long",
            Primitive::Float => "float",
            Primitive::Double => "double",
            Primitive::Bytes => "bytes",
            Primitive::String => "string",
        }
    }
}

/// A record, an enum or a fixed.
#[derive(Clone, Debug)]
pub struct Named {
    pub name: Name,
    pub doc: Option<String>,
    pub aliases: Vec<Name>,
    pub body: Body,
}

#[derive(Clone, Debug)]
pub enum Body {
    Record { is_error: bool, fields: Vec<Field> },
    Enum { symbols: Vec<String>, default: Option<String> },
    Fixed { size: i32 },
}

impl Body {
    /// Returns the name of the type; that of an error is `record`, as in Java's `Schema.Type`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Body::Record { .. } => "record",
            Body::Enum { .. } => "enum",
            Body::Fixed { .. } => "fixed",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Field {
    pub name: String,
    pub schema: NodeId,
    pub doc: Option<String>,
    pub default: Option<Json>,
    pub order: Order,
    pub aliases: Vec<String>,
    pub properties: Object,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
    Ignore,
}

impl Order {
    pub fn name(self) -> &'static str {
        match self {
            Order::Ascending => "ascending",
            Order::Descending => "descending",
            Order::Ignore => "ignore",
        }
    }
}

/// The name of a named type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    pub simple: String,
    /// `None` outside any namespace.
    pub space: Option<String>,
    pub full: String,
}

impl Name {
    /// Builds a name from the attributes `name` and `namespace`. A name with a dot has its own namespace.
    pub fn new(name: &str, space: Option<&str>) -> Name {
        let (space, simple) = match name.rsplit_once('.') {
            Some((space, simple)) => (Some(space), simple),
            None => (space, name),
        };
        let space = space.filter(|space| !space.is_empty());
        let full = space.map_or_else(|| simple.to_owned(), |space| format!("{space}.{simple}"));
        Name { simple: simple.to_owned(), space: space.map(str::to_owned), full }
    }

    /// Returns the name as written inside a namespace: without its own one if that is the same and the name cannot be
    /// taken for a type.
    pub fn qualified(&self, enclosing: Option<&str>) -> &str {
        let same = self.space.is_some() && self.space.as_deref() == enclosing;
        if same && !is_type_name(&self.simple) { &self.simple } else { &self.full }
    }
}

fn is_type_name(name: &str) -> bool {
    Primitive::from_name(name).is_some() || ["record", "enum", "array", "map", "union", "fixed"].contains(&name)
}

/// A logical type that is valid for its schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogicalType {
    pub name: String,
    /// Precision and scale of a decimal.
    pub decimal: Option<(i32, i32)>,
}
