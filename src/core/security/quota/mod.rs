//! Client quotas: the limits of users, client ids and IP addresses, and the arithmetic of throttling.
//!
//! Pure: time is passed in, in milliseconds of any clock that does not go back. Everything is computed as by Apache
//! Kafka (`ClientQuotaManager`, `QuotaUtils`, `TokenBucket`, `ConnectionQuotas`).

mod connections;
mod limits;
mod meters;
mod rate;
mod token_bucket;

#[cfg(test)]
mod tests;

pub use connections::{ConnectionRates, NO_CONNECTION_RATE};
pub use limits::{IpLimits, Limits, QuotaLimits};
pub use meters::{ByteMeters, ClientUse, MutationMeters, Permits};
pub use rate::Rate;
pub use token_bucket::TokenBucket;

/// The quotas of users and client ids, by what they limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum QuotaType {
    /// Bytes of Produce requests per second.
    Produce,
    /// Bytes of Fetch responses per second.
    Fetch,
    /// Time of request handlers, in percent of one thread.
    Request,
    /// Partitions created and deleted per second.
    ControllerMutation,
}

impl QuotaType {
    /// All types, in Kafka's order.
    pub const ALL: [QuotaType; 4] =
        [QuotaType::Fetch, QuotaType::Produce, QuotaType::Request, QuotaType::ControllerMutation];

    /// The name of the limit, such as `producer_byte_rate`.
    pub const fn key(self) -> &'static str {
        match self {
            QuotaType::Produce => "producer_byte_rate",
            QuotaType::Fetch => "consumer_byte_rate",
            QuotaType::Request => "request_percentage",
            QuotaType::ControllerMutation => "controller_mutation_rate",
        }
    }
}

/// The name of the limit of an IP address: connections per second.
pub const CONNECTION_CREATION_RATE: &str = "connection_creation_rate";

/// The types of entities that quotas are set for.
pub const USER: &str = "user";
pub const CLIENT_ID: &str = "client-id";
pub const IP: &str = "ip";

/// The time over which a rate is measured: a number of samples, each of the same length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Windows {
    /// `quota.window.num`; at least 1.
    pub samples: usize,
    /// `quota.window.size.seconds`, in milliseconds.
    pub window_ms: i64,
}

impl Windows {
    /// The length of all samples, in milliseconds.
    fn total_ms(self) -> i64 {
        self.window_ms.saturating_mul(self.samples as i64)
    }
}

/// Rounds as Java's `Math.round`.
fn round(value: f64) -> i64 {
    (value + 0.5).floor() as i64
}
