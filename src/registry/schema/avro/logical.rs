//! Logical types: which are valid for which schema. An invalid one is ignored; its attributes stay.

use super::model::{Body, Kind, LogicalType, Node, NodeId, Nodes, Primitive};
use crate::json::Json;

/// The attribute with the name of the logical type.
pub(super) const LOGICAL_TYPE: &str = "logicalType";

/// Returns the logical type of a node whose children are known.
pub(super) fn logical_type(nodes: &Nodes, node: &Node) -> Option<LogicalType> {
    let name = node.properties.get(LOGICAL_TYPE)?.as_str()?;
    let fixed_size = match &node.kind {
        Kind::Named(named) => match named.body {
            Body::Fixed { size } => Some(size),
            _ => None,
        },
        _ => None,
    };
    let is = |primitive| matches!(node.kind, Kind::Primitive(found) if found == primitive);
    let mut decimal = None;
    let valid = match name {
        "decimal" => {
            decimal = decimal_of(node, fixed_size);
            decimal.is_some()
        }
        "big-decimal" => is(Primitive::Bytes),
        "duration" => fixed_size == Some(12),
        "uuid" => is(Primitive::String) || fixed_size == Some(16),
        "date" | "time-millis" => is(Primitive::Int),
        "time-micros"
        | "timestamp-millis"
        | "timestamp-micros"
        | "timestamp-nanos"
        | "local-timestamp-millis"
        | "local-timestamp-micros"
        | "local-timestamp-nanos" => is(Primitive::Long),
        // Two types that Confluent's serializers register.
        "map" => matches!(node.kind, Kind::Array(items) if is_key_value(nodes, items)),
        "variant" => is_variant(nodes, node),
        _ => false,
    };
    valid.then(|| LogicalType { name: name.to_owned(), decimal })
}

fn decimal_of(node: &Node, fixed_size: Option<i32>) -> Option<(i32, i32)> {
    let integer = |name| node.properties.get(name).map(Json::as_int);
    let precision = integer("precision")??;
    let scale = integer("scale").unwrap_or(Some(0))?;
    let most = match fixed_size {
        // The digits that always fit the bytes of a signed number.
        Some(size) => (std::f64::consts::LOG10_2 * (8.0 * f64::from(size) - 1.0)).floor(),
        None if matches!(node.kind, Kind::Primitive(Primitive::Bytes)) => f64::from(i32::MAX),
        None => return None,
    };
    let valid = precision > 0 && f64::from(precision) <= most && (0..=precision).contains(&scale);
    valid.then_some((precision, scale))
}

fn is_key_value(nodes: &Nodes, id: NodeId) -> bool {
    matches!(nodes.fields(id), [key, value] if key.name == "key" && value.name == "value")
}

fn is_variant(nodes: &Nodes, node: &Node) -> bool {
    let Kind::Named(named) = &node.kind else { return false };
    let Body::Record { fields, .. } = &named.body else { return false };
    let is_bytes = |name: &str| {
        let field = fields.iter().find(|field| field.name == name);
        field.is_some_and(|field| matches!(nodes.kind(field.schema), Kind::Primitive(Primitive::Bytes)))
    };
    fields.len() == 2 && is_bytes("metadata") && is_bytes("value")
}
