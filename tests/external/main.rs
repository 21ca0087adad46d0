//! Tests that need other programs, which may be missing: Java and Apache Kafka, Python clients, Go, Node.js, a Docker engine.
//! Tests that miss one count as ignored, and the last lines of the output say what to install.
//!
//! `OTTLA_REQUIRE=java,docker` makes those fail instead that miss one of these; `harness` lists the names. `cargo test --test
//! external java::` runs the tests of one module.
//!
//! Each module lists its tests in `tests`. A test that is not listed is an unused function, which is a warning.

mod bindings;
mod browser;
mod client_metrics;
mod docker;
mod go;
mod harness;
mod java;
mod kafka_directory;
mod npm;
mod packages;
mod prometheus;
mod python;
mod python_packages;
mod schema_registry;
mod security;
mod testing_page;
mod tools;
mod transactions_page;

use std::process::ExitCode;

fn main() -> ExitCode {
    let suites = [
        bindings::tests(),
        browser::tests(),
        docker::tests(),
        go::tests(),
        java::bank::tests(),
        java::clients::tests(),
        java::connect::tests(),
        java::streams::tests(),
        java::transactions::tests(),
        kafka_directory::tests(),
        packages::tests(),
        prometheus::tests(),
        python::tests(),
        python_packages::tests(),
        schema_registry::tests(),
        security::tests(),
        testing_page::tests(),
        tools::tests(),
        transactions_page::tests(),
    ];
    let result = harness::run(suites.into_iter().flatten().collect());
    docker::remove_images();
    result
}
