//! A consumer's settings, with the names and defaults of Java's `ConsumerConfig`.

use std::str::FromStr;
use std::time::Duration;

use super::assignors::Assignor;
use ottla_wire::java;

/// The settings of a consumer.
#[derive(Clone, Debug)]
pub struct ConsumerConfig {
    /// The group to join, if any (`group.id`).
    pub group: Option<GroupConfig>,
    /// The auto-commit interval (`auto.commit.interval.ms`); `None` if `enable.auto.commit` is off.
    pub auto_commit: Option<Duration>,
    /// The start position without a committed offset (`auto.offset.reset`).
    pub reset: OffsetReset,
    /// Whether records of open and aborted transactions are read (`isolation.level`).
    pub isolation: IsolationLevel,
    /// Limit of records that one poll returns (`max.poll.records`).
    pub max_poll_records: usize,
    /// Whether batch checksums are verified (`check.crcs`).
    pub check_crcs: bool,
    pub fetch: FetchConfig,
    /// How often the metadata is refreshed (`metadata.max.age.ms`).
    pub metadata_max_age: Duration,
    /// The wait before the first retry (`retry.backoff.ms`).
    pub retry_backoff: Duration,
    /// How long a response may take (`request.timeout.ms`).
    pub request_timeout: Duration,
    /// Whether metadata requests may create missing topics (`allow.auto.create.topics`).
    pub auto_create_topics: bool,
    /// Whether patterns ignore Kafka's internal topics (`exclude.internal.topics`).
    pub exclude_internal_topics: bool,
}

/// The settings of group membership.
#[derive(Clone, Debug)]
pub struct GroupConfig {
    pub id: String,
    /// The id of a static member (`group.instance.id`).
    pub instance_id: Option<String>,
    /// The coordinator removes a member after this time without a heartbeat (`session.timeout.ms`).
    pub session_timeout: Duration,
    pub heartbeat_interval: Duration,
    /// The member leaves after this time without a poll; also the rebalance timeout (`max.poll.interval.ms`).
    pub max_poll_interval: Duration,
    /// Assignors in order of preference (`partition.assignment.strategy`).
    pub assignors: Vec<Assignor>,
}

/// The limits of a fetch.
#[derive(Clone, Copy, Debug)]
pub struct FetchConfig {
    pub min_bytes: i32,
    pub max_bytes: i32,
    pub partition_max_bytes: i32,
    pub max_wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OffsetReset {
    Earliest,
    Latest,
    /// Return an error.
    None,
    /// The first record that is not older than this (KIP-1106).
    ByDuration(Duration),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IsolationLevel {
    ReadUncommitted,
    ReadCommitted,
}

impl IsolationLevel {
    /// The number in requests.
    pub fn id(self) -> i8 {
        match self {
            IsolationLevel::ReadUncommitted => 0,
            IsolationLevel::ReadCommitted => 1,
        }
    }
}

impl ConsumerConfig {
    /// Reads settings with `look_up`; a missing setting has its default. `group.protocol` is not read: this consumer
    /// always uses the classic protocol, which every broker serves. The error is one line, with Java's text.
    pub fn read<'a>(look_up: impl Fn(&str) -> Option<&'a str>) -> Result<ConsumerConfig, String> {
        let settings = Settings(look_up);
        let group = settings.get("group.id").map(|id| settings.group(id)).transpose()?;
        let auto_commit = settings.boolean("enable.auto.commit", true)? && group.is_some();
        let interval = settings.milliseconds("auto.commit.interval.ms", 5_000)?;
        let max_wait = settings.milliseconds("fetch.max.wait.ms", 500)?;
        Ok(ConsumerConfig {
            auto_commit: auto_commit.then_some(interval),
            group,
            reset: settings.offset_reset()?,
            isolation: settings.isolation_level()?,
            max_poll_records: usize::try_from(settings.at_least("max.poll.records", 500, 1)?).unwrap_or(1),
            check_crcs: settings.boolean("check.crcs", true)?,
            fetch: FetchConfig {
                min_bytes: settings.at_least("fetch.min.bytes", 1, 0)?,
                max_bytes: settings.at_least("fetch.max.bytes", 50 << 20, 0)?,
                partition_max_bytes: settings.at_least("max.partition.fetch.bytes", 1 << 20, 0)?,
                max_wait,
            },
            metadata_max_age: settings.milliseconds("metadata.max.age.ms", 300_000)?,
            retry_backoff: settings.milliseconds("retry.backoff.ms", 100)?,
            request_timeout: settings.milliseconds("request.timeout.ms", 30_000)?.max(max_wait * 2),
            auto_create_topics: settings.boolean("allow.auto.create.topics", true)?,
            exclude_internal_topics: settings.boolean("exclude.internal.topics", true)?,
        })
    }
}

struct Settings<F>(F);

impl<'a, F: Fn(&str) -> Option<&'a str>> Settings<F> {
    fn get(&self, name: &str) -> Option<&'a str> {
        (self.0)(name)
    }

