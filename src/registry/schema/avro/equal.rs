//! Equality of schemas, as Java's `Schema.equals` and Confluent's `AvroSchema.equivalent` define it.

use std::collections::HashSet;

use super::model::{Body, Field, Kind, Named, NodeId, Nodes};
use crate::schema::nesting::MAX_COMPARED_DEPTH;

/// Whether two types have the same meaning: documentation and aliases do not count, properties do.
pub(super) fn types_equal(nodes: &Nodes, id: NodeId, other_nodes: &Nodes, other: NodeId) -> bool {
    Comparison { nodes, other_nodes, with_documentation: false, seen: HashSet::new() }.equal(id, other, 0)
}

/// Whether two schemas are the same but for the places where types are defined: documentation and aliases count.
pub(super) fn equivalent(nodes: &Nodes, id: NodeId, other_nodes: &Nodes, other: NodeId) -> bool {
    Comparison { nodes, other_nodes, with_documentation: true, seen: HashSet::new() }.equal(id, other, 0)
}

struct Comparison<'a> {
    nodes: &'a Nodes,
    other_nodes: &'a Nodes,
    with_documentation: bool,
    /// Pairs of records that are compared or were. They count as equal, so that recursion ends.
    seen: HashSet<(NodeId, NodeId)>,
}

impl Comparison<'_> {
    fn equal(&mut self, id: NodeId, other: NodeId, depth: usize) -> bool {
        let (nodes, other_nodes) = (self.nodes, self.other_nodes);
        let (node, other_node) = (nodes.get(id), other_nodes.get(other));
        // Chains of records that are deeper than any schema in use are not followed.
        if depth > MAX_COMPARED_DEPTH || !same_properties(&node.properties, &other_node.properties) {
            return false;
        }
        match (&node.kind, &other_node.kind) {
            (Kind::Primitive(a), Kind::Primitive(b)) => a == b,
            (Kind::Array(a), Kind::Array(b)) | (Kind::Map(a), Kind::Map(b)) => self.equal(*a, *b, depth + 1),
            (Kind::Union(a), Kind::Union(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.equal(*a, *b, depth + 1))
            }
            (Kind::Named(a), Kind::Named(b)) => self.named_equal(a, b, (id, other), depth),
            // Each occurrence of an unknown name is a type of its own.
            _ => false,
        }
    }

    fn named_equal(&mut self, a: &Named, b: &Named, pair: (NodeId, NodeId), depth: usize) -> bool {
        if a.name.full != b.name.full || (self.with_documentation && !same_documentation(a, b)) {
            return false;
        }
        match (&a.body, &b.body) {
            (Body::Fixed { size: a }, Body::Fixed { size: b }) => a == b,
            (Body::Enum { symbols: a, default: x }, Body::Enum { symbols: b, default: y }) => {
                a == b && (!self.with_documentation || x == y)
            }
            (Body::Record { fields: a, .. }, Body::Record { fields: b, .. }) => {
                if !self.seen.insert(pair) {
                    return true;
                }
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| self.field_equal(a, b, depth))
            }
            _ => false,
        }
    }

    fn field_equal(&mut self, a: &Field, b: &Field, depth: usize) -> bool {
        a.name == b.name
            && a.default == b.default
            && a.order == b.order
            && same_properties(&a.properties, &b.properties)
            && (!self.with_documentation || (a.doc == b.doc && same_names(&a.aliases, &b.aliases)))
            && self.equal(a.schema, b.schema, depth + 1)
    }
}

/// The order of properties does not count.
fn same_properties(a: &crate::json::Object, b: &crate::json::Object) -> bool {
    a == b
}

fn same_documentation(a: &Named, b: &Named) -> bool {
    let full = |named: &Named| named.aliases.iter().map(|alias| alias.full.clone()).collect::<Vec<_>>();
    a.doc == b.doc && same_names(&full(a), &full(b))
}

/// The order of aliases does not count.
fn same_names(a: &[String], b: &[String]) -> bool {
    a.len() == b.len() && a.iter().collect::<HashSet<_>>() == b.iter().collect::<HashSet<_>>()
}
