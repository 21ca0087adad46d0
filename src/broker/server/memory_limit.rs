//! The default memory for requests: a share of the memory of the machine or of the container.

use std::path::{Path, PathBuf};

/// The share of the memory limit: a quarter.
const SHARE: u64 = 4;
/// Less than this would refuse batches that clients send with default settings.
const MIN_REQUEST_MEMORY: u64 = 8 << 20;
/// More has no use on one machine: this is enough for ten requests of the largest size.
const MAX_REQUEST_MEMORY: u64 = 1 << 30;

/// The default of `queued.max.request.bytes`: a quarter of the memory limit, 8 MiB to 1 GiB.
pub fn default_request_memory() -> usize {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    request_memory_for(memory_limit(&read))
}

fn request_memory_for(limit: Option<u64>) -> usize {
    let share = limit.map_or(MAX_REQUEST_MEMORY, |limit| (limit / SHARE).clamp(MIN_REQUEST_MEMORY, MAX_REQUEST_MEMORY));
    usize::try_from(share).unwrap_or(usize::MAX)
}

/// The memory that this process may use, in bytes: the smallest of the machine's RAM and the limits of its control
/// groups (v1 and v2). `None` if none of them can be read.
fn memory_limit(read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = groups.lines().flat_map(limit_files).filter_map(|file| read(&file)?.trim().parse().ok());
    let ram = read(Path::new("/proc/meminfo")).as_deref().and_then(total_ram);
    limits.chain(ram).min()
}

/// The files with the limits of one line of `/proc/self/cgroup`, from its group up to the root: every ancestor can have
/// a limit. A container can see its own group as the root, although the line has another path. Files that do not exist,
/// and files with `max`, are no limit.
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
    fn limit_without_cgroup_limit_is_the_ram() {
        check(&[], None);
        check(&[("/proc/meminfo", "MemFree: 1 kB\nMemTotal:       16 kB\n")], Some(16 << 10));
        check(&[("/proc/self/cgroup", "0::/\n"), ("/sys/fs/cgroup/memory.max", "max\n")], None);
    }

    #[test]
    fn smallest_limit_between_group_and_root_applies() {
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
    fn limit_of_cgroup_v1_applies() {
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
    fn request_memory_is_a_quarter_within_bounds() {
        assert_eq!(request_memory_for(Some(64 << 20)), 16 << 20);
        assert_eq!(request_memory_for(Some(16 << 20)), 8 << 20);
        assert_eq!(request_memory_for(Some(u64::MAX)), 1 << 30);
        assert_eq!(request_memory_for(None), 1 << 30);
    }
}
