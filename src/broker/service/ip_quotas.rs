//! The quotas of IP addresses whose entities have host names.
//!
//! As in Kafka, a name stands for one address, and is resolved at the start and each time its own quota changes. Changes of
//! other quotas, and later changes of the name's address, have no effect on it.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;

use tokio::sync::watch;

use crate::blocking;
use crate::server::{self, LimitsHandle};
use ottla_core::security::quota::IpLimits;

/// Applies the client quotas on connections of IP addresses, now and each time they change.
pub(super) async fn follow(mut limits: watch::Receiver<IpLimits>, limits_handle: LimitsHandle) {
    let mut names = Names::default();
    loop {
        let IpLimits { named, default } = limits.borrow_and_update().clone();
        // May block: entities can have host names.
        let Ok(updated) = blocking::run(move || names.updated(named, server::resolve)).await else { return };
        names = updated;
        limits_handle.set_ip_rates(names.rates(), default);
        if limits.changed().await.is_err() {
            return;
        }
    }
}

/// The entities with their quotas and addresses.
#[derive(Default)]
struct Names(HashMap<String, (f64, Option<IpAddr>)>);

impl Names {
    /// Resolves the names whose quotas are new or changed. Those that cannot be resolved are skipped.
    fn updated(mut self, named: Vec<(String, f64)>, resolve: impl Fn(&str) -> io::Result<Vec<IpAddr>>) -> Names {
        let mut address = |name: &str, rate: f64| match self.0.remove(name) {
            Some((before, address)) if before == rate => address,
            _ => resolve(name).map(first).unwrap_or_else(|error| {
                tracing::warn!(%name, %error, "cannot resolve the IP entity of a client quota, skipped it");
                None
            }),
        };
        let named = named.into_iter().map(|(name, rate)| {
            let address = address(&name, rate);
            (name, (rate, address))
        });
        Names(named.collect())
    }

    fn rates(&self) -> HashMap<IpAddr, f64> {
        self.0.values().filter_map(|(rate, address)| Some((address.as_ref()?.to_canonical(), *rate))).collect()
    }
}

/// The address that Java chooses: the first IPv4 address, if there is one.
fn first(addresses: Vec<IpAddr>) -> Option<IpAddr> {
    addresses.iter().find(|address| address.is_ipv4()).or(addresses.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(names: &[(&str, f64)]) -> Vec<(String, f64)> {
        names.iter().map(|(name, rate)| ((*name).to_owned(), *rate)).collect()
    }

    /// The rates by address, sorted, after an update while all names have these addresses.
    fn update(names: &mut Names, quotas: &[(&str, f64)], addresses: &[&str]) -> Vec<String> {
        let addresses: Vec<IpAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let resolve =
            |_: &str| if addresses.is_empty() { Err(io::Error::other("unknown")) } else { Ok(addresses.clone()) };
        *names = std::mem::take(names).updated(named(quotas), resolve);
        let mut rates: Vec<_> = names.rates().into_iter().map(|(address, rate)| format!("{address}={rate}")).collect();
        rates.sort();
        rates
    }

    #[test]
    fn name_is_resolved_when_its_own_quota_changes() {
        let mut names = Names::default();
        assert_eq!(update(&mut names, &[("a", 1.0)], &["10.0.0.1"]), ["10.0.0.1=1"]);
        assert_eq!(update(&mut names, &[("a", 1.0), ("b", 2.0)], &["10.0.0.2"]), ["10.0.0.1=1", "10.0.0.2=2"]);
        assert_eq!(update(&mut names, &[("a", 3.0), ("b", 2.0)], &["10.0.0.3"]), ["10.0.0.2=2", "10.0.0.3=3"]);
        assert_eq!(update(&mut names, &[("b", 2.0)], &[]), ["10.0.0.2=2"]);
        assert_eq!(update(&mut names, &[("b", 4.0)], &[]), [""; 0], "a name that cannot be resolved is skipped");
    }

    #[test]
    fn name_stands_for_one_address() {
        let update = |addresses| update(&mut Names::default(), &[("a", 1.0)], addresses);
        assert_eq!(update(&["::1", "127.0.0.1", "127.0.0.2"]), ["127.0.0.1=1"]);
        assert_eq!(update(&["::1", "::2"]), ["::1=1"]);
        assert_eq!(update(&["::ffff:10.0.0.1"]), ["10.0.0.1=1"]);
    }
}
