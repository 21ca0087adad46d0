//! Figures of processes from /proc, and preparation of the machine for a fair measurement.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

const PAGE: usize = 4096;
/// Limit of the wait for dirty pages to be written; the benchmark then continues.
const WRITEBACK_TIMEOUT: Duration = Duration::from_secs(20);

/// Resident memory of a process, in MB (10^6 bytes).
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// RssAnon + RssShmem: memory that the kernel can't drop.
    pub own: f64,
    /// RssFile: mapped pages that the kernel may drop.
    pub file: f64,
}

pub fn memory(pid: u32) -> Memory {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let mb = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of /proc/PID/status");
        let kib: f64 = line.trim_matches([':', '\t', ' ', 'k', 'B']).parse().expect("a number of kB");
        kib * 1024.0 / 1e6
    };
    Memory { own: mb("RssAnon") + mb("RssShmem"), file: mb("RssFile") }
}

/// Returns user and system time of a process. The resolution is a clock tick: for long or many measurements.
pub fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The command's name is in parentheses and may have any characters; utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').expect("a name in /proc/PID/stat");
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Returns the share of one core that a process uses during `window`, from the scheduler's nanosecond counters.
pub fn cpu_share(pid: u32, window: Duration) -> f64 {
    let (started, before) = (Instant::now(), threads(pid));
    std::thread::sleep(window);
    let used: u64 = threads(pid).iter().map(|(tid, ns)| ns - before.get(tid).copied().unwrap_or(0)).sum();
    used as f64 / 1e9 / started.elapsed().as_secs_f64()
}

/// Returns the CPU time in nanoseconds by thread.
fn threads(pid: u32) -> BTreeMap<String, u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let ran = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let ns = text.split_whitespace().next()?.parse().ok()?;
        Some((task.file_name().to_string_lossy().into_owned(), ns))
    };
    tasks.flatten().filter_map(ran).collect()
}

/// Touches memory, so that the kernel's free pages are backed by the host.
///
/// A virtual machine may return free pages to its host; then the first access to a page costs several times as much as
/// filling it. Without this call a benchmark measures the hypervisor.
pub fn warm(bytes: usize) {
    let mut pages = vec![0_u8; bytes];
    for byte in pages.iter_mut().step_by(PAGE) {
        *byte = 1;
    }
    black_box(&pages);
}

/// Returns how many bytes may be dirty before the kernel starts to write them back, which would measure the disk.
pub fn dirty_limit() -> u64 {
    let number = |name: &str| -> u64 {
        let text = fs::read_to_string(format!("/proc/sys/vm/{name}")).unwrap_or_default();
        text.trim().parse().unwrap_or(0)
    };
    match number("dirty_background_bytes") {
        0 => meminfo("MemAvailable") / 100 * number("dirty_background_ratio"),
        bytes => bytes,
    }
}

/// Waits until at most `bytes` of the page cache are dirty.
pub fn wait_until_clean(bytes: u64) {
    let deadline = Instant::now() + WRITEBACK_TIMEOUT;
    while meminfo("Dirty") > bytes && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Returns a value of /proc/meminfo in bytes.
fn meminfo(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Describes the machine, such as "2 cores, 24 GB of memory, Linux 6.18.44, load 1.2 at the start".
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores, {:.0} GB of memory, Linux {}, load {} at the start",
        meminfo("MemTotal") as f64 / 1e9,
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
    )
}
