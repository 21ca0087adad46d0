//! Bounds that all formats of schemas share.

/// Maximum number of types in a schema with all schemas that it refers to.
pub const MAX_NODES: usize = 100_000;
/// Maximum number of schemas that one refers to, directly and through others.
pub const MAX_REFERENCES: usize = 500;
/// Maximum size of a schema's text with the texts of all schemas that it refers to.
pub const MAX_TOTAL_BYTES: usize = 32 << 20;
/// Maximum depth of types inside each other when two schemas are compared. Deeper ones count as incompatible.
pub const MAX_COMPARED_DEPTH: usize = 400;
/// Maximum number of pairs of types that one comparison looks at.
pub const MAX_COMPARED_PAIRS: usize = 500_000;
/// Maximum number of differences that one comparison reports.
pub const MAX_DIFFERENCES: usize = 1_000;
