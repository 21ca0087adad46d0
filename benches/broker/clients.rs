//! Latencies that users of Python clients see: the first record after a start, and the first message after a subscribe.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Instant;

use serde_json::Value;

use crate::contender::Contender;
use crate::report::{Samples, Table, milliseconds};
use common::python_env::{Environment, PINNED_OLD, TODAY, Unavailable};

const FIRST_RECORD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/first_record.py");
const FIRST_MESSAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/first_message.py");
const FIRST_MESSAGE_RUNS: &str = "7";

pub fn measure(contenders: &[Contender], starts: usize) -> Table {
    let mut table = Table::new("Python clients", contenders.iter().map(Contender::name));
    // Current clients, and the old ones that courses pin, if this machine has a Python that is old enough for them.
    if let Some(python) = installed(&TODAY) {
        let columns = first_records(contenders, &python, starts);
        table.medians("process start to first record consumed by confluent-kafka", "ms", &columns);
        first_messages(contenders, &python, &mut table);
    }
    if let Some(python) = installed(&PINNED_OLD) {
        first_messages(contenders, &python, &mut table);
    }
    table
}

fn installed(environment: &Environment) -> Option<PathBuf> {
    match environment.python() {
        Ok(python) => Some(python),
        Err(Unavailable::OnlyNewer(_)) => None,
        Err(Unavailable::Missing(what)) => {
            eprintln!("skipped the figures of Python clients: {what}");
            None
        }
    }
}

fn first_records(contenders: &[Contender], python: &Path, starts: usize) -> Vec<Samples> {
    let mut columns = vec![Samples::default(); contenders.len()];
    let mut program = FirstRecord::start(python);
    for _ in 0..starts {
        for (contender, samples) in contenders.iter().zip(&mut columns) {
            let (_dir, broker) = contender.start_fresh();
            let ready_at = Instant::now();
            program.produce_and_consume(&broker.bootstrap_servers());
            samples.push(milliseconds(broker.first_answer + ready_at.elapsed()));
            program.expect("closed"); // the consumer leaves its group before the broker ends
        }
    }
    columns
}

/// Adds a row for each client that is installed.
fn first_messages(contenders: &[Contender], python: &Path, table: &mut Table) {
    let reports: Vec<Value> = contenders.iter().map(|contender| first_message(contender, python)).collect();
    for (client, report) in reports.first().and_then(Value::as_object).into_iter().flatten() {
        let version = report["version"].as_str().unwrap_or_default();
        let columns: Vec<Samples> = reports.iter().map(|report| samples(&report[client]["runs_ms"])).collect();
        table.medians(&format!("subscribe → first message, {client} {version}"), "ms", &columns);
    }
}

/// Runs the measuring program of the Python suites and returns its report.
fn first_message(contender: &Contender, python: &Path) -> Value {
    let (_dir, broker) = contender.start_fresh();
    let mut command = Command::new(python);
    let output = command.arg(FIRST_MESSAGE).arg(broker.bootstrap_servers()).arg(FIRST_MESSAGE_RUNS).output();
    let output = output.expect("python runs");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("first_message.py failed: {output:?}"))
}

fn samples(runs: &Value) -> Samples {
    runs.as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
}

/// The running program first_record.py, which has imported its client.
struct FirstRecord {
    child: Child,
    stdin: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl FirstRecord {
    fn start(python: &Path) -> FirstRecord {
        let mut command = Command::new(python);
        let mut child =
            command.arg(FIRST_RECORD).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python runs");
        let (stdin, stdout) = (child.stdin.take().expect("a pipe"), child.stdout.take().expect("a pipe"));
        let mut program = FirstRecord { child, stdin, lines: BufReader::new(stdout).lines() };
        program.expect("imported");
        program
    }

    fn produce_and_consume(&mut self, bootstrap: &str) {
        writeln!(self.stdin, "{bootstrap}").expect("the program reads");
        self.expect("consumed");
    }

    fn expect(&mut self, word: &str) {
        match self.lines.next() {
            Some(Ok(line)) if line == word => {}
            other => panic!("first_record.py should print {word}, but printed {other:?}"),
        }
    }
}

impl Drop for FirstRecord {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
