//! kafka-console-consumer: prints records as they come.
//!
//! Source of behaviour: `org.apache.kafka.tools.consumer.ConsoleConsumer`.

mod coordinator_records;
mod deserializers;
mod formatter;
mod options;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::consuming::{Stop, block_on_beside, millis, open, warn};
use super::exceptions::Exception;
use super::log_line::log_exception;
use super::options::Manner;
use super::{RunTool, Tool};
use formatter::Formatter;
use options::{Options, Plan, Source, Wrong};
use ottla_client::consumer::{Consumer, Event, PartitionRecords, Start, Topics};
use ottla_wire::types::TopicPartition;

pub const TOOL: Tool = Tool::new::<Options>("kafka-console-consumer", Manner::JoptSimple);

/// Under which this tool's errors are logged.
const CLASS: &str = "org.apache.kafka.tools.consumer.ConsoleConsumer";
/// How long output may be held back.
const FLUSH_AT: usize = 64 << 10;

impl RunTool for Options {
    fn run(self, tool: &Tool) -> ExitCode {
        match self.plan() {
            Ok(plan) => block_on_beside(consume(plan)),
            Err(Wrong::Usage(message)) => tool.wrong(&message),
            Err(Wrong::Plain(message)) => {
                err_line!("{message}");
                ExitCode::FAILURE
            }
        }
    }
}

/// Why it ended.
enum End {
    /// As it was asked to, or because there is nothing to go on with: not a failure, to scripts.
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
    // Before anything is sent, as Kafka's.
    let max = match &reading.max_messages {
        Ok(max) => *max,
        Err(why) => return End::Failed(why.clone()),
    };
    if let Err(why) = super::consuming::config(&reading.properties) {
        return End::Failed(why);
    }
    let patience = reading.timeout_ms.map(millis);
    let opened = tokio::select! {
        opened = open(&reading.bootstrap_servers, &reading.properties) => opened,
        code = stop.next() => return End::Signal(code),
        () = sleep(patience) => Err(timed_out()),
    };
    let mut consumer = match opened {
        Ok(consumer) => consumer,
        Err(why) => return terminate(&why),
    };
    start(&mut consumer, &reading.source);
    let end = tokio::select! {
        end = print_all(&mut consumer, printer, max, patience) => end,
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

async fn sleep(patience: Option<Duration>) {
    match patience {
        Some(patience) => tokio::time::sleep(patience).await,
        None => std::future::pending().await,
    }
}

async fn print_all(
    consumer: &mut Consumer,
    printer: &mut Printer,
    max: Option<u64>,
    patience: Option<Duration>,
) -> End {
    let mut last = Instant::now();
    while max.is_none_or(|max| printer.count < max) {
        let left = patience.map_or(Duration::MAX, |patience| patience.saturating_sub(last.elapsed()));
        match consumer.poll(left).await {
            Ok(Some(Event::Records(records))) => {
                if let Some(end) = print(consumer, printer, max, &records) {
                    return end;
                }
                last = Instant::now();
            }
            Ok(Some(Event::Warning(text))) => warn(&text),
            Ok(Some(Event::Assigned(_) | Event::Revoked(_))) => {}
            Ok(None) if patience.is_some_and(|patience| last.elapsed() >= patience) => return terminate(&timed_out()),
            Ok(None) => {}
            Err(error) => return terminate(&error.into()),
        }
    }
    End::Done
}

/// Prints as many as are wanted. What isn't printed counts as not read.
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

/// What Kafka's does when it can't go on: it says why, and counts what it has done.
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
