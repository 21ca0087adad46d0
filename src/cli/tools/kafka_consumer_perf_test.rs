//! kafka-consumer-perf-test: measures how fast records can be consumed.
//!
//! Source of behaviour: `org.apache.kafka.tools.ConsumerPerformance`.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use regex::Regex;

use super::connect::Properties;
use super::consuming::{block_on_multi_thread, open, properties, warn};
use super::date_format::DateFormat;
use super::exceptions::Exception;
use super::options::{ParserStyle, one_number, one_value};
use super::output::Output;
use super::{RunTool, Tool};
use ottla_broker::clock::{wall_clock_ms, wall_clock_nanos};
use ottla_client::consumer::{Consumer, Event, PartitionRecords, Topics};
use ottla_wire::types::TimestampMs;

pub const TOOL: Tool = Tool::new::<Options>("kafka-consumer-perf-test", ParserStyle::JoptSimple);

const CLIENT_ID: &str = "perf-consumer-client";
const MEGABYTE: f64 = 1_048_576.0;
/// The poll timeout of Kafka's tool.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const COLUMNS: &str = "data.consumed.in.MB, MB.sec, data.consumed.in.nMsg, nMsg.sec, rebalance.time.ms, fetch.time.ms, \
                       fetch.MB.sec, fetch.nMsg.sec";

/// This tool is used to verify the consumer performance.
#[derive(Debug, Parser)]
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
    /// REQUIRED: The number of records to read.
    #[arg(long, value_name = "Long: count")]
    num_records: Vec<String>,
    /// (DEPRECATED) Use --num-records instead.
    #[arg(long, value_name = "Long: count")]
    messages: Vec<String>,
    /// The consumer's group id. (default: perf-consumer- and a random number)
    #[arg(long, value_name = "String: gid")]
    group: Vec<String>,
    /// The maximum number of bytes that a fetch returns for one partition. (default: 1048576)
    #[arg(long, value_name = "Integer: size")]
    fetch_size: Vec<String>,
    /// If the group has no committed offset, start at the end instead of the earliest record.
    #[arg(long)]
    from_latest: bool,
    /// Accepted but ignored: the system chooses the size of the receive buffer. (default: 2097152)
    #[arg(long, value_name = "Integer: size")]
    socket_buffer_size: Vec<String>,
    /// A property of the consumer, key=value; can be given more than once, and takes precedence over those of a file.
    #[arg(long, value_name = "String: prop1=val1")]
    command_property: Vec<String>,
    /// A file with properties of the consumer.
    #[arg(long, value_name = "String: config file")]
    command_config: Vec<String>,
    /// (DEPRECATED) Use --command-config instead.
    #[arg(long = "consumer.config", value_name = "String: config file")]
    consumer_config: Vec<String>,
    /// Print metrics at the end.
    #[arg(long)]
    print_metrics: bool,
    /// Print a line at each reporting interval instead of one at the end.
    #[arg(long)]
    show_detailed_stats: bool,
    /// The maximum time in milliseconds between records. (default: 10000)
    #[arg(long, value_name = "Long: milliseconds", num_args = 0..=1, default_missing_value = "10000")]
    timeout: Vec<String>,
    /// The reporting interval in milliseconds. (default: 5000)
    #[arg(long, value_name = "Long: interval_ms")]
    reporting_interval: Vec<String>,
    /// The format of times, a pattern of java.text.SimpleDateFormat. (default: yyyy-MM-dd HH:mm:ss:SSS)
    #[arg(long, value_name = "String: date format")]
    date_format: Vec<String>,
    /// Don't print the header line.
    #[arg(long)]
    hide_header: bool,
}

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        if let Err(message) = self.check() {
            return tool.usage_error(&message);
        }
        block_on_multi_thread(async move {
            match self.measure().await {
                Ok(()) => ExitCode::SUCCESS,
                Err(why) => {
                    err_line!("{}", why.message);
                    ExitCode::FAILURE
                }
            }
        })
    }
}

impl Options {
    fn check(&self) -> Result<(), String> {
        if self.bootstrap_server.is_empty() {
            return Err("Missing required argument \"[bootstrap-server]\"".to_owned());
        }
        if self.topic.is_empty() == self.include.is_empty() {
            return Err("Exactly one of the following arguments is required: [topic], [include]".to_owned());
        }
        if self.messages.is_empty() == self.num_records.is_empty() {
            return Err("Exactly one of the following arguments is required: [messages], [num-records]".to_owned());
        }
        if !self.consumer_config.is_empty() && !self.command_config.is_empty() {
            return Err("Option \"[consumer.config]\" can't be used with option \"[command-config]\"".to_owned());
        }
        if !self.messages.is_empty() {
            out_line!("Warning: --messages is deprecated. Use --num-records instead.");
        }
        if !self.consumer_config.is_empty() {
            out_line!("Warning: --consumer.config is deprecated. Use --command-config instead.");
        }
        Ok(())
    }

