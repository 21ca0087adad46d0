//! Resolution of names after a text is read: a name may be used before its definition.

use super::AvroError;
use super::defaults;
use super::logical::LOGICAL_TYPE;
use super::model::{Body, Kind, NodeId, Nodes};
use super::names::Validation;
use super::parse::{Parser, check_union};

impl Parser {
    /// Replaces names by the types that they mean, in the nodes that were added from `first` on. Returns the root.
    pub fn resolve(&mut self, root: NodeId, first: usize) -> Result<NodeId, AvroError> {
        for at in first..self.nodes.len() {
            self.resolve_children(NodeId(at))?;
        }
        let mut root = self.target(root)?;
        // Of equal definitions, the first one counts.
        if let Some(known) = self.nodes.named(root).and_then(|named| self.names.get(&named.name.full)) {
            root = *known;
        }
        for at in first..self.nodes.len() {
            let id = NodeId(at);
            if let Kind::Union(branches) = self.nodes.kind(id) {
                check_union(&self.nodes, branches)?;
            }
            move_logical_type(&mut self.nodes, id);
        }
        if self.validation == Validation::New {
            self.check_defaults(first)?;
        }
        Ok(root)
    }

    fn resolve_children(&mut self, id: NodeId) -> Result<(), AvroError> {
        let mut kind = self.nodes.kind(id).clone();
        match &mut kind {
            Kind::Primitive(_) | Kind::Unresolved(_) => return Ok(()),
            Kind::Array(child) | Kind::Map(child) => *child = self.target(*child)?,
            Kind::Union(branches) => {
                for branch in branches {
                    *branch = self.target(*branch)?;
                }
            }
            Kind::Named(named) => match &mut named.body {
                Body::Record { fields, .. } => {
                    for field in fields {
                        field.schema = self.target(field.schema)?;
                    }
                }
                Body::Enum { .. } | Body::Fixed { .. } => return Ok(()),
            },
        }
        self.nodes.get_mut(id).kind = kind;
        Ok(())
    }

    fn target(&self, id: NodeId) -> Result<NodeId, AvroError> {
        match self.nodes.kind(id) {
            Kind::Unresolved(name) => {
                let found = self.names.get(name).copied();
                found.ok_or_else(|| AvroError::new(format!("Undefined schema: {name}")))
            }
            _ => Ok(id),
        }
    }

    /// Checks the defaults once more, now that every type is known. A record whose default needs the record itself is
    /// refused, as Avro does, because it would have no end.
    fn check_defaults(&mut self, first: usize) -> Result<(), AvroError> {
        for at in first..self.nodes.len() {
            for field in self.nodes.fields(NodeId(at)) {
                if let Some(default) = &field.default {
                    defaults::check(&self.nodes, &mut self.default_steps, &field.name, field.schema, default)?;
                }
            }
        }
        Ok(())
    }
}

/// Moves the attribute of a valid logical type before the other properties, where Avro's parser puts it when it copies
/// a type that contains others.
fn move_logical_type(nodes: &mut Nodes, id: NodeId) {
    let node = nodes.get_mut(id);
    let copied = match &node.kind {
        Kind::Array(_) | Kind::Map(_) => true,
        Kind::Named(named) => matches!(named.body, Body::Record { .. }),
        _ => false,
    };
    if copied
        && node.logical.is_some()
        && let Some(at) = node.properties.get_index_of(LOGICAL_TYPE)
    {
        node.properties.move_index(at, 0);
    }
}
