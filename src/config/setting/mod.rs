//! One setting: its name, type, default and rule, and the check of a value.

use std::fmt;

use ottla_wire::java;

use super::listener;
use super::start_topics::{self, StartTopic};
use super::text::address_count;
pub use super::text::{list, parse_bool};

/// One row of the table of settings.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    /// The default value; `None` is Kafka's null.
    pub default: Option<&'static str>,
    pub rule: Rule,
    pub update: Update,
    pub effect: Effect,
    /// Kafka's "internal": hidden from DescribeConfigs and the documentation unless given.
    pub internal: bool,
    pub doc: &'static str,
    /// Set if our default differs from Kafka's.
    pub departure: Option<Departure>,
}

/// Apache Kafka's default, and why ours differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Departure {
    pub kafka_default: &'static str,
    pub reason: &'static str,
}

/// The type of a setting's value, as in Kafka's `ConfigDef`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Short,
    Int,
    Long,
    Double,
    String,
    /// Comma-separated.
    List,
    /// The name of a Java class.
    Class,
    /// Never shown, neither in a response nor in a log line.
    Password,
}

/// How a setting may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Update {
    /// Only at start.
    ReadOnly,
    /// At runtime, for this broker.
    PerBroker,
    /// At runtime, for this broker or as a default for all brokers.
    ClusterWide,
}

/// Whether a setting has an effect here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    Implemented,
    /// Checked and stored, but without effect: it means nothing for a single broker, or the feature is missing.
    Ignored,
}

/// The constraint on a value, beyond its type.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Rule {
    Any,
    AtLeast(i64),
    Between(i64, i64),
    /// From the first to the second, or equal to the third.
    BetweenOr(i64, i64, i64),
    /// A fraction within these bounds.
    Ratio(f64, f64),
    NonEmpty,
    OneOf(&'static [&'static str]),
    OneOfAnyCase(&'static [&'static str]),
    /// Each entry of a list is one of these.
    EachOf(&'static [&'static str]),
    /// No entry of a list is empty.
    Entries,
    /// `*`, or `partition:broker` entries.
    ThrottledReplicas,
    /// `latest`, `earliest`, or `by_duration:` and an ISO 8601 duration that is not negative.
    OffsetReset,
    /// Each entry of a list is `NAME://host:port`.
    Endpoints,
    /// Each entry of a list is an address and a number of connections: see `text::address_count`.
    AddressCounts,
    /// Each entry of a list is a topic to create: see [`StartTopic`].
    StartTopics,
}

/// A value that its setting does not allow. The text is Apache Kafka's, which tools and tests look for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidValue {
    #[error("Invalid value {value} for configuration {name}: {reason}")]
    Value {
        name: String,
        /// As given; `[hidden]` for a password.
        value: String,
        reason: String,
    },
    /// A list with an empty entry.
    #[error("Configuration '{name}' values must not be empty.")]
    EmptyEntry { name: String },
}

impl InvalidValue {
    /// The name of the setting.
    pub fn name(&self) -> &str {
        match self {
            InvalidValue::Value { name, .. } | InvalidValue::EmptyEntry { name } => name,
        }
    }

    /// Whether the value should be a number and is not.
    pub fn is_not_a_number(&self) -> bool {
        matches!(self, InvalidValue::Value { reason, .. } if reason.starts_with(NOT_A_NUMBER))
    }
}

impl Setting {
    /// Whether a value must never be shown.
    pub fn is_sensitive(&self) -> bool {
        self.kind == Kind::Password
    }

    /// Whether Kafka has no default and requires a value.
    pub fn is_required_in_kafka(&self) -> bool {
        self.departure.is_some_and(|departure| departure.kafka_default == "(must be given)")
    }

    /// Whether the value may change at runtime.
    pub fn is_dynamic(&self) -> bool {
        self.update != Update::ReadOnly
    }

    /// Checks a value as Kafka's `ConfigDef` does: the type first, then the rule.
    pub fn check(&self, value: &str) -> Result<(), InvalidValue> {
        let value = value.trim();
        let name = || self.name.to_owned();
        if matches!(self.rule, Rule::EachOf(_) | Rule::Entries) && has_empty_entry(value) {
            return Err(InvalidValue::EmptyEntry { name: name() });
        }
        self.check_value(value).map_err(|(value, reason)| InvalidValue::Value {
            name: name(),
            value: if self.is_sensitive() { "[hidden]".to_owned() } else { value },
            reason,
        })
    }

