//! Work that blocks on the disk: it runs on threads of its own, so that it does not hold up the runtime's tasks.
//!
//! In a simulated broker it runs on the runtime's only thread, so that everything happens in an order that depends on
//! the seed alone.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinError;

/// Runs work and waits for it.
///
/// # Errors
/// If the work panicked, or did not begin because the runtime stops.
pub async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
    match is_simulated() {
        true => Ok(work()),
        false => tokio::task::spawn_blocking(work).await,
    }
}

/// Runs work on this thread while other threads, if there are any, run its tasks. May be called within such work.
pub fn in_place<T>(work: impl FnOnce() -> T) -> T {
    let runtime = Handle::try_current();
    match runtime.is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread) {
        true => tokio::task::block_in_place(work),
        false => work(),
    }
}

/// Starts work without waiting for its end. In a simulation, the work has not started when this returns; otherwise it may have.
pub fn spawn(work: impl FnOnce() + Send + 'static) {
    match is_simulated() {
        true => drop(tokio::spawn(async { work() })),
        false => drop(tokio::task::spawn_blocking(work)),
    }
}

#[cfg(not(test))]
const fn is_simulated() -> bool {
    false
}

#[cfg(test)]
fn is_simulated() -> bool {
    simulation::IS_SIMULATED.get()
}

#[cfg(test)]
pub mod simulation {
    //! Runs blocking work of the current thread's runtime on this thread.

    use std::cell::Cell;

    thread_local! {
        pub(super) static IS_SIMULATED: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs blocking work on the current thread until the guard is dropped.
    pub struct OnThisThread(());

    impl OnThisThread {
        pub fn begin() -> OnThisThread {
            IS_SIMULATED.set(true);
            OnThisThread(())
        }
    }

    impl Drop for OnThisThread {
        fn drop(&mut self) {
            IS_SIMULATED.set(false);
        }
    }
}
