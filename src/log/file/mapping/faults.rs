//! Faults in mapped files: a page that the system can't read raises SIGBUS when a thread touches it, and is EFAULT when
//! the kernel reads it in a system call.
//!
//! This happens when another process truncates a mapped file, and when the disk fails. [`install`] installs a handler of
//! SIGBUS that keeps the process alive: if the address is in one of our mappings, the handler marks the mapping as
//! faulty, maps a page of zeros in place of the unreadable one, and lets the reader continue; the user of the mapping
//! checks the mark. Every other SIGBUS goes to the handler that was installed before, or ends the process as it would
//! have without us.
//!
//! The handler is the second line of defence: only the kernel reads from our mappings (see the parent module), so the
//! zeros are not served. With [`count`] and [`is_intact`] a sender verifies this before bytes leave.
//!
//! Invariants:
//! - The handler reads the table of mappings without a lock and without allocating: chunks of slots are appended, never
//!   freed. A slot's version is odd while the slot is written; the handler skips such a slot, which can't be the one it
//!   looks for: the interrupted reader keeps its mapping alive, and a live mapping's slot is not written.
//! - A mapping is in its slot before any reader can touch it, and leaves the slot before it is unmapped. So an address
//!   in a slot is mapped by us, and mapping another page there (MAP_FIXED) can't replace foreign memory.

use std::ffi::{c_int, c_void};
use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// Slots of one chunk of the table.
const SLOTS: usize = 256;

/// State of a mapping: no fault.
const INTACT: u8 = 0;
/// The kernel could not read a page of it.
const UNREADABLE: u8 = 1;
/// A page of it was replaced by zeros.
const ZEROED: u8 = 2;

static TABLE: Chunk = Chunk::new();
static FREE: Mutex<Free> = Mutex::new(Free { slots: Vec::new(), last: None });
/// Pages that were replaced by zeros, in all mappings.
static REPLACED: AtomicU64 = AtomicU64::new(0);
static PAGE_SIZE: AtomicUsize = AtomicUsize::new(0);
static INSTALLED: AtomicBool = AtomicBool::new(false);
/// The action for the signal before [`install`].
static PREVIOUS: OnceLock<libc::sigaction> = OnceLock::new();

/// A part of the table.
struct Chunk {
    slots: [Slot; SLOTS],
    next: OnceLock<&'static Chunk>,
}

/// One mapping, or none: then `start` and `end` are 0.
struct Slot {
    version: AtomicUsize,
    start: AtomicUsize,
    end: AtomicUsize,
    state: AtomicU8,
}

/// Slots without a mapping.
struct Free {
    slots: Vec<&'static Slot>,
    /// The last chunk in use, to which the next one is linked; `None` before the first is in use.
    last: Option<&'static Chunk>,
}

impl Chunk {
    const fn new() -> Chunk {
        Chunk { slots: [const { Slot::empty() }; SLOTS], next: OnceLock::new() }
    }
}

impl Slot {
    const fn empty() -> Slot {
        Slot {
            version: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            end: AtomicUsize::new(0),
            state: AtomicU8::new(INTACT),
        }
    }

    /// Writes the slot; called only by the thread that has taken it.
    fn set(&self, start: usize, end: usize) {
        self.version.fetch_add(1, Ordering::SeqCst);
        self.start.store(start, Ordering::SeqCst);
        self.end.store(end, Ordering::SeqCst);
        self.state.store(INTACT, Ordering::SeqCst);
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn contains(&self, address: usize) -> bool {
        let version = self.version.load(Ordering::SeqCst);
        let (start, end) = (self.start.load(Ordering::SeqCst), self.end.load(Ordering::SeqCst));
        version.is_multiple_of(2) && (start..end).contains(&address) && self.version.load(Ordering::SeqCst) == version
    }
}

impl Free {
    fn take(&mut self) -> &'static Slot {
        loop {
            if let Some(slot) = self.slots.pop() {
                return slot;
            }
            let chunk: &'static Chunk = match self.last {
                None => &TABLE,
                Some(last) => last.next.get_or_init(|| Box::leak(Box::new(Chunk::new()))),
            };
            self.slots.extend(&chunk.slots);
            self.last = Some(chunk);
        }
    }
}

/// A mapping's entry in the table, removed when this is dropped.
#[derive(Debug)]
pub(super) struct Registration(&'static Slot);

impl std::fmt::Debug for Slot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Slot({:#x}..{:#x})", self.start.load(Ordering::Relaxed), self.end.load(Ordering::Relaxed))
    }
}

impl Registration {
    /// Registers `len` mapped bytes at `start`. Must be dropped before they are unmapped.
    pub(super) fn new(start: *const u8, len: usize) -> Registration {
        let slot = FREE.lock().take();
        slot.set(start.addr(), start.addr() + len);
        Registration(slot)
    }

    /// Returns whether a page of the mapping could not be read.
    pub(super) fn is_faulty(&self) -> bool {
        self.0.state.load(Ordering::Acquire) != INTACT
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.0.set(0, 0);
        FREE.lock().slots.push(self.0);
    }
}

fn find(address: usize) -> Option<&'static Slot> {
    let mut chunk = Some(&TABLE);
    while let Some(searched) = chunk {
        if let Some(slot) = searched.slots.iter().find(|slot| slot.contains(address)) {
            return Some(slot);
        }
        chunk = searched.next.get().copied();
    }
    None
}