    /// Formats a value that passes [`Setting::check`] as Kafka does: parsed and formatted again by its type.
    pub fn canonical(&self, value: &str) -> String {
        let value = value.trim();
        let read = match self.kind {
            Kind::Boolean => parse_bool(value).map(|value| value.to_string()),
            Kind::Short | Kind::Int | Kind::Long => value.parse::<i64>().ok().map(|value| value.to_string()),
            Kind::Double => value.parse::<f64>().ok().map(java::double),
            Kind::List if matches!(self.rule, Rule::EachOf(_)) => Some(distinct(value).join(",")),
            Kind::List | Kind::String | Kind::Class | Kind::Password => None,
        };
        read.unwrap_or_else(|| value.to_owned())
    }

    /// Checks `value`. The error has the part to show, and the reason.
    fn check_value(&self, value: &str) -> Result<(), (String, String)> {
        let shown = |reason: String| (self.canonical(value), reason);
        match self.kind {
            Kind::Boolean => {
                parse_bool(value).map(drop).ok_or_else(|| shown("Expected value to be either true or false".to_owned()))
            }
            Kind::Short => self.check_integer(value, i16::MIN.into(), i16::MAX.into()).map_err(shown),
            Kind::Int => self.check_integer(value, i32::MIN.into(), i32::MAX.into()).map_err(shown),
            Kind::Long => self.check_integer(value, i64::MIN, i64::MAX).map_err(shown),
            Kind::Double => {
                let number = value.parse::<f64>().map_err(|_| shown(not_a_number(self.kind)))?;
                self.rule.check_ratio(number).map_err(|reason| (java::double(number), reason))
            }
            Kind::List => self.rule.check_list(self.name, value),
            Kind::String | Kind::Class | Kind::Password => self.rule.check_text(self.name, value).map_err(shown),
        }
    }

    fn check_integer(&self, value: &str, min: i64, max: i64) -> Result<(), String> {
        match value.parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => self.rule.check_integer(number),
            _ => Err(not_a_number(self.kind)),
        }
    }
}

impl Rule {
    fn check_integer(&self, number: i64) -> Result<(), String> {
        let at_least = |min: i64| format!("Value must be at least {min}");
        match *self {
            Rule::AtLeast(min) if number < min => Err(at_least(min)),
            Rule::Between(min, _) if number < min => Err(at_least(min)),
            Rule::Between(_, max) if number > max => Err(format!("Value must be no more than {max}")),
            Rule::BetweenOr(min, max, or) if !(min..=max).contains(&number) && number != or => {
                Err(format!("Value must be between {min} and {max} or equal to {or}"))
            }
            _ => Ok(()),
        }
    }

    fn check_ratio(&self, number: f64) -> Result<(), String> {
        match *self {
            Rule::Ratio(min, _) if number < min => Err(format!("Value must be at least {min}")),
            Rule::Ratio(_, max) if number > max || number.is_nan() => Err(format!("Value must be no more than {max}")),
            _ => Ok(()),
        }
    }

    fn check_list(&self, name: &str, value: &str) -> Result<(), (String, String)> {
        match *self {
            Rule::EachOf(allowed) => match list(value).find(|entry| !allowed.contains(entry)) {
                Some(entry) => Err((entry.to_owned(), one_of(allowed))),
                None => Ok(()),
            },
            Rule::ThrottledReplicas if value != "*" && !list(value).all(is_throttled_replica) => {
                let format = "[partitionId]:[brokerId],[partitionId]:[brokerId],...";
                let reason =
                    format!("{name} must be the literal '*' or a list of replicas in the following format: {format}");
                Err((format!("[{}]", value.split(',').map(str::trim).collect::<Vec<_>>().join(", ")), reason))
            }
            Rule::StartTopics => check_start_topics(value),
            Rule::Endpoints => {
                let fault = list(value).find_map(|entry| listener::endpoint_error(entry).map(|fault| (entry, fault)));
                fault.map_or(Ok(()), |(entry, fault)| Err((entry.to_owned(), fault)))
            }
            _ => Ok(()),
        }
    }

