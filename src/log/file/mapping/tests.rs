//! Mapped files that are truncated. Cases that may end the process run in a child process: this program again, running
//! only [`child`].

use std::io::{IoSlice, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Barrier;

use super::*;

const PAGE: usize = 4096;
/// The environment variable that has the task of [`child`].
const TASK: &str = "OTTLA_TEST_SIGBUS";

fn file_of(bytes: u8, pages: usize) -> File {
    let mut file = tempfile::tempfile().expect("a file");
    file.write_all(&vec![bytes; pages * PAGE]).expect("writes");
    file
}

fn mapped(file: &File, pages: usize) -> (Mapping, Bytes) {
    let mapping = Mapping::new(file, pages * PAGE).expect("maps");
    let bytes = mapping.slice(0, pages * PAGE, pages * PAGE).expect("is published");
    (mapping, bytes)
}

#[test]
fn reader_of_truncated_mapping_reads_zeros_and_mapping_is_marked_faulty() {
    faults::install().expect("installs");
    let file = file_of(7, 8);
    let (mapping, bytes) = mapped(&file, 8);
    let (other, other_bytes) = mapped(&file_of(5, 2), 2);
    assert!(!mapping.is_faulty() && faults::is_intact(&bytes));
    let before = faults::count();
    file.set_len(3 * PAGE as u64).expect("truncates");
    assert_eq!((bytes[0], bytes[3 * PAGE - 1]), (7, 7), "remaining pages");
    assert_eq!(bytes[3 * PAGE..].iter().map(|byte| u64::from(*byte)).sum::<u64>(), 0, "removed pages");
    assert!(mapping.is_faulty() && !faults::is_intact(&bytes) && !faults::is_intact(&bytes[5..]));
    assert!(faults::count() >= before + 5);
    assert!(!other.is_faulty() && faults::is_intact(&other_bytes) && other_bytes[0] == 5);
    file.set_len(8 * PAGE as u64).expect("grows");
    assert_eq!(bytes[4 * PAGE], 0, "the page of zeros stays");
    let (again, _) = mapped(&file, 8);
    assert!(!again.is_faulty(), "a new mapping of the file is not marked");
}

#[test]
fn several_threads_that_hit_the_same_fault_all_continue() {
    faults::install().expect("installs");
    for _ in 0..50 {
        let file = file_of(7, 16);
        let (mapping, bytes) = mapped(&file, 16);
        let barrier = Barrier::new(4);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    barrier.wait();
                    bytes.iter().for_each(|byte| assert!([0, 7].contains(byte)));
                });
            }
            barrier.wait();
            file.set_len(0).expect("truncates");
        });
        assert_eq!(bytes[0] == 0, mapping.is_faulty());
    }
}

#[test]
fn sending_unreadable_page_returns_efault_without_signal() {
    let file = file_of(7, 4);
    let (mapping, bytes) = mapped(&file, 4);
    file.set_len(PAGE as u64).expect("truncates");
    let (mut sender, _receiver) = UnixStream::pair().expect("sockets");
    let error = sender.write_vectored(&[IoSlice::new(&bytes[PAGE..])]).expect_err("cannot be read");
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::FAULT.raw_os_error()));
    assert!(!mapping.is_faulty() && faults::note_unreadable(&bytes) && mapping.is_faulty());
    assert!(faults::is_intact(&bytes), "nothing was replaced by zeros");
}

#[test]
fn each_of_many_mappings_has_its_own_mark() {
    let file = file_of(1, 1);
    let mut held: Vec<_> = (0..1000).map(|_| mapped(&file, 1)).collect();
    for index in [0, 255, 256, 257, 999] {
        assert!(faults::note_unreadable(&held[index].1));
    }
    assert_eq!(held.iter().filter(|(mapping, _)| mapping.is_faulty()).count(), 5);
    let removed = held.swap_remove(0);
    let at = removed.1.as_ptr();
    let len = removed.1.len();
    drop(removed);
    assert!(held.iter().all(|(_, bytes)| bytes.as_ptr() != at || bytes.len() != len));
    drop(held);
    let (again, _) = mapped(&file, 1);
    assert!(!again.is_faulty(), "a reused slot is not marked");
    assert!(!faults::note_unreadable(&[1, 2, 3]), "not in a mapping");
}

