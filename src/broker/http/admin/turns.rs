//! The turns of changes: some are made at once, more wait, and neither can use up the port's connections or wait without
//! end.

use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::clock::Clock;

/// The number of concurrent changes.
pub(super) const MAX_CHANGES: usize = 32;
/// The number of changes that wait. With those that are made, below the number of connections so that other requests are
/// still served.
pub(super) const MAX_WAITING: usize = 192;
/// The longest wait for a turn. The rest of the time for a response is for the change.
const TURN_TIMEOUT: Duration = Duration::from_secs(20);

#[derive(Debug)]
pub(super) struct Turns {
    /// Changes that are made or wait.
    places: Semaphore,
    running: Semaphore,
    clock: Clock,
}

/// The permission to make a change. Dropping it ends the turn.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    _running: SemaphorePermit<'a>,
    _place: SemaphorePermit<'a>,
}

impl Turns {
    pub fn new(clock: Clock) -> Turns {
        Turns { places: Semaphore::new(MAX_CHANGES + MAX_WAITING), running: Semaphore::new(MAX_CHANGES), clock }
    }

    /// Waits for a turn, in the order of the calls. `None` if too many changes wait, or if it takes too long.
    pub async fn next(&self) -> Option<Turn<'_>> {
        let place = self.places.try_acquire().ok()?;
        let running = self.clock.timeout(TURN_TIMEOUT, self.running.acquire()).await?.ok()?;
        Some(Turn { _running: running, _place: place })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// Waits for a turn in a task, and passes on whether it came.
    fn ask(turns: &Arc<Turns>) -> tokio::task::JoinHandle<bool> {
        let turns = Arc::clone(turns);
        tokio::spawn(async move { turns.next().await.is_some() })
    }

    #[tokio::test(start_paused = true)]
    async fn changes_beyond_those_at_once_wait_and_beyond_the_places_are_refused() {
        let turns = Arc::new(Turns::new(Clock::simulated(0)));
        let mut held = Vec::new();
        for _ in 0..MAX_CHANGES {
            held.push(turns.next().await.unwrap());
        }
        let waiting: Vec<_> = (0..MAX_WAITING).map(|_| ask(&turns)).collect();
        while turns.places.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert!(turns.next().await.is_none(), "no place");
        assert!(waiting.iter().all(|task| !task.is_finished()));
        held.clear();
        for task in waiting {
            assert!(task.await.unwrap());
        }
        assert!(turns.next().await.is_some(), "all places are free again");
    }

    #[tokio::test(start_paused = true)]
    async fn change_that_waits_too_long_is_refused_and_frees_its_place() {
        let turns = Arc::new(Turns::new(Clock::simulated(0)));
        let mut held = Vec::new();
        for _ in 0..MAX_CHANGES {
            held.push(turns.next().await.unwrap());
        }
        assert!(turns.next().await.is_none());
        assert_eq!(turns.clock.monotonic(), TURN_TIMEOUT);
        assert_eq!(turns.places.available_permits(), MAX_WAITING);
    }
}
