//! The schema registry.

pub mod json;
pub mod schema;
pub mod utf16;