/// Runs [`child`] with a task.
fn run_child(task: &str) -> ExitStatus {
    let program = std::env::current_exe().expect("a program");
    let mut command = Command::new(program);
    command.args(["--exact", "file::mapping::tests::child", "--nocapture"]).env(TASK, task);
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().expect("runs")
}

#[track_caller]
fn check_child(task: &str, code: Option<i32>, signal: Option<i32>) {
    let status = run_child(task);
    assert_eq!((status.code(), status.signal()), (code, signal), "{task}");
}

extern "C" fn exit_42(_signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid `info`; `_exit` is async-signal-safe.
    unsafe { libc::_exit(if (*info).si_addr().is_null() { 41 } else { 42 }) }
}

extern "C" fn exit_43(_signal: libc::c_int) {
    // SAFETY: `_exit` is async-signal-safe.
    unsafe { libc::_exit(43) }
}

fn set_action(handler: libc::sighandler_t, flags: libc::c_int) {
    // SAFETY: a valid action, whose handler has the type that the flags require.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        (action.sa_sigaction, action.sa_flags) = (handler, flags);
        assert_eq!(libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()), 0);
    }
}

/// Reads an unreadable page of a mapping that isn't registered.
fn fault_in_foreign_mapping() -> u8 {
    let file = file_of(7, 1);
    let map = MmapOptions::new().len(PAGE).map_raw_read_only(&file).expect("maps");
    file.set_len(0).expect("truncates");
    // SAFETY: the page is mapped; that reading it raises SIGBUS is the purpose.
    unsafe { std::ptr::read_volatile(map.as_ptr()) }
}

/// Not a test of its own: the entry point that [`run_child`] runs in a child process.
#[test]
fn child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let no_core = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Core, no_core).expect("sets the limit");
    let before = match task.split_once(' ').expect("previous handler and event").0 {
        "default" => (libc::SIG_DFL, 0),
        "ignored" => (libc::SIG_IGN, 0),
        "handler" => {
            let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = exit_42;
            (handler as *const () as libc::sighandler_t, libc::SA_SIGINFO)
        }
        "plain-handler" => {
            let handler: extern "C" fn(libc::c_int) = exit_43;
            (handler as *const () as libc::sighandler_t, 0)
        }
        _ => (usize::MAX, 0),
    };
    if before.0 != usize::MAX {
        set_action(before.0, before.1);
    }
    faults::install().expect("installs");
    faults::install().expect("is installed already");
    if task.ends_with("sent") {
        // SAFETY: a plain call.
        unsafe { libc::raise(libc::SIGBUS) };
        std::process::exit(3);
    }
    let file = file_of(7, 1);
    let (_mapping, bytes) = mapped(&file, 1);
    file.set_len(0).expect("truncates");
    assert_eq!(bytes[0], 0, "in our mapping");
    if task.ends_with("foreign") {
        fault_in_foreign_mapping();
    }
    std::process::exit(3);
}

#[test]
fn fault_in_our_mapping_with_any_previous_handler_is_survived() {
    for before in ["rust", "default", "ignored", "handler", "plain-handler"] {
        check_child(&format!("{before} ours"), Some(3), None);
    }
}

#[test]
fn fault_in_foreign_mapping_reaches_previous_handler() {
    check_child("rust foreign", None, Some(libc::SIGBUS));
    check_child("default foreign", None, Some(libc::SIGBUS));
    // The kernel ends a process that ignores a fault.
    check_child("ignored foreign", None, Some(libc::SIGBUS));
    check_child("handler foreign", Some(42), None);
    check_child("plain-handler foreign", Some(43), None);
}

#[test]
fn sigbus_sent_by_kill_reaches_previous_handler() {
    check_child("default sent", None, Some(libc::SIGBUS));
    check_child("ignored sent", Some(3), None);
    check_child("plain-handler sent", Some(43), None);
}
