//! Arbitrary text as a JAAS configuration: parsed or refused, without a panic. What is parsed as a property means the same
//! when it is written with all texts in quotes. An error does not quote the text.

#![no_main]

use std::fmt::Write as _;

use libfuzzer_sys::fuzz_target;
use ottla_core::security::jaas::{LoginModule, parse_file, parse_property, plain_users};

/// The longest error, with room for a line and a column.
const MAX_ERROR: usize = 200;

fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            other => quoted.push(other),
        }
    }
    quoted + "\""
}

fn written(module: &LoginModule) -> String {
    let mut text = format!("{} required", quoted(&module.class));
    for (name, value) in module.options() {
        write!(text, " {}={}", quoted(name), quoted(value.expose())).unwrap();
    }
    text + ";"
}

fuzz_target!(|input: &str| {
    match parse_property(input) {
        Ok(module) => assert_eq!(parse_property(&written(&module)), Ok(module)),
        Err(error) => assert!(error.to_string().len() < MAX_ERROR),
    }
    match parse_file(input) {
        Ok(file) => {
            let modules = file.of_listener("SASL_SSL").unwrap_or_default();
            for (user, password) in plain_users(modules) {
                assert!(modules.iter().any(|module| module.option(&format!("user_{user}")) == Some(&password)));
            }
        }
        Err(error) => assert!(error.to_string().len() < MAX_ERROR),
    }
});
