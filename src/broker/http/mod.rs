//! HTTP: `listener` is a port with its bounds, TLS and token; `admin` stands on one.

pub mod admin;
pub mod listener;
