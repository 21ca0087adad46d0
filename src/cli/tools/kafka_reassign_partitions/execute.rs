//! `--execute` and `--cancel`.

use std::collections::BTreeSet;
use std::time::Duration;

use super::generate::{assignment_of_topics, dirs};
use super::plan::{Assignment, Dirs, Plan, Replica, commas, json};
use super::{Failure, Options, throttles, verify};
use crate::cli::admin::{self, log_dirs, reassignments};
use crate::cli::tools::exceptions::Exception;
use crate::cli::tools::options::one_number;
use crate::cli::tools::output::Output;
use ottla_broker::clock::Clock;
use ottla_client::Client;
use ottla_wire::types::{ErrorCode, InOrder as _};

/// The default time to wait until moves between log directories have started.
const MOVE_TIMEOUT_MS: u64 = 10_000;
/// The time between two attempts to start a move.
const RETRY_BACKOFF: Duration = Duration::from_millis(100);

impl Options {
    pub(super) async fn execute(&self, client: &Client) -> Result<(), Failure> {
        let text = self.reassignment_file()?;
        let number = |option, values| one_number::<i64>(option, values).map_err(Failure::local);
        let throttle = number("throttle", &self.throttle)?.filter(|rate| *rate >= 0);
        let dir_throttle = number("replica-alter-log-dirs-throttle", &self.replica_alter_log_dirs_throttle)?;
        let dir_throttle = dir_throttle.filter(|rate| *rate >= 0);
        let timeout = self.timeout()?;
        let plan = Plan::parse(&text)?;
        let proposed = plan.assignment()?;
        let under_way = reassignments::list(client, None).await?;
        if !self.additional && !under_way.is_empty() {
            return Err(Failure::Terse(EXISTING_REASSIGNMENT.to_owned()));
        }
        check_brokers(client, &proposed).await?;
        let current = current(client, &proposed).await?;
        let mut output = Output::stdout();
        output.line(format_args!(
            "Current partition replica assignment\n\n{}\n\nSave this to use as the --reassignment-json-file option \
             during rollback",
            json(&current, &dirs(client, &current).await?)?
        ));
        if throttle.is_some() || dir_throttle.is_some() {
            output.line(
                "Warning: You must run --verify periodically, until the reassignment completes, to ensure the \
                 throttle is removed.",
            );
        }
        if let Some(rate) = throttle {
            throttles::between_brokers(client, &under_way, &proposed, &current, rate).await?;
            output.line(format_args!("The inter-broker throttle limit was set to {rate} B/s"));
        }
        if let Some(rate) = dir_throttle {
            let brokers = plan.dirs.keys().map(|replica| replica.broker).in_order();
            throttles::between_dirs(client, &brokers, rate).await?;
            output.line(format_args!("The replica-alter-dir throttle limit was set to {rate} B/s"));
        }
        self.start(client, &proposed).await?;
        let plural = if proposed.len() == 1 { "" } else { "s" };
        output
            .line(format_args!("Successfully started partition reassignment{plural} for {}", commas(proposed.keys())));
        move_replicas(client, plan.dirs, timeout, &mut output).await
    }

    async fn start(&self, client: &Client, proposed: &Assignment) -> Result<(), Failure> {
        let changes: Vec<_> =
            proposed.iter().map(|(partition, brokers)| (partition.clone(), Some(brokers.clone()))).collect();
        let may_change_factor = !self.disallow_replication_factor_change;
        let errors = reassignments::alter(client, &changes, may_change_factor).await?;
        if errors.is_empty() {
            return Ok(());
        }
        let errors: Vec<_> =
            errors.iter().map(|(partition, error)| format!("{partition}: {}", error.message)).collect();
        Err(Failure::Terse(format!("Error reassigning partition(s):\n{}", errors.join("\n"))))
    }

