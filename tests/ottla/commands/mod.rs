//! Ottla's own commands and the command line: Kafka's tools have their tests beside Apache Kafka's own.

mod check_log;
mod cli;
mod config;
mod image_scripts;
mod own;
