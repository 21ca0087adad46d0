//! Connections in memory, for tests of a whole broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::DuplexStream;

use super::connection::{Connection, Shared};
use super::dispatch::{ConnectionInfo, Dispatch};
use super::limits::Limits;
use super::memory::{BufferPool, RequestBudget};
use super::read_ahead::read_ahead_budget;
use crate::clock::Clock;
use crate::log_rate_limiter::LogRateLimiter;

/// The bytes that are buffered in each direction.
const BUFFER: usize = 1 << 16;

/// Serves connections in memory with the code that serves sockets.
pub struct InMemoryListener {
    shared: Arc<Shared>,
    next_id: AtomicU64,
}

impl InMemoryListener {
    pub fn new(dispatch: Arc<dyn Dispatch>, clock: Clock, log_rate_limiter: Arc<LogRateLimiter>) -> InMemoryListener {
        let limits = Limits { request_memory: 64 << 20, ..Limits::default() };
        let shared = Arc::new(Shared {
            dispatch,
            budget: Arc::new(RequestBudget::new(limits.request_memory)),
            read_ahead: read_ahead_budget(limits.request_memory),
            buffers: Arc::new(BufferPool::new(limits.request_memory)),
            max_frame: limits.max_request_bytes,
            max_sasl_frame: limits.max_sasl_bytes,
            listener_sasl_frames: limits.listener_sasl_bytes,
            idle: None,
            stall_timeout: limits.stall_timeout,
            clock,
            log_rate_limiter,
        });
        InMemoryListener { shared, next_id: AtomicU64::new(0) }
    }

    /// Opens a connection; returns the client's end.
    pub fn connect(&self) -> DuplexStream {
        let (client, broker) = tokio::io::duplex(BUFFER);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let address = ([127, 0, 0, 1], 9092).into();
        let info = Arc::new(ConnectionInfo::new(id, address, address, "PLAINTEXT".into()));
        let mut connection = Connection::new(broker, info, Arc::clone(&self.shared));
        tokio::spawn(async move { connection.serve().await });
        client
    }
}
