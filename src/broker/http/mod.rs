//! HTTP: `listener` is a port with its bounds, TLS and access; `admin` and `registry` stand on one.

pub mod admin;
mod hosts;
pub mod listener;
#[cfg(feature = "registry")]
pub mod registry;
