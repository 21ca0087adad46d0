//! The schema registry.

pub mod api;
pub mod compatibility;
pub mod contract;
pub mod entity;
pub mod error;
mod fields;
pub mod json;
pub mod schema;
pub mod store;
pub mod subject;
pub mod utf16;
