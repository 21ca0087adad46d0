//! HTTP: `listener` is a port with its bounds, TLS and access; `admin`, `registry` and `rest_proxy` stand on one, and `metrics`
//! on the admin port or on its own. `scram_users` are the broker's users for these ports.

pub mod admin;
mod hosts;
pub mod listener;
pub mod metrics;
#[cfg(feature = "registry")]
pub mod registry;
pub mod rest_proxy;
pub mod scram_users;
