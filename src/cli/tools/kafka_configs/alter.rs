//! `kafka-configs --alter`.

use super::changes::Additions;
use super::describe::resource;
use super::entities::{Entities, Kind};
use super::{Failure, Options};
use crate::cli::admin::configs::{self, Change, ResourceType};
use crate::cli::tools::output::Output;
use ottla_client::Client;

impl Options {
    pub(super) async fn alter(&self, client: &Client, entities: &Entities) -> Result<(), Failure> {
        let (Some(kind), Some(name)) = (entities.kinds.first().copied(), entities.names.first()) else { return Ok(()) };
        let additions = self.additions()?;
        let deletions = self.deletions();
        match kind {
            Kind::Users | Kind::Clients => self.alter_users(client, entities, &additions, &deletions).await?,
            Kind::Ips => self.alter_ips(client, entities, &additions, &deletions).await?,
            _ => {
                if kind == Kind::BrokerLoggers {
                    check_loggers(client, name, &additions, &deletions).await?;
                }
                let changes = changes(additions, deletions);
                let (resource, _) = resource(kind, name);
                configs::alter(client, (resource, name), &changes).await?;
            }
        }
        let mut output = Output::stdout();
        match name.as_str() {
            "" => output.line(format_args!("Completed updating default config for {} in the cluster.", kind.name())),
            name => output.line(format_args!("Completed updating config for {} {name}.", kind.singular())),
        }
        Ok(())
    }
}

fn changes(additions: Additions, deletions: Vec<String>) -> Vec<Change> {
    let deletions = deletions.into_iter().map(Change::Delete);
    deletions.chain(additions.into_iter().map(|(name, value)| Change::Set(name, value))).collect()
}

/// Fails for loggers that the broker doesn't have.
async fn check_loggers(
    client: &Client,
    broker: &str,
    additions: &Additions,
    deletions: &[String],
) -> Result<(), Failure> {
    let known = configs::describe(client, &[(ResourceType::BrokerLogger, broker)], false).await?;
    let is_known = |name: &&String| known.iter().flatten().any(|entry| entry.name == **name);
    let unknown: Vec<_> =
        deletions.iter().chain(additions.keys()).filter(|name| !is_known(name)).map(String::as_str).collect();
    match unknown.is_empty() {
        true => Ok(()),
        false => Failure::usage(format!("Invalid broker logger(s): {}", unknown.join(","))),
    }
}
