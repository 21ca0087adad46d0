//! The part of polling that has to do with the group.

use tokio::time::Instant;

use super::member_state::{Change, Consequence};
use super::positions::Progress;
use super::{Consumer, ConsumerError, Event, Start};
use crate::ClientError;
use ottla_wire::types::TopicPartition;

impl Consumer {
    pub(super) fn must_join(&self) -> bool {
        self.joining.is_some()
            || self.coordination.as_ref().is_some_and(|coordination| coordination.membership.lock().must_join())
    }

    pub(super) fn rejoin(&mut self) {
        if let Some(coordination) = &self.coordination {
            coordination.membership.lock().rejoin();
        }
    }

    /// One step towards an assignment: gives up what has to be given up first, joins, takes what it is given.
    pub(super) async fn join(&mut self) -> Result<(), ConsumerError> {
        if self.joining.is_none() {
            self.start_to_join().await?;
            if !self.events.is_empty() {
                return Ok(());
            }
        }
        let Some(joining) = &mut self.joining else { return Ok(()) };
        let assigned = joining.await;
        self.joining = None;
        let Some(coordination) = &mut self.coordination else { return Ok(()) };
        match assigned {
            Ok(assigned) => {
                let change = coordination.membership.lock().assigned(assigned);
                coordination.start_heart();
                self.failures = 0;
                self.take(change);
                Ok(())
            }
            Err(error) => {
                coordination.membership.lock().rejoin();
                self.follow(error)
            }
        }
    }

    async fn start_to_join(&mut self) -> Result<(), ConsumerError> {
        let topics = self.subscription.names();
        let Some(coordination) = &mut self.coordination else { return Ok(()) };
        coordination.ready().await?;
        let is_in_group = coordination.membership.lock().is_in_group();
        if is_in_group {
            self.commit_before_rebalance().await?;
        }
        let Some(coordination) = &mut self.coordination else { return Ok(()) };
        coordination.stop_heart();
        let given_up = coordination.membership.lock().give_up_before_joining(&topics);
        self.joining = Some(coordination.join(&topics)?);
        if !given_up.is_empty() {
            self.give_up(&given_up);
            self.events.push_back(Event::Revoked(given_up));
        }
        Ok(())
    }

    fn take(&mut self, change: Change) {
        if !change.revoked.is_empty() {
            self.give_up(&change.revoked);
            self.events.push_back(Event::Revoked(change.revoked));
        }
        self.positions.add(&change.assigned, Start::Committed);
        self.events.push_back(Event::Assigned(change.assigned));
    }

    /// What the heartbeats ended with, if they have; starts them again, if that mends it.
    pub(super) async fn mind_heart(&mut self) -> Result<(), ConsumerError> {
        let Some(coordination) = &mut self.coordination else { return Ok(()) };
        if coordination.has_stopped_heart() {
            let news = coordination.heart_news().await;
            return news.map_or(Ok(()), |end| self.heart_ended(end));
        }
        if coordination.lacks_heart() && self.joining.is_none() {
            coordination.ready().await?;
            coordination.start_heart();
        }
        Ok(())
    }

    pub(super) fn heart_ended(&mut self, end: ClientError) -> Result<(), ConsumerError> {
        match (end.code(), &mut self.coordination) {
            // The connection is gone: the member may still be one.
            (None, Some(coordination)) => {
                coordination.forget();
                Err(end.into())
            }
            _ => self.follow(end.into()),
        }
    }

    /// Does what an error about the group means for the membership; an error is what it can't get over.
    fn follow(&mut self, error: ConsumerError) -> Result<(), ConsumerError> {
        let (Some(code), Some(coordination)) = (error.code(), &mut self.coordination) else { return Err(error) };
        match Consequence::of(code) {
            Consequence::Again => Err(error),
            Consequence::FindCoordinator => {
                coordination.forget();
                Err(error)
            }
            Consequence::Rejoin => {
                coordination.membership.lock().rejoin();
                Ok(())
            }
            Consequence::Lost => {
                coordination.stop_heart();
                let lost = coordination.membership.lock().lose(code);
                if !lost.is_empty() {
                    self.give_up(&lost);
                    self.events.push_back(Event::Revoked(lost));
                }
                Ok(())
            }
            Consequence::Fatal => Err(ConsumerError::Refused(code)),
        }
    }

    /// Asks for what the group has committed.
    pub(super) async fn find_committed(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumerError> {
        let Some(coordination) = &mut self.coordination else {
            partitions.iter().for_each(|partition| self.positions.found_committed(partition, None));
            return Ok(());
        };
        match coordination.committed(partitions).await {
            Ok(found) => {
                for partition in partitions {
                    self.positions.found_committed(partition, found.get(partition).copied());
                }
                self.failures = 0;
                Ok(())
            }
            Err(error) => self.follow(error.into()),
        }
    }

    pub(super) fn may_commit(&self) -> bool {
        self.coordination
            .as_ref()
            .is_some_and(|coordination| !self.subscription.is_some() || coordination.membership.lock().is_in_group())
    }

    pub(super) async fn auto_commit(&mut self) -> Result<(), ConsumerError> {
        let progress = self.positions.uncommitted();
        if self.may_commit() {
            self.commit_or_follow(&progress).await?;
        }
        self.next_commit = Instant::now() + self.config.auto_commit.unwrap_or(super::NEVER).min(super::NEVER);
        Ok(())
    }

    /// Others will go on from what is committed.
    async fn commit_before_rebalance(&mut self) -> Result<(), ConsumerError> {
        if self.config.auto_commit.is_none() {
            return Ok(());
        }
        let progress = self.positions.uncommitted();
        self.commit_or_follow(&progress).await
    }

    async fn commit_or_follow(&mut self, progress: &[Progress]) -> Result<(), ConsumerError> {
        match self.commit_progress(progress).await {
            Err(error) if error.code().is_some() => self.follow(error),
            done => done,
        }
    }

    pub(super) async fn commit_progress(&mut self, progress: &[Progress]) -> Result<(), ConsumerError> {
        let Some(coordination) = &mut self.coordination else { return Ok(()) };
        if progress.is_empty() {
            return Ok(());
        }
        coordination.commit(progress).await?;
        self.positions.committed(progress);
        Ok(())
    }
}
