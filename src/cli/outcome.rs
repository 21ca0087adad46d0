//! Results of the own commands, and JSON output.

use std::process::ExitCode;

use serde::Serialize;

use super::tools::output::Output;

/// The result of a command. The error is one line.
pub type Outcome = Result<(), String>;

/// Returns the exit code, and prints an error on stderr.
pub fn exit_code(outcome: Outcome) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            err_line!("ottla: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a value as JSON.
pub fn print_json(value: &impl Serialize) -> Outcome {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    Output::stdout().line(text);
    Ok(())
}
