//! Ottla's own commands and the command line. Kafka's tools are tested beside Apache Kafka's in `tests/external`.

mod check_log;
mod cli;
mod config;
mod healthcheck;
mod image_scripts;
mod topics_and_configs;
mod transactions;
