//! The options of kafka-console-consumer.

use std::collections::BTreeSet;

use clap::Parser;
use regex::Regex;

use super::super::connect::Properties;
use super::super::consuming::properties;
use super::super::exceptions::Exception;
use super::super::options::{one_number, one_value};
use super::formatter::Formatter;
use ottla_broker::clock::wall_clock_nanos;
use ottla_client::consumer::Start;
use ottla_wire::types::{InOrder as _, TimestampMs, TopicPartition};

/// The timestamps of ListOffsets for the log end offset and the log start offset.
const LATEST: TimestampMs = -1;
const EARLIEST: TimestampMs = -2;

#[derive(Debug, Parser)]
#[command(about = "This tool helps to read data from Kafka topics and outputs it to standard output.")]
pub struct Options {
    /// REQUIRED: The servers to connect to.
    #[arg(long, value_name = "String: server to connect to")]
    bootstrap_server: Vec<String>,
    /// The topic to read.
    #[arg(long, value_name = "String: topic")]
    topic: Vec<String>,
    /// A regular expression for the topics to read.
    #[arg(long, value_name = "String: Java regex (String)")]
    include: Vec<String>,
    /// The partition to read; from its end, unless --offset is given.
    #[arg(long, value_name = "Integer: partition")]
    partition: Vec<String>,
    /// The offset to start at: a non-negative number, 'earliest' for the start, or 'latest' for the end.
    /// (default: latest)
    #[arg(long, value_name = "String: consume offset")]
    offset: Vec<String>,
    /// If the group has no committed offset, start at the earliest record instead of the end.
    #[arg(long)]
    from_beginning: bool,
    /// The consumer's group id.
    #[arg(long, value_name = "String: consumer group id")]
    group: Vec<String>,
    /// End after this number of messages. If not given, continue until stopped.
    #[arg(long, value_name = "Integer: num_messages")]
    max_messages: Vec<String>,
    /// End when no message arrives for this many milliseconds.
    #[arg(long, value_name = "Long: timeout_ms")]
    timeout_ms: Vec<String>,
    /// 'read_committed' prints no records of open or aborted transactions, 'read_uncommitted' prints all records.
    /// (default: read_uncommitted)
    #[arg(long, value_name = "String")]
    isolation_level: Vec<String>,
    /// Skip a message that can't be printed, instead of ending.
    #[arg(long)]
    skip_message_on_error: bool,
    /// A property of the consumer, key=value; can be given more than once.
    #[arg(long, value_name = "String: consumer_prop")]
    command_property: Vec<String>,
    /// (DEPRECATED) Use --command-property instead.
    #[arg(long, value_name = "String: consumer_prop")]
    consumer_property: Vec<String>,
    /// A file with properties of the consumer; --command-property takes precedence.
    #[arg(long, value_name = "String: config file")]
    command_config: Vec<String>,
    /// (DEPRECATED) Use --command-config instead.
    #[arg(long = "consumer.config", value_name = "String: config file")]
    consumer_config: Vec<String>,
    /// The class that formats messages: org.apache.kafka.tools.consumer. followed by DefaultMessageFormatter,
    /// LoggingMessageFormatter, NoOpMessageFormatter, or for Kafka's internal topics OffsetsMessageFormatter,
    /// GroupMetadataMessageFormatter, TransactionLogMessageFormatter.
    /// (default: org.apache.kafka.tools.consumer.DefaultMessageFormatter)
    #[arg(long, value_name = "String: class")]
    formatter: Vec<String>,
    /// A property of the formatter, key=value; can be given more than once. Properties of the default formatter:
    /// print.timestamp, print.key, print.offset, print.epoch, print.partition, print.headers, print.value=true|false,
    /// key.separator, line.separator, headers.separator, null.literal, and the classes key.deserializer,
    /// value.deserializer, headers.deserializer.
    #[arg(long, value_name = "String: prop")]
    formatter_property: Vec<String>,
    /// (DEPRECATED) Use --formatter-property instead.
    #[arg(long, value_name = "String: prop")]
    property: Vec<String>,
    /// A file with properties of the formatter; --formatter-property takes precedence.
    #[arg(long, value_name = "String: config file")]
    formatter_config: Vec<String>,
    /// The class that deserializes keys.
    #[arg(long, value_name = "String: deserializer for keys")]
    key_deserializer: Vec<String>,
    /// The class that deserializes values.
    #[arg(long, value_name = "String: deserializer for values")]
    value_deserializer: Vec<String>,
    /// Also print a line on stdout after shutting down, for system tests.
    #[arg(long)]
    enable_systest_events: bool,
}