    fn group(&self, id: &str) -> Result<GroupConfig, String> {
        let group = GroupConfig {
            id: id.to_owned(),
            instance_id: self.get("group.instance.id").map(str::to_owned),
            session_timeout: self.milliseconds("session.timeout.ms", 45_000)?,
            heartbeat_interval: self.milliseconds("heartbeat.interval.ms", 3_000)?,
            max_poll_interval: self.milliseconds("max.poll.interval.ms", 300_000)?,
            assignors: self.assignors()?,
        };
        if group.heartbeat_interval >= group.session_timeout {
            return Err("Heartbeat must be set lower than the session timeout".to_owned());
        }
        Ok(group)
    }

    fn assignors(&self) -> Result<Vec<Assignor>, String> {
        let listed = self.get("partition.assignment.strategy").unwrap_or_default();
        let listed: Vec<&str> = listed.split(',').map(str::trim).filter(|name| !name.is_empty()).collect();
        if listed.is_empty() {
            return Ok(vec![Assignor::Range, Assignor::CooperativeSticky]);
        }
        let known = |name: &&str| {
            Assignor::from_class(name).ok_or_else(|| format!("{name} ClassNotFoundException exception occurred"))
        };
        listed.iter().map(known).collect()
    }

    fn offset_reset(&self) -> Result<OffsetReset, String> {
        let name = "auto.offset.reset";
        let text = self.get(name).unwrap_or("latest");
        let lower = text.to_ascii_lowercase();
        let duration = || {
            let ms = java::parse_duration_ms(lower.strip_prefix("by_duration:")?)?;
            u64::try_from(ms).ok().map(Duration::from_millis)
        };
        match lower.as_str() {
            "earliest" => Ok(OffsetReset::Earliest),
            "latest" => Ok(OffsetReset::Latest),
            "none" => Ok(OffsetReset::None),
            _ => duration().map(OffsetReset::ByDuration).ok_or_else(|| {
                let rule = "The value must be either 'earliest', 'latest', 'none' or of the format \
                            'by_duration:<PnDTnHnMn.nS.>'.";
                invalid(name, text, &format!("Invalid value `{text}` for configuration {name}. {rule}"))
            }),
        }
    }

    fn isolation_level(&self) -> Result<IsolationLevel, String> {
        match self.get("isolation.level") {
            None | Some("read_uncommitted") => Ok(IsolationLevel::ReadUncommitted),
            Some("read_committed") => Ok(IsolationLevel::ReadCommitted),
            Some(other) => {
                let rule = "String must be one of: read_committed, read_uncommitted";
                Err(invalid("isolation.level", other, rule))
            }
        }
    }

