//! Produce: answers, and what is refused.

mod answers;
mod rules;