/// What to consume and how to print it.
pub struct Plan {
    pub reading: Reading,
    pub formatter: Formatter,
    pub skip_errors: bool,
}

pub struct Reading {
    pub bootstrap_servers: String,
    pub properties: Properties,
    pub source: Source,
    /// As in Kafka's tool, an invalid number is reported only when the tool runs.
    pub max_messages: Result<Option<u64>, Exception>,
    pub timeout_ms: Option<i64>,
    pub system_test_events: bool,
}

pub enum Source {
    Topic(String),
    Include(Regex),
    Partition(TopicPartition, Start),
}

/// An error in the options.
pub enum UsageError {
    /// Printed before the help.
    WithHelp(String),
    /// Printed alone.
    WithoutHelp(String),
}

impl From<Exception> for UsageError {
    fn from(exception: Exception) -> UsageError {
        UsageError::WithoutHelp(format!("Exception in thread \"main\" {exception}"))
    }
}

fn usage<T>(message: impl Into<String>) -> Result<T, UsageError> {
    Err(UsageError::WithHelp(message.into()))
}

impl Options {
    /// The plan of the tool with this name.
    pub fn plan(&self, tool: &str) -> Result<Plan, UsageError> {
        let topic = one_value("topic", &self.topic)?;
        let include = one_value("include", &self.include)?;
        if topic.is_some() == include.is_some() {
            return usage("Exactly one of the following arguments is required: [topic], [include]");
        }
        let partition: Option<i32> = one_number("partition", &self.partition)?;
        self.check_start_options(topic.is_some(), partition.is_some())?;
        let Some(bootstrap_servers) = one_value("bootstrap-server", &self.bootstrap_server)? else {
            return usage("Missing required argument \"[bootstrap-server]\"");
        };
        let properties = self.consumer_properties(partition.is_some())?;
        let start = self.start()?;
        let timeout_ms: Option<i64> = one_number("timeout-ms", &self.timeout_ms)?;
        let formatter = self.formatter(tool)?;
        let source = match (topic, include, partition) {
            (Some(topic), _, Some(partition)) => Source::Partition(TopicPartition::new(topic, partition), start),
            (_, Some(pattern), _) => Source::Include(whole_name_regex(pattern)?),
            (topic, _, _) => Source::Topic(topic.unwrap_or_default().to_owned()),
        };
        let reading = Reading {
            bootstrap_servers: bootstrap_servers.to_owned(),
            properties,
            source,
            max_messages: self.max_messages(),
            timeout_ms: timeout_ms.filter(|timeout| *timeout >= 0),
            system_test_events: self.enable_systest_events,
        };
        Ok(Plan { reading, formatter, skip_errors: self.skip_message_on_error })
    }

    fn check_start_options(&self, has_topic: bool, has_partition: bool) -> Result<(), UsageError> {
        match (has_partition, self.offset.is_empty()) {
            (true, _) if !has_topic => usage("The topic is required when partition is specified."),
            (true, false) if self.from_beginning => {
                usage("Options from-beginning and offset cannot be specified together.")
            }
            (false, false) => usage("The partition is required when offset is specified."),
            _ => Ok(()),
        }
    }

    fn max_messages(&self) -> Result<Option<u64>, Exception> {
        match one_number::<i32>("max-messages", &self.max_messages)? {
            None | Some(-1) => Ok(None),
            Some(max) => Ok(Some(u64::try_from(max).unwrap_or(0))),
        }
    }

    fn start(&self) -> Result<Start, UsageError> {
        let invalid = |offset| {
            let values = "Valid values are 'earliest', 'latest', or a non-negative long.";
            usage(format!("The provided offset value '{offset}' is incorrect. {values}"))
        };
        match one_value("offset", &self.offset)? {
            None if self.from_beginning => Ok(Start::Timestamp(EARLIEST)),
            None => Ok(Start::Timestamp(LATEST)),
            Some(text) => match text.to_ascii_lowercase().as_str() {
                "earliest" => Ok(Start::Timestamp(EARLIEST)),
                "latest" => Ok(Start::Timestamp(LATEST)),
                number => match number.parse() {
                    Ok(offset) if offset >= 0 => Ok(Start::At(offset)),
                    _ => invalid(text),
                },
            },
        }
    }

