//! How far the records of a batch may expand in memory.

use super::compress::MAX_EXPANSION;

/// The expansion that any batch is allowed, in bytes: a megabyte of one repeated byte is a common test record.
pub(super) const ALWAYS_ALLOWED: usize = 32 << 20;
/// The maximum expansion ratio of a batch that the broker has to keep in memory. Text logs reach 10 to 30.
const MAX_RATIO_IN_MEMORY: usize = 100;

/// The limit, in bytes, for the records of a batch with `compressed` bytes if all of them are in memory at once.
pub(super) fn limit_in_memory(compressed: usize) -> usize {
    compressed.saturating_mul(MAX_RATIO_IN_MEMORY).clamp(ALWAYS_ALLOWED, MAX_EXPANSION)
}
