//! One subscription: which clients push which metrics, and how often.

use std::collections::BTreeMap;

use regex::Regex;

use crate::metadata::Settings;
use ottla_config::setting::list;
use ottla_wire::types::Uuid;

/// Milliseconds between two pushes where no subscription says less.
pub const DEFAULT_INTERVAL_MS: i32 = 300_000;

/// A client instance, as subscriptions match it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    pub instance_id: Uuid,
    pub client_id: Option<String>,
    pub software_name: Option<String>,
    pub software_version: Option<String>,
    /// An IP address.
    pub source_address: String,
    pub source_port: u16,
}

impl Client {
    fn property(&self, name: &str) -> Option<String> {
        match name {
            "client_instance_id" => Some(self.instance_id.to_string()),
            "client_id" => self.client_id.clone(),
            "client_software_name" => self.software_name.clone(),
            "client_software_version" => self.software_version.clone(),
            "client_source_address" => Some(self.source_address.clone()),
            "client_source_port" => Some(self.source_port.to_string()),
            _ => None,
        }
    }
}

/// A subscription.
#[derive(Clone, Debug)]
pub struct Subscription {
    /// Prefixes of metrics' names; `*` means all.
    pub metrics: Vec<String>,
    pub interval_ms: i32,
    /// What each property has to match; `None` is a pattern that cannot be used, which matches nothing.
    patterns: BTreeMap<String, Option<Regex>>,
}

impl Subscription {
    /// Reads the settings, which were checked when they were altered.
    pub fn read(name: &str, settings: &Settings) -> Subscription {
        let text = |setting: &str| settings.get(setting).map(String::as_str).unwrap_or_default();
        let patterns = list(text("match")).filter_map(|entry| {
            let (property, pattern) = entry.split_once('=')?;
            let pattern = pattern.trim_end_matches('=').trim();
            // Java's `matches`: the whole text.
            let compiled = Regex::new(&format!("^(?:{pattern})$"));
            if let Err(error) = &compiled {
                tracing::warn!(
                    subscription = name, pattern, %error,
                    "a pattern of a client metrics subscription is not supported, and matches no client"
                );
            }
            Some((property.trim().to_owned(), compiled.ok()))
        });
        Subscription {
            metrics: list(text("metrics")).map(str::to_owned).collect(),
            interval_ms: text("interval.ms").trim().parse().unwrap_or(DEFAULT_INTERVAL_MS),
            patterns: patterns.collect(),
        }
    }

    /// Whether the subscription is for a client. Without patterns it is for all.
    pub fn matches(&self, client: &Client) -> bool {
        self.patterns.iter().all(|(property, pattern)| match (pattern, client.property(property)) {
            (Some(pattern), Some(value)) => pattern.is_match(&value),
            _ => false,
        })
    }
}
