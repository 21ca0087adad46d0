//! HTTP: `listener` is a port with its bounds, TLS and access; `admin` and `registry` stand on one, and `metrics` on the
//! admin port or on its own.

pub mod admin;
mod hosts;
pub mod listener;
pub mod metrics;
#[cfg(feature = "registry")]
pub mod registry;
