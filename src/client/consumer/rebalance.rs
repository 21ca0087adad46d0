//! The group's part of polling: joins, heartbeats, commits.

use tokio::time::Instant;

use super::member_state::{Change, Consequence};
use super::positions::Progress;
use super::{Consumer, ConsumerError, Event, Start};
use crate::ClientError;
use ottla_wire::types::TopicPartition;

impl Consumer {
    pub(super) fn must_join(&self) -> bool {
        self.joining.is_some()
            || self.coordinator.as_ref().is_some_and(|coordinator| coordinator.membership.lock().must_join())
    }

    pub(super) fn rejoin(&mut self) {
        if let Some(coordinator) = &self.coordinator {
            coordinator.membership.lock().rejoin();
        }
    }

    /// Does one step of a rebalance: revokes partitions if needed, joins, applies the assignment.
    pub(super) async fn join(&mut self) -> Result<(), ConsumerError> {
        if self.joining.is_none() {
            self.start_join().await?;
            if !self.events.is_empty() {
                return Ok(());
            }
        }
        let Some(joining) = &mut self.joining else { return Ok(()) };
        let assigned = joining.await;
        self.joining = None;
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        match assigned {
            Ok(assigned) => {
                let change = coordinator.membership.lock().assigned(assigned);
                coordinator.start_heartbeats();
                self.failures = 0;
                self.apply_assignment(change);
                Ok(())
            }
            Err(error) => {
                coordinator.membership.lock().rejoin();
                self.handle_group_error(error)
            }
        }
    }

    async fn start_join(&mut self) -> Result<(), ConsumerError> {
        let topics = self.subscription.names();
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        coordinator.ensure_ready().await?;
        let is_in_group = coordinator.membership.lock().is_in_group();
        if is_in_group {
            self.commit_before_rebalance().await?;
        }
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        coordinator.stop_heartbeats();
        let revoked = coordinator.membership.lock().revoke_before_joining(&topics);
        self.joining = Some(coordinator.join(&topics)?);
        if !revoked.is_empty() {
            self.remove_partitions(&revoked);
            self.events.push_back(Event::Revoked(revoked));
        }
        Ok(())
    }

    fn apply_assignment(&mut self, change: Change) {
        if !change.revoked.is_empty() {
            self.remove_partitions(&change.revoked);
            self.events.push_back(Event::Revoked(change.revoked));
        }
        self.positions.add(&change.assigned, Start::Committed);
        self.events.push_back(Event::Assigned(change.assigned));
    }

    /// Handles the error that ended the heartbeats, if they ended; starts them if the member needs them.
    pub(super) async fn check_heartbeats(&mut self) -> Result<(), ConsumerError> {
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        if coordinator.have_heartbeats_ended() {
            let event = coordinator.heartbeat_event().await;
            return event.map_or(Ok(()), |error| self.on_heartbeats_ended(error));
        }
        if coordinator.needs_heartbeats() && self.joining.is_none() {
            coordinator.ensure_ready().await?;
            coordinator.start_heartbeats();
        }
        Ok(())
    }

    pub(super) fn on_heartbeats_ended(&mut self, error: ClientError) -> Result<(), ConsumerError> {
        match (error.code(), &mut self.coordinator) {
            // The connection was lost, but the membership may still be valid.
            (None, Some(coordinator)) => {
                coordinator.forget_coordinator();
                Err(error.into())
            }
            _ => self.handle_group_error(error.into()),
        }
    }

    /// Updates the membership as a group error requires; returns the error if the consumer can't recover from it here.
    fn handle_group_error(&mut self, error: ConsumerError) -> Result<(), ConsumerError> {
        let (Some(code), Some(coordinator)) = (error.code(), &mut self.coordinator) else { return Err(error) };
        match Consequence::of(code) {
            Consequence::Retry => Err(error),
            Consequence::FindCoordinator => {
                coordinator.forget_coordinator();
                Err(error)
            }
            Consequence::Rejoin => {
                coordinator.membership.lock().rejoin();
                Ok(())
            }
            Consequence::MembershipLost => {
                coordinator.stop_heartbeats();
                let lost = coordinator.membership.lock().lose_membership(code);
                if !lost.is_empty() {
                    self.remove_partitions(&lost);
                    self.events.push_back(Event::Revoked(lost));
                }
                Ok(())
            }
            Consequence::Fatal => Err(ConsumerError::Refused(code)),
        }
    }

    /// Fetches the group's committed offsets.
    pub(super) async fn find_committed(&mut self, partitions: &[TopicPartition]) -> Result<(), ConsumerError> {
        let Some(coordinator) = &mut self.coordinator else {
            partitions.iter().for_each(|partition| self.positions.found_committed(partition, None));
            return Ok(());
        };
        match coordinator.committed(partitions).await {
            Ok(found) => {
                for partition in partitions {
                    self.positions.found_committed(partition, found.get(partition).copied());
                }
                self.failures = 0;
                Ok(())
            }
            Err(error) => self.handle_group_error(error.into()),
        }
    }

    pub(super) fn may_commit(&self) -> bool {
        self.coordinator
            .as_ref()
            .is_some_and(|coordinator| !self.subscription.is_some() || coordinator.membership.lock().is_in_group())
    }

    pub(super) async fn auto_commit(&mut self) -> Result<(), ConsumerError> {
        let progress = self.positions.uncommitted();
        if self.may_commit() {
            self.commit_or_handle_error(&progress).await?;
        }
        self.next_commit = Instant::now() + self.config.auto_commit.unwrap_or(super::NEVER).min(super::NEVER);
        Ok(())
    }

    /// Commits before a rebalance, because the next owners start from the committed offsets.
    async fn commit_before_rebalance(&mut self) -> Result<(), ConsumerError> {
        if self.config.auto_commit.is_none() {
            return Ok(());
        }
        let progress = self.positions.uncommitted();
        self.commit_or_handle_error(&progress).await
    }

    async fn commit_or_handle_error(&mut self, progress: &[Progress]) -> Result<(), ConsumerError> {
        match self.commit_progress(progress).await {
            Err(error) if error.code().is_some() => self.handle_group_error(error),
            done => done,
        }
    }

    pub(super) async fn commit_progress(&mut self, progress: &[Progress]) -> Result<(), ConsumerError> {
        let Some(coordinator) = &mut self.coordinator else { return Ok(()) };
        if progress.is_empty() {
            return Ok(());
        }
        coordinator.commit(progress).await?;
        self.positions.committed(progress);
        Ok(())
    }
}
