//! The broker: owns state, time and tasks, and serves Kafka's APIs, an admin port and a schema registry.
//!
//! | module | what it does |
//! |---|---|
//! | [`service`] | starts and stops a broker with its listeners |
//! | [`server`] | Kafka's listeners and connections: the only code that touches sockets of clients |
//! | [`http`] | the admin port and the schema registry's port |
//! | [`handlers`] | requests to commands, outcomes to responses; one file per family of APIs |
//! | [`state`] | [`Broker`](state::Broker): partitions, groups, metadata, and the tasks that keep them |
//! | [`secure`] | certificates, client configurations and the OIDC issuer of `ottla.secure` |
//! | [`tls`] | TLS of listeners, and its changes while the broker runs |
//! | [`trace`] | the live trace: what clients sent and what was answered |
//! | [`metrics`] | all metrics that are declared, for the reference |
//! | [`otlp`] | sends spans, and metrics that clients push, to a collector of OpenTelemetry |
//! | [`log_rate_limiter`] | how many log lines a peer can cause |

mod blocking;
pub mod clock;
pub mod environment;
pub mod handlers;
pub mod http;
pub mod log_rate_limiter;
pub mod metrics;
pub mod otlp;
pub mod secure;
pub mod server;
pub mod service;
mod stage;
pub mod state;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod trace;