    fn boolean(&self, name: &str, default: bool) -> Result<bool, String> {
        match self.get(name) {
            None => Ok(default),
            Some(text) if text.eq_ignore_ascii_case("true") => Ok(true),
            Some(text) if text.eq_ignore_ascii_case("false") => Ok(false),
            Some(text) => Err(invalid(name, text, "Expected value to be either true or false")),
        }
    }

    fn number<T: FromStr>(&self, name: &str, default: T, kind: &str) -> Result<T, String> {
        self.get(name).map_or(Ok(default), |text| {
            text.parse().map_err(|_| invalid(name, text, &format!("Not a number of type {kind}")))
        })
    }

    fn at_least(&self, name: &str, default: i32, least: i32) -> Result<i32, String> {
        match self.number(name, default, "INT")? {
            number if number >= least => Ok(number),
            number => Err(invalid(name, &number.to_string(), &format!("Value must be at least {least}"))),
        }
    }

    fn milliseconds(&self, name: &str, default: i32) -> Result<Duration, String> {
        let number = self.number(name, i64::from(default), "LONG")?;
        match u64::try_from(number) {
            Ok(number) => Ok(Duration::from_millis(number)),
            Err(_) => Err(invalid(name, &number.to_string(), "Value must be at least 0")),
        }
    }
}

fn invalid(name: &str, value: &str, why: &str) -> String {
    format!("Invalid value {value} for configuration {name}: {why}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(settings: &[(&'static str, &'static str)]) -> Result<ConsumerConfig, String> {
        ConsumerConfig::read(|name| settings.iter().find(|(known, _)| *known == name).map(|(_, value)| *value))
    }

    #[test]
    fn missing_settings_have_javas_defaults() {
        let config = read(&[]).unwrap();
        assert!(config.group.is_none() && config.auto_commit.is_none() && config.check_crcs);
        assert_eq!((config.reset, config.max_poll_records), (OffsetReset::Latest, 500));
        let config = read(&[("group.id", "g"), ("unknown.setting", "x"), ("group.protocol", "consumer")]).unwrap();
        let group = config.group.unwrap();
        assert_eq!(config.auto_commit, Some(Duration::from_secs(5)));
        assert_eq!(group.assignors, [Assignor::Range, Assignor::CooperativeSticky]);
        assert_eq!(group.session_timeout, Duration::from_secs(45));
    }

    #[test]
    fn valid_values_are_accepted_and_others_rejected_with_javas_text() {
        let check = |name, value, expect: &str| {
            let config = read(&[("group.id", "g"), (name, value)]);
            assert_eq!(config.err().as_deref().unwrap_or("valid"), expect, "{name}={value}");
        };
        check("auto.offset.reset", "earliest", "valid");
        check("auto.offset.reset", "by_duration:PT1H", "valid");
        check("isolation.level", "read_committed", "valid");
        check("enable.auto.commit", "FALSE", "valid");
        check("partition.assignment.strategy", "org.apache.kafka.clients.consumer.RoundRobinAssignor", "valid");
        check("partition.assignment.strategy", "a.B", "a.B ClassNotFoundException exception occurred");
        let wrong = "Invalid value 0 for configuration max.poll.records: Value must be at least 1";
        check("max.poll.records", "0", wrong);
        let wrong = "Invalid value x for configuration max.poll.records: Not a number of type INT";
        check("max.poll.records", "x", wrong);
        let wrong = "Invalid value yes for configuration check.crcs: Expected value to be either true or false";
        check("check.crcs", "yes", wrong);
        check("session.timeout.ms", "1000", "Heartbeat must be set lower than the session timeout");
        let wrong = "Invalid value by_duration:1h for configuration auto.offset.reset: Invalid value `by_duration:1h` \
                     for configuration auto.offset.reset. The value must be either 'earliest', 'latest', 'none' or of \
                     the format 'by_duration:<PnDTnHnMn.nS.>'.";
        check("auto.offset.reset", "by_duration:1h", wrong);
    }
}
