//! kafka-console-consumer: prints records as they arrive.
//!
//! Source of behaviour: `org.apache.kafka.tools.consumer.ConsoleConsumer`.

mod coordinator_records;
mod deserializers;
mod formatter;
mod options;
#[cfg(feature = "registry")]
mod schema_formatter;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::consuming::{Stop, block_on_multi_thread, millis, open, warn};
use super::exceptions::Exception;
use super::log_line::log_exception;
use super::options::ParserStyle;
use super::{RunTool, Tool};
use formatter::Formatter;
use options::{Options, Plan, Source, UsageError};
use ottla_client::consumer::{Consumer, Event, PartitionRecords, Start, Topics};
use ottla_wire::types::TopicPartition;

pub const TOOL: Tool = tool("kafka-console-consumer");

/// This tool under a name, which decides on the default formatter.
pub const fn tool(name: &'static str) -> Tool {
    Tool::new::<Options>(name, ParserStyle::JoptSimple)
}

/// The class under which this tool's errors are logged.
const CLASS: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
/// The size in bytes at which buffered output is flushed.
const FLUSH_AT: usize = 64 << 10;

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        match self.plan(tool.name) {
            Ok(plan) => block_on_multi_thread(consume(plan)),
            Err(UsageError::WithHelp(message)) => tool.usage_error(&message),
            Err(UsageError::WithoutHelp(message)) => {
                err_line!("{message}");
                ExitCode::FAILURE
            }
        }
    }
}

/// Why the consumer ended.
enum End {
    /// It reached its limit, or it stopped on an error that Kafka's tool does not report in its exit code.
    Done,
    Signal(u8),
    Failed(Exception),
}

async fn consume(plan: Plan) -> ExitCode {
    let mut printed = Printer { formatter: plan.formatter, out: Vec::new(), skip_errors: plan.skip_errors, count: 0 };
    let end = run(&plan.reading, &mut printed).await;
    if let End::Failed(exception) = &end {
        err_line!("Processed a total of {} messages", printed.count);
        log_exception(CLASS, "Unknown error when running consumer: ", exception);
        return ExitCode::FAILURE;
    }
    err_line!("Processed a total of {} messages", printed.count);
    if plan.reading.system_test_events {
        out_line!("shutdown_complete");
    }
    match end {
        End::Signal(code) => ExitCode::from(code),
        _ => ExitCode::SUCCESS,
    }
}

async fn run(reading: &options::Reading, printer: &mut Printer) -> End {
    let mut stop = match Stop::listen() {
        Ok(stop) => stop,
        Err(why) => return End::Failed(why),
    };
    // Checked before anything is sent, as in Kafka's tool.
    let max = match &reading.max_messages {
        Ok(max) => *max,
        Err(why) => return End::Failed(why.clone()),
    };
    if let Err(why) = super::consuming::config(&reading.properties) {
        return End::Failed(why);
    }
    let timeout = reading.timeout_ms.map(millis);
    let opened = tokio::select! {
        opened = open(&reading.bootstrap_servers, &reading.properties) => opened,
        code = stop.next() => return End::Signal(code),
        () = sleep(timeout) => Err(timed_out()),
    };
    let mut consumer = match opened {
        Ok(consumer) => consumer,
        Err(why) => return terminate(&why),
    };
    start(&mut consumer, &reading.source);
    let end = tokio::select! {
        end = print_all(&mut consumer, printer, max, timeout) => end,
        code = stop.next() => End::Signal(code),
    };
    consumer.close().await;
    end
}

fn start(consumer: &mut Consumer, source: &Source) {
    match source {
        Source::Partition(partition, start) => {
            consumer.assign(std::slice::from_ref(partition));
            consumer.seek(partition, *start);
        }
        Source::Topic(topic) => consumer.subscribe(Topics::named(topic)),
        Source::Include(pattern) => consumer.subscribe(Topics::Matching(pattern.clone())),
    }
}

async fn sleep(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

async fn print_all(consumer: &mut Consumer, printer: &mut Printer, max: Option<u64>, timeout: Option<Duration>) -> End {
    let mut last = Instant::now();
    while max.is_none_or(|max| printer.count < max) {
        let left = timeout.map_or(Duration::MAX, |timeout| timeout.saturating_sub(last.elapsed()));
        match consumer.poll(left).await {
            Ok(Some(Event::Records(records))) => {
                if let Some(end) = print(consumer, printer, max, &records) {
                    return end;
                }
                last = Instant::now();
            }
            Ok(Some(Event::Warning(text))) => warn(&text),
            Ok(Some(Event::Assigned(_) | Event::Revoked(_))) => {}
            Ok(None) if timeout.is_some_and(|timeout| last.elapsed() >= timeout) => return terminate(&timed_out()),
            Ok(None) => {}
            Err(error) => return terminate(&error.into()),
        }
    }
    End::Done
}

/// Prints records up to the limit. Seeks back to the first record that isn't printed, so that its offset is not
/// committed.
fn print(
    consumer: &mut Consumer,
    printer: &mut Printer,
    max: Option<u64>,
    records: &[PartitionRecords],
) -> Option<End> {
    let mut end = None;
    for PartitionRecords { partition, records } in records {
        for record in records {
            if end.is_some() || max.is_some_and(|max| printer.count >= max) {
                consumer.seek(partition, Start::At(record.record.offset));
                break;
            }
            end = printer.print(partition, record).err();
        }
    }
    end.or_else(|| printer.flush().err())
}

/// Ends like Kafka's tool after an error of the consumer: logs it, and exits with 0.
fn terminate(why: &Exception) -> End {
    if why.message.is_empty() {
        log_exception(CLASS, "Error processing message, terminating consumer process: ", &why.class);
    } else {
        log_exception(CLASS, "Error processing message, terminating consumer process: ", why);
    }
    End::Done
}

fn timed_out() -> Exception {
    Exception::new("org.apache.kafka.common.errors.TimeoutException", "")
}

struct Printer {
    formatter: Formatter,
    out: Vec<u8>,
    skip_errors: bool,
    count: u64,
}

impl Printer {
    fn print(
        &mut self,
        partition: &TopicPartition,
        record: &ottla_client::consumer::ConsumedRecord,
    ) -> Result<(), End> {
        self.count += 1;
        if let Err(why) = self.formatter.write(partition, record, &mut self.out) {
            if !self.skip_errors {
                self.flush()?;
                return Err(End::Failed(why));
            }
            log_exception(CLASS, "Error processing message, skipping this message: ", why);
        }
        if self.out.len() >= FLUSH_AT { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), End> {
        let mut stdout = io::stdout().lock();
        let written = stdout.write_all(&self.out).and_then(|()| stdout.flush());
        self.out.clear();
        written.map_err(|_| {
            err_line!("Unable to write to standard out, closing consumer.");
            End::Done
        })
    }
}
