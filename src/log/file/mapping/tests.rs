//! Mapped files that somebody cuts. What would end the process is tried in a child: this program once more, running
//! [`child`].

use std::io::{IoSlice, Write as _};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Barrier;

use super::*;

const PAGE: usize = 4096;
/// Tells [`child`] what to do.
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
fn a_reader_of_a_file_that_was_cut_goes_on_and_the_mapping_is_marked() {
    faults::install().expect("installs");
    let file = file_of(7, 8);
    let (mapping, bytes) = mapped(&file, 8);
    let (other, other_bytes) = mapped(&file_of(5, 2), 2);
    assert!(!mapping.is_faulty() && faults::is_intact(&bytes));
    let before = faults::count();
    file.set_len(3 * PAGE as u64).expect("cuts");
    assert_eq!((bytes[0], bytes[3 * PAGE - 1]), (7, 7), "what is left");
    assert_eq!(bytes[3 * PAGE..].iter().map(|byte| u64::from(*byte)).sum::<u64>(), 0, "what is gone");
    assert!(mapping.is_faulty() && !faults::is_intact(&bytes) && !faults::is_intact(&bytes[5..]));
    assert!(faults::count() >= before + 5);
    assert!(!other.is_faulty() && faults::is_intact(&other_bytes) && other_bytes[0] == 5);
    file.set_len(8 * PAGE as u64).expect("grows");
    assert_eq!(bytes[4 * PAGE], 0, "replaced for good");
    let (again, _) = mapped(&file, 8);
    assert!(!again.is_faulty(), "a new mapping is a new one");
}

#[test]
fn many_threads_may_meet_the_same_fault() {
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
            file.set_len(0).expect("cuts");
        });
        assert_eq!(bytes[0] == 0, mapping.is_faulty());
    }
}

#[test]
fn what_the_kernel_cannot_send_is_an_error_and_no_signal() {
    let file = file_of(7, 4);
    let (mapping, bytes) = mapped(&file, 4);
    file.set_len(PAGE as u64).expect("cuts");
    let (mut sender, _receiver) = UnixStream::pair().expect("sockets");
    let refused = sender.write_vectored(&[IoSlice::new(&bytes[PAGE..])]).expect_err("cannot be read");
    assert_eq!(refused.raw_os_error(), Some(rustix::io::Errno::FAULT.raw_os_error()));
    assert!(!mapping.is_faulty() && faults::note_unreadable(&bytes) && mapping.is_faulty());
    assert!(faults::is_intact(&bytes), "nothing was replaced by zeros");
}

#[test]
fn as_many_mappings_as_there_are_have_their_own_mark() {
    let file = file_of(1, 1);
    let mut held: Vec<_> = (0..1000).map(|_| mapped(&file, 1)).collect();
    for index in [0, 255, 256, 257, 999] {
        assert!(faults::note_unreadable(&held[index].1));
    }
    assert_eq!(held.iter().filter(|(mapping, _)| mapping.is_faulty()).count(), 5);
    let gone = held.swap_remove(0);
    let at = gone.1.as_ptr();
    let len = gone.1.len();
    drop(gone);
    assert!(held.iter().all(|(_, bytes)| bytes.as_ptr() != at || bytes.len() != len));
    drop(held);
    let (again, _) = mapped(&file, 1);
    assert!(!again.is_faulty(), "a slot that is used again is clean");
    assert!(!faults::note_unreadable(&[1, 2, 3]), "memory of others");
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
    // SAFETY: the kernel's; and `_exit` may be called anywhere.
    unsafe { libc::_exit(if (*info).si_addr().is_null() { 41 } else { 42 }) }
}

extern "C" fn exit_43(_signal: libc::c_int) {
    // SAFETY: as above.
    unsafe { libc::_exit(43) }
}

fn set_action(handler: libc::sighandler_t, flags: libc::c_int) {
    // SAFETY: a valid action, of a handler that has the type the flags say.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        (action.sa_sigaction, action.sa_flags) = (handler, flags);
        assert_eq!(libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()), 0);
    }
}

/// Touches a page that is gone, of a mapping that isn't registered.
fn fault_of_others() -> u8 {
    let file = file_of(7, 1);
    let map = MmapOptions::new().len(PAGE).map_raw_read_only(&file).expect("maps");
    file.set_len(0).expect("cuts");
    // SAFETY: it is mapped; that the page is gone is what this is about.
    unsafe { std::ptr::read_volatile(map.as_ptr()) }
}

/// Not a test by itself: what [`run_child`] runs.
#[test]
fn child() {
    let Ok(task) = std::env::var(TASK) else { return };
    let no_core = rustix::process::Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(rustix::process::Resource::Core, no_core).expect("sets the limit");
    let before = match task.split_once(' ').expect("what was before, and what happens").0 {
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
    file.set_len(0).expect("cuts");
    assert_eq!(bytes[0], 0, "one of ours");
    if task.ends_with("others") {
        fault_of_others();
    }
    std::process::exit(3);
}

#[test]
fn faults_in_our_mappings_are_outlived_whatever_was_installed_before() {
    for before in ["rust", "default", "ignored", "handler", "plain-handler"] {
        check_child(&format!("{before} ours"), Some(3), None);
    }
}

#[test]
fn faults_of_others_are_for_whatever_was_installed_before() {
    check_child("rust others", None, Some(libc::SIGBUS));
    check_child("default others", None, Some(libc::SIGBUS));
    // What the kernel does about a fault that is ignored.
    check_child("ignored others", None, Some(libc::SIGBUS));
    check_child("handler others", Some(42), None);
    check_child("plain-handler others", Some(43), None);
}

#[test]
fn a_signal_that_was_sent_is_for_whatever_was_installed_before() {
    check_child("default sent", None, Some(libc::SIGBUS));
    check_child("ignored sent", Some(3), None);
    check_child("plain-handler sent", Some(43), None);
}
