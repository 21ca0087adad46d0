//! Finds the process that holds a file's lock, for the error of a directory in use.

use std::fs::File;

/// The id of the process that holds a lock on `file`, if Linux's `/proc/locks` shows it. It doesn't show processes outside
/// of this pid namespace.
#[cfg(target_os = "linux")]
pub(super) fn lock_holder(file: &File) -> Option<u32> {
    use std::os::unix::fs::MetadataExt as _;

    let found = file.metadata().ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let device = found.dev();
    parse(&locks, rustix::fs::major(device), rustix::fs::minor(device), found.ino())
}

/// Only Linux shows it.
#[cfg(not(target_os = "linux"))]
pub(super) fn lock_holder(_file: &File) -> Option<u32> {
    None
}

/// Finds the holder in the text of `/proc/locks`: lines of number, kind, mode, access, pid, `MAJOR:MINOR:INODE`, range. The
/// device numbers are hexadecimal. Lines of waiting processes have an arrow after the number.
#[cfg(any(target_os = "linux", test))]
fn parse(locks: &str, major: u32, minor: u32, inode: u64) -> Option<u32> {
    let file = format!("{major:02x}:{minor:02x}:{inode}");
    locks.lines().find_map(|line| {
        let mut columns = line.split_whitespace().skip(1).filter(|column| *column != "->");
        let (pid, locked) = (columns.nth(3)?, columns.next()?);
        // 0 or -1: outside of this pid namespace, or not the lock of one process.
        pid.parse().ok().filter(|pid| *pid > 0 && locked == file && !line.contains("->"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOCKS: &str = "\
1: FLOCK  ADVISORY  WRITE 0 fe:00:4711 0 EOF
2: POSIX  ADVISORY  WRITE 812 fe:00:4711 0 EOF
2: -> POSIX  ADVISORY  WRITE 900 fe:00:4712 0 EOF
3: OFDLCK ADVISORY  READ  -1 fe:00:4713 0 EOF
4: POSIX  ADVISORY  READ  77 08:1a:4713 128 128
short line
";

    #[test]
    fn lock_holder_is_the_process_with_a_lock_on_that_device_and_inode() {
        for (major, minor, inode, expect) in [
            (0xfe, 0, 4711, Some(812)),
            (0xfe, 0, 4712, None),
            (0xfe, 0, 4713, None),
            (8, 0x1a, 4713, Some(77)),
            (8, 1, 4711, None),
        ] {
            assert_eq!(parse(LOCKS, major, minor, inode), expect, "{major}:{minor}:{inode}");
        }
    }
}
