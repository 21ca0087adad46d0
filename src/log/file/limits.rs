//! Limits on the descriptors and mappings of log files.

use rustix::process::{Resource, getrlimit};

/// Limits for the files of all logs of a directory together. Files are closed and opened again as needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenLimits {
    /// Descriptors kept open. A working thread needs a few more for a moment.
    pub descriptors: usize,
    /// Mappings kept in the pool. Closed mappings of which readers still hold slices come on top, at most twice as many:
    /// beyond that, bytes are read into memory.
    pub mappings: usize,
}

/// Common system limits, for systems that don't report theirs.
const COMMON_DESCRIPTORS: u64 = 1024;
const COMMON_MAPPINGS: u64 = 65_530;
/// More descriptors or mappings than this don't make anything faster.
const MOST: u64 = 16_384;

impl Default for OpenLimits {
    fn default() -> OpenLimits {
        OpenLimits::share_of(COMMON_DESCRIPTORS, COMMON_MAPPINGS)
    }
}

impl OpenLimits {
    /// Takes a share of this process's limits (the current `RLIMIT_NOFILE`, and `vm.max_map_count`): half of the
    /// descriptors are left for connections, half of the mappings for memory and for responses that are being sent.
    pub fn of_process() -> OpenLimits {
        let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let mappings = std::fs::read_to_string("/proc/sys/vm/max_map_count").unwrap_or_default();
        OpenLimits::share_of(descriptors, mappings.trim().parse().unwrap_or(COMMON_MAPPINGS))
    }

    fn share_of(descriptors: u64, mappings: u64) -> OpenLimits {
        let bounded = |count: u64| count.clamp(4, MOST) as usize;
        OpenLimits { descriptors: bounded(descriptors / 2), mappings: bounded(mappings / 6) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check((descriptors, mappings): (u64, u64), expect: (usize, usize)) {
        let limits = OpenLimits::share_of(descriptors, mappings);
        assert_eq!((limits.descriptors, limits.mappings), expect);
    }

    #[test]
    fn share_of_process_limits_is_half_of_descriptors_and_a_sixth_of_mappings() {
        check((1024, 65_530), (512, 10_921));
        check((20_000, 65_530), (10_000, 10_921));
        check((1 << 30, 1 << 30), (16_384, 16_384));
        check((6, 0), (4, 4));
    }

    #[test]
    fn limits_of_process_are_at_least_four() {
        let limits = OpenLimits::of_process();
        assert!(limits.descriptors >= 4 && limits.mappings >= 4, "{limits:?}");
    }
}