    async fn measure(&self) -> Result<(), Exception> {
        let mut output = Output::stdout();
        if !self.hide_header {
            let times = if self.show_detailed_stats { "time, threadId" } else { "start.time, end.time" };
            output.line(format_args!("{times}, {COLUMNS}"));
        }
        output.flush();
        let properties = self.properties()?;
        let plan = self.plan()?;
        let started = wall_clock_ms();
        let servers = one_value("bootstrap-server", &self.bootstrap_server)?.unwrap_or_default();
        let mut consumer = open(servers, &properties).await?;
        consumer.subscribe(self.topics()?);
        let totals = consume(&mut consumer, &plan, started, &mut output).await?;
        let ended = wall_clock_ms();
        if !self.show_detailed_stats {
            output.line(summary(&plan.date_format, started, ended, &totals));
        }
        if self.print_metrics {
            let client_id = properties.get("client.id").unwrap_or(CLIENT_ID);
            print_metrics(client_id, &totals, &mut output);
        }
        output.flush();
        consumer.close().await;
        Ok(())
    }

    fn topics(&self) -> Result<Topics, Exception> {
        match one_value("include", &self.include)? {
            None => Ok(Topics::named(one_value("topic", &self.topic)?.unwrap_or_default())),
            Some(pattern) => Regex::new(&format!("^(?:{pattern})$")).map(Topics::Matching).map_err(|_| {
                let why = format!("{pattern} is an invalid regex.");
                Exception::new("java.util.regex.PatternSyntaxException", why)
            }),
        }
    }

    fn plan(&self) -> Result<Plan, Exception> {
        let count = if self.messages.is_empty() {
            one_number("num-records", &self.num_records)?
        } else {
            one_number("messages", &self.messages)?
        };
        let interval = one_number("reporting-interval", &self.reporting_interval)?.unwrap_or(5_000);
        if interval <= 0 {
            return Err(Exception::illegal_argument("Reporting interval must be greater than 0."));
        }
        let pattern = one_value("date-format", &self.date_format)?.unwrap_or("yyyy-MM-dd HH:mm:ss:SSS");
        Ok(Plan {
            count: count.unwrap_or(0),
            timeout_ms: one_number("timeout", &self.timeout)?.unwrap_or(10_000),
            interval_ms: interval,
            detailed: self.show_detailed_stats,
            date_format: DateFormat::new(pattern).map_err(Exception::illegal_argument)?,
        })
    }

    fn properties(&self) -> Result<Properties, Exception> {
        let file = one_value("consumer.config", &self.consumer_config)?;
        let file = file.or(one_value("command-config", &self.command_config)?);
        let mut properties = properties(file, &self.command_property)?;
        let group = match one_value("group", &self.group)? {
            Some(group) => group.to_owned(),
            None => format!("perf-consumer-{}", wall_clock_nanos() % 100_000),
        };
        properties.set("group.id", &group);
        let fetch_size: i32 = one_number("fetch-size", &self.fetch_size)?.unwrap_or(1 << 20);
        properties.set("max.partition.fetch.bytes", &fetch_size.to_string());
        properties.set("auto.offset.reset", if self.from_latest { "latest" } else { "earliest" });
        properties.set("check.crcs", "false");
        if properties.get("client.id").is_none() {
            properties.set("client.id", CLIENT_ID);
        }
        Ok(properties)
    }
}

struct Plan {
    count: i64,
    timeout_ms: i64,
    interval_ms: i64,
    detailed: bool,
    date_format: DateFormat,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    bytes: u64,
    records: i64,
}

#[derive(Default)]
struct Totals {
    counts: Counts,
    /// The total time in milliseconds until partitions were assigned.
    rebalance_ms: i64,
}

async fn consume(
    consumer: &mut Consumer,
    plan: &Plan,
    started: TimestampMs,
    output: &mut Output,
) -> Result<Totals, Exception> {
    let mut totals = Totals::default();
    let mut report = Report { at: wall_clock_ms(), counts: Counts::default(), rebalance_ms: 0 };
    let (mut now, mut last_consumed, mut join_started) = (report.at, report.at, started);
    while totals.counts.records < plan.count && now - last_consumed <= plan.timeout_ms {
        let event = consumer.poll(POLL_INTERVAL).await?;
        now = wall_clock_ms();
        match event {
            Some(Event::Records(fetched)) => {
                last_consumed = now;
                for PartitionRecords { records, .. } in &fetched {
                    for consumed in records {
                        let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
                        let size = length(&consumed.record.key) + length(&consumed.record.value);
                        totals.counts.bytes += size as u64;
                        totals.counts.records += 1;
                        if now - report.at >= plan.interval_ms {
                            if plan.detailed {
                                output.line(report.line(&plan.date_format, now, totals.counts));
                                output.flush();
                            }
                            report = Report { at: now, counts: totals.counts, rebalance_ms: 0 };
                        }
                    }
                }
            }
            Some(Event::Assigned(_)) => {
                totals.rebalance_ms += now - join_started;
                report.rebalance_ms += now - join_started;
            }
            Some(Event::Revoked(_)) => join_started = now,
            Some(Event::Warning(text)) => warn(&text),
            None => {}
        }
    }
    if totals.counts.records < plan.count {
        output.line(format_args!(
            "WARNING: Exiting before consuming the expected number of records: timeout ({} ms) exceeded. You can use the \
             --timeout option to increase the timeout.",
            plan.timeout_ms
        ));
    }
    Ok(totals)
}