    pub(super) async fn cancel(&self, client: &Client) -> Result<(), Failure> {
        let text = self.reassignment_file()?;
        let timeout = self.timeout()?;
        let plan = Plan::parse(&text)?;
        let partitions: BTreeSet<_> = plan.partitions.iter().map(|(partition, _)| partition.clone()).in_order();
        let partitions: Vec<_> = partitions.into_iter().collect();
        let mut active = reassignments::list(client, Some(&partitions)).await?;
        active.retain(|_, reassignment| !(reassignment.adding.is_empty() && reassignment.removing.is_empty()));
        let mut output = Output::stdout();
        if active.is_empty() {
            output.line("None of the specified partition reassignments are active.");
        } else {
            let changes: Vec<_> = active.keys().map(|partition| (partition.clone(), None)).collect();
            let errors = reassignments::alter(client, &changes, true).await?;
            if !errors.is_empty() {
                let plural = if errors.len() == 1 { "" } else { "s" };
                let errors: Vec<_> =
                    errors.iter().map(|(partition, error)| format!("{partition}: {}", error.message)).collect();
                let errors = errors.join("\n");
                return Err(Failure::Terse(format!("Error cancelling partition reassignment{plural} for:\n{errors}")));
            }
            let plural = if active.len() == 1 { "" } else { "s" };
            output.line(format_args!(
                "Successfully cancelled partition reassignment{plural} for: {}",
                commas(active.keys())
            ));
        }
        let moving = verify::moving(client, &plan.dirs).await?;
        if moving.is_empty() {
            // Without a line end, as in Kafka's tool.
            output.bytes(b"None of the specified partition moves are active.");
        } else {
            move_replicas(client, moving, timeout, &mut output).await?;
        }
        if !self.preserve_throttles {
            throttles::clear(client, &plan, &mut output).await?;
        }
        Ok(())
    }

    fn timeout(&self) -> Result<Duration, Failure> {
        let timeout = one_number::<i64>("timeout", &self.timeout).map_err(Failure::local)?;
        let timeout = timeout.map_or(MOVE_TIMEOUT_MS, |timeout| u64::try_from(timeout).unwrap_or(0));
        Ok(Duration::from_millis(timeout))
    }
}

const EXISTING_REASSIGNMENT: &str = "Cannot execute because there is an existing partition assignment.  Use --additional to override this and create a \
     new partition assignment in addition to the existing one. The --additional flag can also be used to change the \
     throttle by resubmitting the current reassignment.";

async fn check_brokers(client: &Client, proposed: &Assignment) -> Result<(), Failure> {
    let live = admin::broker_ids(client).await?;
    let requested: BTreeSet<i32> = proposed.values().flatten().copied().in_order();
    match requested.into_iter().find(|id| !live.contains(id)) {
        Some(unknown) => Failure::error(format!("Unknown broker id {unknown}")),
        None => Ok(()),
    }
}

/// Returns the current brokers of the partitions; fails if a partition doesn't exist.
async fn current(client: &Client, proposed: &Assignment) -> Result<Assignment, Failure> {
    let topics = proposed.keys().map(|partition| partition.topic.to_string()).in_order();
    let mut current = assignment_of_topics(client, topics).await?;
    current.retain(|partition, _| proposed.contains_key(partition));
    let missing: Vec<_> = proposed.keys().filter(|partition| !current.contains_key(partition)).collect();
    if missing.is_empty() {
        return Ok(current);
    }
    let missing: Vec<_> = missing.into_iter().map(ToString::to_string).collect();
    let message = format!("Unable to find partition: {}", missing.join(", "));
    Err(Exception::refused(ErrorCode::UnknownTopicOrPartition.code(), Some(&message)).into())
}

/// Starts moves between log directories. Retries while a replica isn't on its broker yet.
async fn move_replicas(
    client: &Client,
    mut pending: Dirs,
    timeout: Duration,
    output: &mut Output,
) -> Result<(), Failure> {
    let clock = Clock::start();
    while !pending.is_empty() {
        let moves: Vec<_> = pending.iter().map(|(replica, dir)| (replica.partition.clone(), dir.clone())).collect();
        let results = log_dirs::move_replicas(client, &moves).await?;
        let mut waiting = Dirs::new();
        for (replica, dir) in pending {
            let Replica { broker, partition } = &replica;
            match results.get(partition) {
                Some(Ok(())) => output.line(format_args!(
                    "Successfully started moving log directory to {dir} for replica {partition} with broker {broker} "
                )),
                Some(Err(error)) if error.simple_name() == "ReplicaNotAvailableException" => {
                    waiting.insert(replica, dir);
                }
                // Kafka's tool prints the cause in a stack trace after this message.
                Some(Err(error)) => {
                    return Failure::error(format!("Failed to alter dir for {replica}\nCaused by: {error}"));
                }
                None => {
                    return Failure::error(format!("Failed to alter dir for {replica}: the broker returned no result"));
                }
            }
        }
        pending = waiting;
        if pending.is_empty() {
            break;
        }
        if clock.monotonic() >= timeout {
            let plural = if pending.len() == 1 { "" } else { "s" };
            return Err(Failure::Terse(format!(
                "Timed out before log directory move{plural} could be started for: {}",
                commas(pending.keys())
            )));
        }
        tokio::time::sleep(RETRY_BACKOFF).await;
    }
    Ok(())
}
