//! How much memory requests may take when nothing is configured: a share of what the machine, or the
//! container we run in, has.

use std::path::{Path, PathBuf};

/// The share of the memory limit that requests in flight may take.
const SHARE: u64 = 4;
/// Less would refuse batches that clients send with their default settings.
const LEAST: u64 = 8 << 20;
/// More buys nothing on one machine: ten frames of the largest size.
const MOST: u64 = 1 << 30;

/// The default of `queued.max.request.bytes`: a quarter of the memory limit, 8 MiB to 1 GiB.
pub fn default_request_memory() -> usize {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    request_memory_for(memory_limit(&read))
}

fn request_memory_for(limit: Option<u64>) -> usize {
    let share = limit.map_or(MOST, |limit| (limit / SHARE).clamp(LEAST, MOST));
    usize::try_from(share).unwrap_or(usize::MAX)
}

/// The memory this process may use, in bytes: the smallest of the machine's RAM and the limits of the
/// control groups (v1 and v2) it is in. `None` where none of them can be read.
fn memory_limit(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(limit_files).filter_map(|file| read(&file)?.trim().parse().ok());
    let ram = read(Path::new("/proc/meminfo")).as_deref().and_then(total_ram);
    limits.chain(ram).min()
}

/// The files that limit the group of one line of `/proc/self/cgroup`, from the group up to the root:
/// any ancestor may be the one that limits. A container may see its own group as the root, whatever
/// the line says, and files that don't exist or say `max` don't limit.
fn limit_files(line: &str) -> Vec<PathBuf> {
    let mut fields = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { return Vec::new() };
    let (root, file) = match controllers {
        "" => ("/sys/fs/cgroup", "memory.max"),
        names if names.split(',').any(|name| name == "memory") => ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
        _ => return Vec::new(),
    };
    let group = Path::new(group.trim_start_matches('/'));
    group.ancestors().map(|ancestor| Path::new(root).join(ancestor).join(file)).collect()
}

fn total_ram(meminfo: &str) -> Option<u64> {
    let kib = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], expect: Option<u64>) {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, content)| content.to_string())
        };
        assert_eq!(memory_limit(&read), expect);
    }

    #[test]
    fn the_machine_counts_where_no_group_limits() {
        check(&[], None);
        check(&[("/proc/meminfo", "MemFree: 1 kB\nMemTotal:       16 kB\n")], Some(16 << 10));
        check(&[("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "max\n")], None);
    }

    #[test]
    fn the_smallest_limit_on_the_way_to_the_root_counts() {
        check(
            &[
                ("/proc/self/cgroup", "0::/user/app\n"),
                ("/sys/fs/cgroup/user/app/memory.max", "max\n"),
                ("/sys/fs/cgroup/user/memory.max", "300\n"),
                ("/sys/fs/cgroup/memory.max", "400\n"),
                ("/proc/meminfo", "MemTotal: 1 kB"),
            ],
            Some(300),
        );
    }

    #[test]
    fn version_1_groups_limit_too() {
        check(
            &[
                ("/proc/self/cgroup", "5:cpu,cpuacct:/docker/ab\n4:memory:/docker/ab\n0::/docker/ab\n"),
                ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "67108864\n"),
                ("/proc/meminfo", "MemTotal: 999999 kB"),
            ],
            Some(64 << 20),
        );
    }

    #[test]
    fn requests_get_a_quarter_within_bounds() {
        assert_eq!(request_memory_for(Some(64 << 20)), 16 << 20);
        assert_eq!(request_memory_for(Some(16 << 20)), 8 << 20);
        assert_eq!(request_memory_for(Some(u64::MAX)), 1 << 30);
        assert_eq!(request_memory_for(None), 1 << 30);
    }
}
