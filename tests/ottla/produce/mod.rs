//! Produce: answers and validation rules.

mod answers;
mod rules;
