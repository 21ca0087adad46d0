//! What the machine tells about a process, and what a fair measurement asks of the machine first.

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::time::{Duration, Instant};

const PAGE: usize = 4096;
/// How long to wait for written pages to leave memory before going on regardless.
const PATIENCE: Duration = Duration::from_secs(20);

/// Resident memory of a process, in MB (10^6 bytes).
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// RssAnon + RssShmem: what only the process's end gives back.
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

/// User and system time of a process, in clock ticks' steps: for long or many measurements.
pub fn cpu(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("the process runs");
    // The command's name stands in parentheses and may hold anything; utime and stime are fields 14 and 15.
    let (_, fields) = stat.rsplit_once(')').expect("a name in /proc/PID/stat");
    let ticks: u64 = fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum();
    Duration::from_secs_f64(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// The share of one core that a process uses during `window`, by the scheduler's nanoseconds.
pub fn cpu_share(pid: u32, window: Duration) -> f64 {
    let (started, before) = (Instant::now(), threads(pid));
    std::thread::sleep(window);
    let used: u64 = threads(pid).iter().map(|(tid, ns)| ns - before.get(tid).copied().unwrap_or(0)).sum();
    used as f64 / 1e9 / started.elapsed().as_secs_f64()
}

/// Nanoseconds on a CPU, by thread.
fn threads(pid: u32) -> BTreeMap<String, u64> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    let ran = |task: fs::DirEntry| {
        let text = fs::read_to_string(task.path().join("schedstat")).ok()?;
        let ns = text.split_whitespace().next()?.parse().ok()?;
        Some((task.file_name().to_string_lossy().into_owned(), ns))
    };
    tasks.flatten().filter_map(ran).collect()
}

/// Fills the kernel's supply of free pages with warm ones.
///
/// Where a virtual machine gives free pages back to its host, the first touch of a fresh page costs several times
/// what filling it does; without this a benchmark measures the hypervisor.
pub fn warm(bytes: usize) {
    let mut pages = vec![0_u8; bytes];
    for byte in pages.iter_mut().step_by(PAGE) {
        *byte = 1;
    }
    black_box(&pages);
}

/// Bytes that may be dirty before the kernel starts writing them back, which would measure the disk.
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

/// Waits until at most `bytes` of the page cache wait to be written.
pub fn wait_until_clean(bytes: u64) {
    let deadline = Instant::now() + PATIENCE;
    while meminfo("Dirty") > bytes && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A line of /proc/meminfo, in bytes.
fn meminfo(name: &str) -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// "2 cores, 24 GB, load 1.2, Linux 6.18.44".
pub fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{cores} cores, {:.0} GB of memory, Linux {}, load {} when it began",
        meminfo("MemTotal") as f64 / 1e9,
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
    )
}
