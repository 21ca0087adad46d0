//! Fetch, ListOffsets and DeleteRecords.

mod answers;
mod deleted_records;
pub mod offsets;
