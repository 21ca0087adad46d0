//! One task runs the timers of all machines of a runtime.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::driver::LoggedMachine;
use super::{CoordinatorRuntime, Slot};

/// Wakes the timer task when a machine has an earlier deadline than the one that it sleeps until.
#[derive(Default)]
pub(super) struct Alarm {
    wake: Notify,
    /// The end of the timer task's sleep; `None` while it is awake or waits without a deadline.
    sleeping_until: Mutex<Option<Duration>>,
}

impl Alarm {
    /// Makes the timer task wake by `deadline`.
    pub fn wake_by(&self, deadline: Option<Duration>) {
        let Some(deadline) = deadline else { return };
        let sleeps_longer = self.sleeping_until.lock().is_none_or(|until| deadline < until);
        if sleeps_longer {
            self.wake.notify_one();
        }
    }
}

impl<M> CoordinatorRuntime<M>
where
    M: LoggedMachine + Send + 'static,
    M::Reply: Send,
    M::Action: Send,
{
    /// Runs the timers of all machines when they are due; never returns.
    pub async fn run_timers(self: Arc<Self>) {
        loop {
            // While the task is awake, every new deadline stores a permit in `wake`.
            *self.alarm.sleeping_until.lock() = None;
            let next = self.run_due_timers();
            *self.alarm.sleeping_until.lock() = next;
            match next {
                Some(at) => {
                    tokio::select! { () = self.clock.sleep_until(at) => {}, () = self.alarm.wake.notified() => {} }
                }
                None => self.alarm.wake.notified().await,
            }
        }
    }

    /// Runs due timers and returns when the next one is due.
    fn run_due_timers(self: &Arc<Self>) -> Option<Duration> {
        let next = self.loaded_slots().into_iter().filter_map(|slot| {
            let now = self.clock.now();
            let (partition, due) = slot.if_active(|driver| (Arc::clone(driver.partition()), driver.poll_timeout()))?;
            if due.is_some_and(|at| at <= now.monotonic) {
                // `run` has handled and logged a failure.
                let _ = self.run(&partition, |driver| Ok(((), driver.run_timeouts(now)?)));
            }
            deadline(&slot)
        });
        next.min()
    }
}

fn deadline<M: LoggedMachine>(slot: &Slot<M>) -> Option<Duration> {
    slot.if_active(|driver| driver.poll_timeout()).flatten()
}
