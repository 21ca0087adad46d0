//! HTTP: `listener` is a port with its bounds, TLS and access; `admin`, `registry` and `rest_proxy` stand on one. `scram_users`
//! are the broker's users for all of them.

pub mod admin;
mod hosts;
pub mod listener;
#[cfg(feature = "registry")]
pub mod registry;
pub mod rest_proxy;
pub mod scram_users;