    fn consumer_properties(&self, has_partition: bool) -> Result<Properties, UsageError> {
        let given =
            self.old_or_new("consumer-property", &self.consumer_property, "command-property", &self.command_property)?;
        let file = self.old_or_new("consumer.config", &self.consumer_config, "command-config", &self.command_config)?;
        let file = properties(one_value("command-config", file)?, &[])?;
        let given = properties(None, given)?;
        let named = one_value("group", &self.group)?;
        let groups: BTreeSet<&str> =
            [named, file.get("group.id"), given.get("group.id")].into_iter().flatten().in_order();
        if groups.len() > 1 {
            let listed: Vec<_> = groups.iter().map(|group| format!("'{group}'")).collect();
            return usage(format!(
                "The group ids provided in different places (directly using '--group', via '--consumer-property', or via \
                 '--consumer.config') do not match. Detected group ids: {}",
                listed.join(", ")
            ));
        }
        if !groups.is_empty() && has_partition {
            return usage("Options group and partition cannot be specified together.");
        }
        let mut merged = file.clone();
        given.entries().for_each(|(name, value)| merged.set(name, value));
        self.set_offset_reset(&mut merged)?;
        set_default(&mut merged, "client.id", "console-consumer");
        let isolation = one_value("isolation-level", &self.isolation_level)?;
        match isolation {
            Some(isolation) => merged.set("isolation.level", isolation),
            None => set_default(&mut merged, "isolation.level", "read_uncommitted"),
        }
        match groups.first() {
            Some(group) => merged.set("group.id", group),
            // A generated group is used once, so its offsets need no commits. A single partition needs no group.
            None if !has_partition => {
                merged.set("group.id", &format!("console-consumer-{}", wall_clock_nanos() % 100_000));
                set_default(&mut merged, "enable.auto.commit", "false");
            }
            None => {}
        }
        Ok(merged)
    }

    fn set_offset_reset(&self, properties: &mut Properties) -> Result<(), UsageError> {
        let name = "auto.offset.reset";
        match properties.get(name) {
            Some(reset) if self.from_beginning && reset != "earliest" => Err(UsageError::WithoutHelp(format!(
                "Can't simultaneously specify --from-beginning and '{name}={reset}', please remove one option"
            ))),
            Some(_) => Ok(()),
            None => {
                properties.set(name, if self.from_beginning { "earliest" } else { "latest" });
                Ok(())
            }
        }
    }

    fn formatter(&self, tool: &str) -> Result<Formatter, UsageError> {
        let default = default_formatter(tool);
        let given = match (self.property.as_slice(), self.formatter_property.as_slice()) {
            // The documentation of Confluent's tools has the deprecated option.
            (old, []) if default.is_some() => old,
            (old, new) => self.old_or_new("property", old, "formatter-property", new)?,
        };
        let mut merged = properties(one_value("formatter-config", &self.formatter_config)?, &[])?;
        let deserializers = [
            ("key.deserializer", one_value("key-deserializer", &self.key_deserializer)?),
            ("value.deserializer", one_value("value-deserializer", &self.value_deserializer)?),
        ];
        for (name, class) in deserializers {
            if let Some(class) = class.filter(|class| !class.is_empty()) {
                merged.set(name, class);
            }
        }
        properties(None, given)?.entries().for_each(|(name, value)| merged.set(name, value));
        let class = one_value("formatter", &self.formatter)?.or(default.as_deref());
        Formatter::new(class, &merged).or_else(usage)
    }

    /// Returns the values of an option that also has a deprecated name. Using both names is an error.
    fn old_or_new<'a>(
        &self,
        old: &str,
        old_values: &'a [String],
        new: &str,
        new_values: &'a [String],
    ) -> Result<&'a [String], UsageError> {
        match (old_values, new_values) {
            ([], new_values) => Ok(new_values),
            (old_values, []) => {
                out_line!("Option --{old} is deprecated and will be removed in a future version. Use --{new} instead.");
                Ok(old_values)
            }
            _ => usage(format!("Options --{old} and --{new} cannot be specified together.")),
        }
    }
}

/// The formatter of a tool of Confluent's.
#[cfg(feature = "registry")]
fn default_formatter(tool: &str) -> Option<String> {
    super::super::schema_properties::default_class(tool, "MessageFormatter")
}

#[cfg(not(feature = "registry"))]
fn default_formatter(_: &str) -> Option<String> {
    None
}

fn set_default(properties: &mut Properties, name: &str, value: &str) {
    if properties.get(name).is_none() {
        properties.set(name, value);
    }
}

/// Compiles a pattern that must match whole topic names, as in Java's consumer.
fn whole_name_regex(pattern: &str) -> Result<Regex, UsageError> {
    Regex::new(&format!("^(?:{pattern})$")).map_err(|_| {
        let why = Exception::new("java.util.regex.PatternSyntaxException", format!("{pattern} is an invalid regex."));
        UsageError::from(why)
    })
}
