//! How our own commands say what they have to say.

use std::process::ExitCode;

use serde::Serialize;

use super::tools::output::Output;

/// What was to be said is said, or why there is nothing to say, in one plain line.
pub type Said = Result<(), String>;

/// The exit code; a reason goes to stderr.
pub fn tell(said: Said) -> ExitCode {
    match said {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            err_line!("ottla: {why}");
            ExitCode::FAILURE
        }
    }
}

/// Prints a value as JSON, for scripts.
pub fn say_json(value: &impl Serialize) -> Said {
    let text = serde_json::to_string_pretty(value).map_err(|error| error.to_string())?;
    Output::stdout().line(text);
    Ok(())
}
