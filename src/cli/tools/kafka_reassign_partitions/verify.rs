//! `--verify`.

use std::collections::BTreeMap;

use super::generate::assignment_of_existing_topics;
use super::plan::{Dirs, Plan, Replica, commas};
use super::{Failure, Options, throttles};
use crate::cli::admin::{log_dirs, reassignments, topics};
use crate::cli::tools::output::Output;
use ottla_client::Client;
use ottla_wire::types::InOrder as _;

impl Options {
    pub(super) async fn verify(&self, client: &Client) -> Result<(), Failure> {
        let plan = Plan::parse(&self.reassignment_file()?)?;
        let mut output = Output::stdout();
        let partitions_under_way = verify_partitions(client, &plan, &mut output).await?;
        let states = dir_states(client, &plan.dirs).await?;
        let lines: Vec<_> = states.iter().map(|(replica, state)| state.text(replica)).collect();
        output.line(lines.join("\n"));
        let moves_under_way = states.values().any(|state| matches!(state, DirState::Moving { .. }));
        if !(partitions_under_way || moves_under_way || self.preserve_throttles) {
            throttles::clear(client, &plan, &mut output).await?;
        }
        Ok(())
    }
}

/// Prints the state of the plan's partitions. Returns whether any partition of the cluster is being reassigned.
async fn verify_partitions(client: &Client, plan: &Plan, output: &mut Output) -> Result<bool, Failure> {
    let under_way = reassignments::list(client, None).await?;
    let known = topics::list(client).await?.into_iter().map(|topic| topic.name);
    let is_in_plan = |name: &String| plan.partitions.iter().any(|(partition, _)| *partition.topic == **name);
    let current = assignment_of_existing_topics(client, known.filter(is_in_plan).collect()).await?;
    output.line("Status of partition reassignment:");
    let targets: BTreeMap<_, _> = plan.partitions.iter().cloned().in_order();
    for (partition, target) in targets {
        let brokers = current.get(&partition).cloned().unwrap_or_default();
        if under_way.contains_key(&partition) {
            output.line(format_args!("Reassignment of partition {partition} is still in progress."));
        } else if brokers == target {
            output.line(format_args!("Reassignment of partition {partition} is completed."));
        } else {
            output.line(format_args!(
                "There is no active reassignment of partition {partition}, but replica set is {} rather than {}.",
                commas(brokers),
                commas(target)
            ));
        }
    }
    Ok(!under_way.is_empty())
}

/// The state of a replica's move to a log directory.
enum DirState {
    /// The replica is in no log directory of the broker.
    Missing,
    Completed,
    NotMoving {
        current: String,
        target: String,
    },
    Moving {
        current: String,
        target: String,
        future: String,
    },
}

impl DirState {
    fn text(&self, replica: &Replica) -> String {
        let Replica { broker, partition } = replica;
        match self {
            DirState::Missing => format!(
                "Partition {partition} is not found in any live log dir on broker {broker}. There is likely an offline \
                 log directory on the broker."
            ),
            DirState::Completed => format!("Reassignment of replica {replica} completed successfully."),
            DirState::NotMoving { current, target } => format!(
                "Partition {partition} on broker {broker} is not being moved from log dir {current} to {target}."
            ),
            DirState::Moving { target, future, .. } if target == future => {
                format!("Reassignment of replica {replica} is still in progress.")
            }
            DirState::Moving { target, future, .. } => format!(
                "Partition {partition} on broker {broker} is being moved to log dir {future} instead of {target}."
            ),
        }
    }
}

async fn dir_states(client: &Client, targets: &Dirs) -> Result<BTreeMap<Replica, DirState>, Failure> {
    if targets.is_empty() {
        return Ok(BTreeMap::new());
    }
    let dirs = log_dirs::describe(client).await?;
    let state = |(replica, target): (&Replica, &String)| {
        let find = |is_future| {
            let holds = |dir: &&log_dirs::LogDir| {
                let mut replicas = dir.replicas.iter();
                replicas.any(|found| found.partition == replica.partition && found.is_future == is_future)
            };
            dirs.iter().find(holds).map(|dir| dir.path.clone())
        };
        let target = target.clone();
        let state = match (find(false), find(true)) {
            (None, _) => DirState::Missing,
            (Some(current), Some(future)) => DirState::Moving { current, target, future },
            (Some(current), None) if current == target => DirState::Completed,
            (Some(current), None) => DirState::NotMoving { current, target },
        };
        (replica.clone(), state)
    };
    Ok(targets.iter().map(state).in_order())
}

/// Returns those of the replicas that are being moved, and their current log directories.
pub(super) async fn moving(client: &Client, targets: &Dirs) -> Result<Dirs, Failure> {
    let states = dir_states(client, targets).await?.into_iter();
    let moving = states.filter_map(|(replica, state)| match state {
        DirState::Moving { current, .. } => Some((replica, current)),
        _ => None,
    });
    Ok(moving.in_order())
}
