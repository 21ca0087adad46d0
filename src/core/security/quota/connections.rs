//! Rates of new connections (KIP-612): of the broker, of each listener and of each IP address.

use core::net::IpAddr;
use std::collections::HashMap;
use std::sync::Arc;

use super::meters::Sensors;
use super::{Rate, Windows};

/// The rate that means no limit.
pub const NO_CONNECTION_RATE: f64 = i32::MAX as f64;

/// The limits and the measured rates.
#[derive(Debug)]
pub struct ConnectionRates {
    windows: Windows,
    /// `max.connection.creation.rate`.
    limit: f64,
    broker: Rate,
    /// `listener.name.<name>.max.connection.creation.rate`.
    listener_limits: HashMap<Arc<str>, f64>,
    listeners: HashMap<Arc<str>, Rate>,
    ip_limits: HashMap<IpAddr, f64>,
    default_ip_limit: Option<f64>,
    ips: Sensors<Rate>,
}

impl ConnectionRates {
    pub fn new(windows: Windows) -> ConnectionRates {
        ConnectionRates {
            windows,
            limit: NO_CONNECTION_RATE,
            broker: Rate::default(),
            listener_limits: HashMap::new(),
            listeners: HashMap::new(),
            ip_limits: HashMap::new(),
            default_ip_limit: None,
            ips: Sensors::default(),
        }
    }

    /// Replaces the limits of the broker and of its listeners.
    pub fn set_limits(&mut self, limit: f64, listeners: HashMap<Arc<str>, f64>) {
        self.limit = limit;
        self.listeners.retain(|name, _| listeners.contains_key(name));
        self.listener_limits = listeners;
    }

    /// Replaces the limits of IP addresses.
    pub fn set_ip_limits(&mut self, by_ip: HashMap<IpAddr, f64>, default: Option<f64>) {
        self.ip_limits = by_ip;
        self.default_ip_limit = default;
    }

    /// Whether no connection is allowed on a listener.
    pub fn is_zero(&self, listener: &Arc<str>) -> bool {
        self.limit == 0.0 || self.listener_limits.get(listener) == Some(&0.0)
    }

    /// Counts a new connection. Returns for how many milliseconds its listener must wait before it goes on; at most one
    /// window.
    pub fn record(&mut self, listener: &Arc<str>, now_ms: i64) -> i64 {
        let Windows { window_ms, .. } = self.windows;
        self.broker.record(self.windows, 1.0, now_ms);
        let mut wait_ms = self.broker.throttle_ms(self.windows, self.limit, now_ms);
        if let Some(limit) = self.listener_limits.get(listener) {
            let rate = self.listeners.entry(Arc::clone(listener)).or_default();
            rate.record(self.windows, 1.0, now_ms);
            wait_ms = wait_ms.max(rate.throttle_ms(self.windows, *limit, now_ms));
        }
        wait_ms.min(window_ms)
    }

    /// Counts a new connection of an IP address.
    ///
    /// # Errors
    /// If the address has too many: for how many milliseconds it must be throttled; at most one window. The connection
    /// then counts neither for its address nor for the broker and the listener.
    pub fn record_ip(&mut self, listener: &Arc<str>, ip: IpAddr, now_ms: i64) -> Result<(), i64> {
        let limit = self.ip_limits.get(&ip).copied().or(self.default_ip_limit);
        let Some(limit) = limit.filter(|limit| *limit < NO_CONNECTION_RATE) else { return Ok(()) };
        let rate = self.ips.get(ip.to_string(), now_ms);
        rate.record(self.windows, 1.0, now_ms);
        let throttle_ms = rate.throttle_ms(self.windows, limit, now_ms);
        if throttle_ms <= 0 {
            return Ok(());
        }
        rate.record(self.windows, -1.0, now_ms);
        self.broker.record(self.windows, -1.0, now_ms);
        if let Some(rate) = self.listeners.get_mut(listener) {
            rate.record(self.windows, -1.0, now_ms);
        }
        Err(throttle_ms.min(self.windows.window_ms))
    }
}