/// The time and the counts of the last line of detailed statistics.
struct Report {
    at: TimestampMs,
    counts: Counts,
    rebalance_ms: i64,
}

impl Report {
    fn line(&self, format: &DateFormat, now: TimestampMs, counts: Counts) -> String {
        let elapsed = (now - self.at) as f64;
        let fetch_ms = now - self.at - self.rebalance_ms;
        let megabytes = (counts.bytes - self.counts.bytes) as f64 / MEGABYTE;
        let records = (counts.records - self.counts.records) as f64;
        let while_fetching = |amount: f64| if fetch_ms <= 0 { 0.0 } else { 1_000.0 * amount / fetch_ms as f64 };
        format!(
            "{}, 0, {}, {}, {}, {}, {}, {fetch_ms}, {}, {}",
            format.format(now),
            four_decimals(counts.bytes as f64 / MEGABYTE),
            four_decimals(1_000.0 * megabytes / elapsed),
            counts.records,
            four_decimals(records / elapsed * 1_000.0),
            self.rebalance_ms,
            four_decimals(while_fetching(megabytes)),
            four_decimals(while_fetching(records)),
        )
    }
}

fn summary(format: &DateFormat, started: TimestampMs, ended: TimestampMs, totals: &Totals) -> String {
    let seconds = (ended - started) as f64 / 1_000.0;
    let fetch_ms = ended - started - totals.rebalance_ms;
    let fetch_seconds = fetch_ms as f64 / 1_000.0;
    let megabytes = totals.counts.bytes as f64 / MEGABYTE;
    let records = totals.counts.records as f64;
    format!(
        "{}, {}, {}, {}, {}, {}, {}, {fetch_ms}, {}, {}",
        format.format(started),
        format.format(ended),
        four_decimals(megabytes),
        four_decimals(megabytes / seconds),
        totals.counts.records,
        four_decimals(records / seconds),
        totals.rebalance_ms,
        four_decimals(megabytes / fetch_seconds),
        four_decimals(records / fetch_seconds),
    )
}

/// Formats a number as Java does with `%.4f`.
fn four_decimals(number: f64) -> String {
    if number.is_infinite() {
        return if number > 0.0 { "Infinity" } else { "-Infinity" }.to_owned();
    }
    format!("{number:.4}")
}

/// Prints the metrics in the layout of Kafka's tool; only those that this consumer has.
fn print_metrics(client_id: &str, totals: &Totals, output: &mut Output) {
    let name = |metric| format!("consumer-fetch-manager-metrics:{metric}:{{client-id={client_id}}}");
    let metrics = [
        (name("bytes-consumed-total"), totals.counts.bytes as f64),
        (name("records-consumed-total"), totals.counts.records as f64),
    ];
    let width = metrics.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    output.line(format_args!("\n{:<width$}   Value", "Metric Name"));
    for (name, value) in metrics {
        output.line(format_args!("{name:<width$} : {value:.3}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format() -> DateFormat {
        DateFormat::new("HH:mm:ss:SSS").unwrap()
    }

    #[test]
    fn summary_has_kafkas_columns() {
        let totals = Totals { counts: Counts { bytes: 3 << 20, records: 9 }, rebalance_ms: 500 };
        let expect = "00:00:01:000, 00:00:03:000, 3.0000, 1.5000, 9, 4.5000, 500, 1500, 2.0000, 6.0000";
        assert_eq!(summary(&format(), 1_000, 3_000, &totals), expect);
        let totals = Totals { counts: Counts { bytes: 0, records: 1 }, rebalance_ms: 0 };
        let expect = "00:00:01:000, 00:00:01:000, 0.0000, NaN, 1, Infinity, 0, 0, NaN, Infinity";
        assert_eq!(summary(&format(), 1_000, 1_000, &totals), expect);
    }

    #[test]
    fn detailed_line_has_kafkas_columns() {
        let report = Report { at: 1_000, counts: Counts { bytes: 1 << 20, records: 10 }, rebalance_ms: 1_000 };
        let counts = Counts { bytes: 3 << 20, records: 30 };
        let expect = "00:00:03:000, 0, 3.0000, 1.0000, 30, 10.0000, 1000, 1000, 2.0000, 20.0000";
        assert_eq!(report.line(&format(), 3_000, counts), expect);
        let expect = "00:00:01:500, 0, 3.0000, 4.0000, 30, 40.0000, 1000, -500, 0.0000, 0.0000";
        assert_eq!(report.line(&format(), 1_500, counts), expect);
    }
}
