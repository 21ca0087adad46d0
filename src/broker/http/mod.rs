//! HTTP: `listener` is a port with its bounds, TLS and token; `admin` stands on one, and `metrics` on that or on its own.

pub mod admin;
pub mod listener;
pub mod metrics;
