//! How many descriptors and mappings the files of logs may take.

use rustix::process::{Resource, getrlimit};

/// A bound for the files of all logs of a directory together. They are closed and opened again as it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenLimits {
    /// Descriptors kept open. A thread at work takes a few more for a moment.
    pub descriptors: usize,
    /// Mappings kept. Those that readers still hold slices of come on top, twice as many at the most: beyond, bytes are
    /// read into memory.
    pub mappings: usize,
}

/// What processes are commonly allowed, should the system not tell.
const COMMON_DESCRIPTORS: u64 = 1024;
const COMMON_MAPPINGS: u64 = 65_530;
/// More of either don't make anything faster.
const MOST: u64 = 16_384;

impl Default for OpenLimits {
    fn default() -> OpenLimits {
        OpenLimits::share_of(COMMON_DESCRIPTORS, COMMON_MAPPINGS)
    }
}

impl OpenLimits {
    /// A share of what this process is allowed (`RLIMIT_NOFILE`, as it is now, and `vm.max_map_count`): half of the
    /// descriptors are left to connections, half of the mappings to memory and to bytes on their way out.
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
    fn half_is_left_to_others() {
        check((1024, 65_530), (512, 10_921));
        check((20_000, 65_530), (10_000, 10_921));
        check((1 << 30, 1 << 30), (16_384, 16_384));
        check((6, 0), (4, 4));
    }

    #[test]
    fn this_process_has_some() {
        let limits = OpenLimits::of_process();
        assert!(limits.descriptors >= 4 && limits.mappings >= 4, "{limits:?}");
    }
}
