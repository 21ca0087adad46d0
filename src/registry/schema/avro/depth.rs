//! The depth of a schema's canonical text, which bounds the recursion of everything that walks the schema.

use std::collections::HashSet;

use super::AvroError;
use super::model::{Body, Kind, NodeId, Nodes};
use crate::json::MAX_DEPTH;

/// Refuses a schema whose text with all types, each defined where it is used first, is too deep.
///
/// A text that is not deep can be: its types can use each other in a long chain.
pub(super) fn check(nodes: &Nodes, root: NodeId) -> Result<(), AvroError> {
    let mut seen = HashSet::new();
    let mut stack = vec![(root, 0)];
    while let Some((id, depth)) = stack.pop() {
        if depth >= MAX_DEPTH {
            return Err(AvroError::new(format!("types are nested deeper than {MAX_DEPTH} levels of JSON")));
        }
        match nodes.kind(id) {
            Kind::Primitive(_) | Kind::Unresolved(_) => {}
            Kind::Array(child) | Kind::Map(child) => stack.push((*child, depth + 1)),
            Kind::Union(branches) => stack.extend(branches.iter().rev().map(|branch| (*branch, depth + 1))),
            Kind::Named(named) => {
                if let Body::Record { fields, .. } = &named.body
                    && seen.insert(&named.name.full)
                {
                    stack.extend(fields.iter().rev().map(|field| (field.schema, depth + 3)));
                }
            }
        }
    }
    Ok(())
}
