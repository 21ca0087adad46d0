//! The listings of docs/transactions.md, run without changes: orders are written, a loop that is killed turns each into
//! one shipment, and a reader of committed messages prints them.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

use crate::harness::trials;
use crate::python::python_of;
use crate::testing_page::write_listings;
use common::Broker;
use common::python_env::TODAY;
use libtest_mimic::Trial;

const PAGE: &str = include_str!("../../docs/transactions.md");

fn python(python: &Path, dir: &Path, listing: &str, broker: &Broker) -> Command {
    let mut command = Command::new(python);
    command.arg(listing).current_dir(dir).env("BOOTSTRAP", broker.bootstrap_servers()).stdin(Stdio::null());
    command
}

fn printed(output: Output) -> String {
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ended with {}\n{error}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A loop that is killed when it is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn killed_loop_makes_one_shipment_of_each_order() {
    let Some(interpreter) = python_of(&TODAY) else { return };
    let dir = write_listings(PAGE, "python");
    let broker = Broker::with().arg("--create-topic").arg("orders:3").arg("--create-topic").arg("shipments:3").start();
    let shipments = || {
        let output = python(&interpreter, dir.path(), "report.py", &broker).output().unwrap();
        let mut lines: Vec<String> = printed(output).lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let mut expected: Vec<String> = (0..100).map(|number| format!("shipment of order {number}")).collect();
    expected.sort();
    for run in 1..=3 {
        let running = Killed(python(&interpreter, dir.path(), "shipments.py", &broker).spawn().unwrap());
        printed(python(&interpreter, dir.path(), "orders.py", &broker).output().unwrap());
        let reached = run * expected.len() - if run < 3 { 50 } else { 0 };
        common::wait_until("shipments of most orders", || shipments().len() >= reached);
        drop(running);
    }
    let mut every: Vec<String> = [&expected[..], &expected, &expected].concat();
    every.sort();
    assert_eq!(shipments(), every);
}

pub fn tests() -> Vec<Trial> {
    trials![plain: killed_loop_makes_one_shipment_of_each_order]
}