/// Returns how many pages of mappings were replaced by zeros since the process started. While the count does not change,
/// mapped bytes equal the content of their files.
pub fn count() -> u64 {
    REPLACED.load(Ordering::Acquire)
}

/// Returns whether `bytes` are valid: false if they are in a mapping of which a page was replaced by zeros.
pub fn is_intact(bytes: &[u8]) -> bool {
    find(bytes.as_ptr().addr()).is_none_or(|slot| slot.state.load(Ordering::Acquire) != ZEROED)
}

/// Records that the kernel could not read `bytes` (EFAULT). If they are in a mapped file, the log reads that file with
/// system calls from now on, which report the error. Returns whether they are.
pub fn note_unreadable(bytes: &[u8]) -> bool {
    let Some(slot) = find(bytes.as_ptr().addr()) else { return false };
    slot.state.fetch_max(UNREADABLE, Ordering::AcqRel);
    true
}

/// Returns whether the handler is installed, so that the process survives a fault in a mapped file.
pub fn is_installed() -> bool {
    INSTALLED.load(Ordering::Acquire)
}

/// Installs the handler of SIGBUS for this process, for its whole lifetime: from then on files may be mapped.
///
/// It chains to the previous handler. A handler that is installed later has to chain to this one.
pub fn install() -> io::Result<()> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one_at_a_time = ONE_AT_A_TIME.lock();
    if is_installed() {
        return Ok(());
    }
    PAGE_SIZE.store(rustix::param::page_size(), Ordering::Release);
    let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) = on_bus_error;
    // SAFETY: zeros are a valid `sigaction`: no flags, an empty mask. The pointers are to live values, and `on_bus_error`
    // has the type that SA_SIGINFO requires. Its comment states why it is async-signal-safe.
    unsafe {
        let mut previous: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGBUS, ptr::null(), &raw mut previous) != 0 {
            return Err(io::Error::last_os_error());
        }
        // Before the handler can run.
        let _ = PREVIOUS.set(previous);
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = handler as *const () as libc::sighandler_t;
        // On the alternate stack where a thread has one: the previous handler may report a stack overflow.
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        if libc::sigaction(libc::SIGBUS, &raw const action, ptr::null_mut()) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    INSTALLED.store(true, Ordering::Release);
    Ok(())
}

/// The handler. It may interrupt any code, so it takes no lock, allocates nothing, and does not change `errno` (rustix
/// makes its system calls without libc on Linux).
extern "C" fn on_bus_error(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t` to a handler with SA_SIGINFO. It has an address if the kernel raised
    // the signal (`si_code` above 0; below, it was sent by kill).
    let address = unsafe { ((*info).si_code > 0).then(|| (*info).si_addr().addr()) };
    let replaced = address.is_some_and(|address| find(address).is_some_and(|slot| replace_page(slot, address)));
    if !replaced {
        chain(signal, info, context);
    }
}

/// Marks the mapping as faulty and maps a page of zeros at `address`; returns whether that succeeded.
fn replace_page(slot: &Slot, address: usize) -> bool {
    let size = PAGE_SIZE.load(Ordering::Acquire);
    // The marks first: a thread that reads zeros then sees the marks too.
    slot.state.fetch_max(ZEROED, Ordering::AcqRel);
    REPLACED.fetch_add(1, Ordering::AcqRel);
    let page = ptr::without_provenance_mut::<c_void>(address & !(size - 1));
    // SAFETY: the page is in a mapping of ours, which stays mapped while it is read, as the interrupted code does now. It
    // is only read, by code that must expect any bytes in it.
    unsafe { mmap_anonymous(page, size, ProtFlags::READ, MapFlags::PRIVATE | MapFlags::FIXED) }.is_ok()
}

/// Does what would have happened without this handler.
fn chain(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    let previous = PREVIOUS.get();
    match previous.map_or(libc::SIG_DFL, |previous| previous.sa_sigaction) {
        // After the return the fault occurs again, and then ends the process: a fault that the kernel raised can't be
        // ignored.
        // SAFETY: `previous` is valid, because it was the action of this `signal`.
        libc::SIG_DFL | libc::SIG_IGN => unsafe {
            let mut default: libc::sigaction = std::mem::zeroed();
            default.sa_sigaction = libc::SIG_DFL;
            let by_kernel = (*info).si_code > 0;
            if by_kernel || previous.is_none_or(|previous| previous.sa_sigaction == libc::SIG_DFL) {
                libc::sigaction(signal, &raw const default, ptr::null_mut());
                if !by_kernel {
                    // A signal that was sent doesn't recur by itself. It is pending until this handler has returned.
                    libc::raise(signal);
                }
            }
        },
        handler if previous.is_some_and(|previous| previous.sa_flags & libc::SA_SIGINFO != 0) => {
            // SAFETY: with SA_SIGINFO the handler has this type, and gets the arguments that the kernel passed.
            let handler: extern "C" fn(c_int, *mut libc::siginfo_t, *mut c_void) =
                unsafe { std::mem::transmute::<libc::sighandler_t, _>(handler) };
            handler(signal, info, context);
        }
        handler => {
            // SAFETY: without SA_SIGINFO the handler has this type.
            let handler: extern "C" fn(c_int) = unsafe { std::mem::transmute::<libc::sighandler_t, _>(handler) };
            handler(signal);
        }
    }
}
