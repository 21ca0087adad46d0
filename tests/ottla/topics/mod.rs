//! Topics and partitions.

mod answers;
mod metadata;
mod reassignments;
mod recreation;
mod with_open_transactions;
