//! The parts of a loaded schema.

use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::hash::Hash;
use crate::json::{Json, Number};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct NodeId(pub usize);

#[derive(Debug)]
pub(super) struct Model {
    pub nodes: Vec<Node>,
    pub root: NodeId,
}

impl Model {
    pub fn get(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }
}

#[derive(Debug, Default)]
pub(super) struct Node {
    pub kind: Kind,
    pub id: Option<String>,
    pub title: Option<String>,
    pub description: Option<String>,
    pub default: Option<Json>,
    /// `connect.type`, by which Kafka Connect marks bytes.
    pub connect_type: Option<String>,
}

#[derive(Debug, Default)]
pub(super) enum Kind {
    /// A schema without keywords.
    #[default]
    Empty,
    True,
    False,
    Boolean,
    Null,
    String(StringRules),
    Number(NumberRules),
    Object(Box<ObjectRules>),
    Array(Box<ArrayRules>),
    Combined {
        criterion: Criterion,
        parts: Vec<Part>,
    },
    Not(NodeId),
    Const(Json),
    Enum(Vec<Json>),
    Conditional,
    Reference(NodeId),
}

impl Kind {
    /// Whether everything is valid.
    pub fn is_empty(&self) -> bool {
        matches!(self, Kind::Empty | Kind::True)
    }

    pub fn is_false(&self) -> bool {
        matches!(self, Kind::False)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Criterion {
    All,
    Any,
    One,
}

/// A part of a combination. Parts with the same hash count once.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub id: NodeId,
    pub hash: Hash,
}

#[derive(Debug, Default)]
pub(super) struct StringRules {
    pub min_length: Option<i32>,
    pub max_length: Option<i32>,
    pub pattern: Option<String>,
}

#[derive(Debug, Default)]
pub(super) struct NumberRules {
    pub minimum: Option<Number>,
    pub maximum: Option<Number>,
    pub exclusive_minimum: Option<Number>,
    pub exclusive_maximum: Option<Number>,
    pub multiple_of: Option<Number>,
    pub is_integer: bool,
}

#[derive(Debug)]
pub(super) struct ObjectRules {
    pub properties: IndexMap<String, NodeId>,
    pub required: BTreeSet<String>,
    pub min_properties: Option<i32>,
    pub max_properties: Option<i32>,
    pub permits_additional: bool,
    pub additional: Option<NodeId>,
    pub patterns: Vec<(String, NodeId)>,
    pub property_dependencies: IndexMap<String, BTreeSet<String>>,
    pub schema_dependencies: IndexMap<String, NodeId>,
    pub unevaluated: Option<NodeId>,
}

#[derive(Debug)]
pub(super) struct ArrayRules {
    pub min_items: Option<i32>,
    pub max_items: Option<i32>,
    pub min_contains: Option<i32>,
    pub max_contains: Option<i32>,
    pub unique_items: bool,
    pub all_items: Option<NodeId>,
    pub items: Vec<NodeId>,
    pub permits_additional: bool,
    pub additional: Option<NodeId>,
    pub unevaluated: Option<NodeId>,
}
