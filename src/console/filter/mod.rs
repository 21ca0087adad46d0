//! Filters for records: a part of jq's language, without what has no bound.
//!
//! `.customer.id == 7 and (.tags | any(startswith("a")))`: paths, `.[]`, comparisons, `and`, `or`, `not`, arithmetic,
//! `//`, pipes and the functions in [`parse`]. `.` is the record's value; `$key`, `$headers`, `$partition`, `$offset` and
//! `$timestamp` are its other parts. There are no definitions, recursion or ranges, and each evaluation has a limit of
//! steps: so a filter can neither run for ever nor take much memory. A filter with jq's full language would need a thread
//! that cannot be stopped.

mod eval;
mod lexer;
mod parse;

use serde_json::Value;

use parse::Expression;

/// The largest text of a filter, in bytes.
const MAX_TEXT: usize = 4 << 10;

/// A parsed filter.
#[derive(Debug)]
pub struct Filter(Expression);

/// What a filter can read of a record.
#[derive(Debug, Default)]
pub struct Input {
    pub value: Value,
    pub key: Value,
    /// An object; the last header of a name counts.
    pub headers: Value,
    pub partition: Value,
    pub offset: Value,
    pub timestamp: Value,
}

/// Why a filter has no result for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failed {
    /// An operation does not exist for the types of its operands.
    Type,
    /// The evaluation took too many steps.
    TooManySteps,
}

impl Filter {
    /// Parses a filter. The error is one line.
    pub fn parse(text: &str) -> Result<Filter, String> {
        if text.len() > MAX_TEXT {
            return Err(format!("the filter has more than {MAX_TEXT} bytes"));
        }
        parse::parse(text).map(Filter)
    }

    /// Whether a result of the filter is neither false nor null.
    pub fn matches(&self, input: &Input) -> Result<bool, Failed> {
        eval::any_truthy(&self.0, input)
    }
}

#[cfg(test)]
mod tests;