    fn check_text(&self, name: &str, value: &str) -> Result<(), String> {
        match *self {
            Rule::NonEmpty if value.is_empty() => Err("String must be non-empty".to_owned()),
            Rule::OneOf(allowed) if !allowed.contains(&value) => Err(one_of(allowed)),
            Rule::OneOfAnyCase(allowed) if !allowed.iter().any(|a| a.eq_ignore_ascii_case(value)) => {
                Err(format!("String must be one of (case insensitive): {}", allowed.join(", ")))
            }
            Rule::AddressCounts if !list(value).all(|entry| address_count(entry).is_some()) => {
                Err("Each entry must be of the form address:count".to_owned())
            }
            Rule::OffsetReset if !is_offset_reset(value) => Err(format!(
                "Invalid value `{value}` for configuration {name}. The value must be either 'earliest', 'latest' \
                 or of the format 'by_duration:<PnDTnHnMn.nS>'."
            )),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Kind {
    /// Writes Kafka's name for the type: `INT`, `BOOLEAN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Boolean => "BOOLEAN",
            Kind::Short => "SHORT",
            Kind::Int => "INT",
            Kind::Long => "LONG",
            Kind::Double => "DOUBLE",
            Kind::String => "STRING",
            Kind::List => "LIST",
            Kind::Class => "CLASS",
            Kind::Password => "PASSWORD",
        })
    }
}

impl fmt::Display for Rule {
    /// Describes the allowed values; empty if any value is allowed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::Any | Rule::Entries => Ok(()),
            Rule::AtLeast(min) => write!(f, "{min} or more"),
            Rule::Between(min, max) => write!(f, "{min} to {max}"),
            Rule::BetweenOr(min, max, or) => write!(f, "{min} to {max}, or {or}"),
            Rule::Ratio(min, max) => write!(f, "{min} to {max}"),
            Rule::NonEmpty => f.write_str("not empty"),
            Rule::OneOf(allowed) | Rule::OneOfAnyCase(allowed) => f.write_str(&allowed.join(", ")),
            Rule::EachOf(allowed) => write!(f, "any of {}", allowed.join(", ")),
            Rule::ThrottledReplicas => f.write_str("* or partition:broker,..."),
            Rule::OffsetReset => f.write_str("latest, earliest, by_duration:<ISO 8601>"),
            Rule::Endpoints => f.write_str("NAME://host:port,..."),
            Rule::AddressCounts => f.write_str("address:count,..."),
            Rule::StartTopics => f.write_str(start_topics::FORM),
        }
    }
}

/// The entries of a list without duplicates.
fn distinct(value: &str) -> Vec<&str> {
    let mut entries = Vec::new();
    for entry in list(value) {
        if !entries.contains(&entry) {
            entries.push(entry);
        }
    }
    entries
}

fn has_empty_entry(value: &str) -> bool {
    !value.is_empty() && value.split(',').any(|entry| entry.trim().is_empty())
}

const NOT_A_NUMBER: &str = "Not a number of type";

fn not_a_number(kind: Kind) -> String {
    format!("{NOT_A_NUMBER} {kind}")
}

fn one_of(allowed: &[&str]) -> String {
    format!("String must be one of: {}", allowed.join(", "))
}

fn check_start_topics(value: &str) -> Result<(), (String, String)> {
    let mut names = Vec::new();
    for entry in list(value) {
        let Some(topic) = StartTopic::parse(entry) else {
            return Err((entry.to_owned(), format!("A topic must be of the form {}", start_topics::FORM)));
        };
        if names.contains(&topic.name) {
            return Err((entry.to_owned(), format!("The topic {} is listed twice", topic.name)));
        }
        names.push(topic.name);
    }
    Ok(())
}

fn is_throttled_replica(entry: &str) -> bool {
    entry.split_once(':').is_some_and(|(partition, broker)| {
        [partition, broker].iter().all(|number| !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn is_offset_reset(value: &str) -> bool {
    let value = value.to_ascii_lowercase();
    match value.strip_prefix("by_duration:") {
        Some(text) => java::parse_duration_ms(text).is_some_and(|duration| duration >= 0),
        None => value == "latest" || value == "earliest",
    }
}

#[cfg(test)]
mod tests;
