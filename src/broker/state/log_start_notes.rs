//! Writing down where logs begin, before somebody is told that records are deleted: all who ask during one write share
//! the next.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Broker;
use ottla_log::LogError;

/// Who waits for log starts to be noted.
#[derive(Debug, Default)]
pub struct Notes {
    /// How many have asked.
    asked: AtomicU64,
    /// How many of these are done with.
    done: AtomicU64,
    /// One write at a time.
    writing: tokio::sync::Mutex<()>,
}

impl Broker {
    /// Makes all log starts durable that are in force now. With `--ephemeral` nothing is.
    pub async fn note_log_starts(self: &Arc<Self>) -> Result<(), LogError> {
        if self.config.storage.ephemeral {
            return Ok(());
        }
        let number = self.log_start_notes.asked.fetch_add(1, Ordering::AcqRel) + 1;
        // Cut loose from the caller: a client that leaves must not hold up those who share the write.
        let broker = Arc::clone(self);
        let noted = tokio::spawn(async move {
            let notes = &broker.log_start_notes;
            let _turn = notes.writing.lock().await;
            if notes.done.load(Ordering::Acquire) >= number {
                return Ok(());
            }
            let asked = notes.asked.load(Ordering::Acquire);
            let writing = Arc::clone(&broker);
            let written = tokio::task::spawn_blocking(move || writing.write_log_starts_if_changed()).await;
            written.unwrap_or(Err(LogError::Closed))?;
            notes.done.fetch_max(asked, Ordering::AcqRel);
            Ok(())
        });
        noted.await.unwrap_or(Err(LogError::Closed))
    }
}
