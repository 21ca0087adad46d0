//! kafka-storage: formats log directories for a broker, and describes them. It needs no broker.
//!
//! Source of behaviour: `org.apache.kafka.tools.StorageTool` and `org.apache.kafka.metadata.storage.Formatter`.
//!
//! Differences from Kafka's tool: the quorum consists of this broker alone, regardless of the voters given. Salts and keys of
//! users are not printed.

mod levels;
mod scram;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::kafka_features::{print_dependencies, print_mapping};
use super::options::ParserStyle;
use super::output::Output;
use super::{RunTool, Tool};
use levels::Levels;
use ottla_broker::clock;
use ottla_broker::state::random::Random;
use ottla_config::{self as config, BrokerConfig, Sources};
use ottla_core::metadata::write_bootstrap;
use ottla_log::{Identity, LogDir, MetaProperties};
use ottla_wire::types::Uuid;
use scram::User;

pub const TOOL: Tool = Tool::new::<Options>("kafka-storage", ParserStyle::Argparse);

/// The Kafka storage tool.
#[derive(Debug, Parser)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Get information about the Kafka log directories on this node.
    Info {
        /// The Kafka configuration file to use.
        #[arg(long, short)]
        config: PathBuf,
    },
    /// Format the Kafka log directories on this node.
    Format(Format),
    /// Print the levels of all features of a release, by default the newest.
    VersionMapping {
        /// The release, such as 4.3 or 4.3-IV0.
        #[arg(long, short)]
        release_version: Option<String>,
    },
    /// Print the levels of other features that a feature level depends on.
    FeatureDependencies {
        /// A feature and its level, as feature=level; can be given more than once.
        #[arg(long, short, required = true)]
        feature: Vec<String>,
    },
    /// Print a random UUID.
    RandomUuid,
}

#[derive(Debug, clap::Args)]
struct Format {
    /// The Kafka configuration file to use.
    #[arg(long, short)]
    config: PathBuf,
    /// The cluster ID to use.
    #[arg(long, short = 't')]
    cluster_id: String,
    /// A user to add, as SCRAM-SHA-256=[name=alice,password=alice-secret] or
    /// SCRAM-SHA-512=[name=alice,iterations=8192,salt="...",saltedpassword="..."]; can be given more than once.
    #[arg(long, short = 'S')]
    add_scram: Vec<String>,
    /// Skip over already formatted directories rather than failing.
    #[arg(long, short = 'g')]
    ignore_formatted: bool,
    /// The release version to use for the initial feature settings.
    #[arg(long, short)]
    release_version: Option<String>,
    /// A feature and its level, as feature=level; can be given more than once.
    #[arg(long, short)]
    feature: Vec<String>,
    #[command(flatten)]
    controllers: Controllers,
}

/// The options for the controllers of a dynamic quorum, which has no `controller.quorum.voters`.
#[derive(Debug, clap::Args)]
#[group(id = "controllers", multiple = false)]
struct Controllers {
    /// This controller is the only voter of a new dynamic quorum.
    #[arg(long, short = 's')]
    standalone: bool,
    /// Format without initial voters of the dynamic quorum.
    #[arg(long, short = 'N')]
    no_initial_controllers: bool,
    /// The controllers of the dynamic quorum, as id@hostname:port:directory, separated by commas.
    #[arg(long, short = 'I')]
    initial_controllers: Option<String>,
}

impl RunTool for Options {
    fn run(self, _tool: &Tool) -> ExitCode {
        let result = match &self.command {
            Command::Info { config } => load(config).and_then(|config| info(&config)),
            Command::Format(format) => format.run().map(|()| ExitCode::SUCCESS),
            Command::VersionMapping { release_version } => {
                print_mapping(release_version.as_deref()).map(|()| ExitCode::SUCCESS)
            }
            Command::FeatureDependencies { feature } => {
                feature.iter().try_for_each(|feature| print_dependencies(feature)).map(|()| ExitCode::SUCCESS)
            }
            Command::RandomUuid => {
                Output::stdout().line(Random::system().uuid());
                Ok(ExitCode::SUCCESS)
            }
        };
        result.unwrap_or_else(|why| {
            err_line!("{why}");
            ExitCode::FAILURE
        })
    }
}

/// Loads the settings of a file, without those of the environment.
fn load(path: &Path) -> Result<BrokerConfig, String> {
    let sources = Sources { file: Some(path.to_owned()), ..Sources::default() };
    config::load(&sources).map(|resolved| resolved.config).map_err(|error| error.to_string())
}

/// Returns whether the text has the form `id@hostname:port:directory`.
fn is_voter(text: &str) -> bool {
    let parsed = || {
        let (id, rest) = text.split_once('@')?;
        let (address, directory) = rest.rsplit_once(':')?;
        let (host, port) = address.rsplit_once(':')?;
        Some((id.parse::<u32>().ok()?, port.parse::<u16>().ok()?, Uuid::parse(directory)?, !host.is_empty()))
    };
    parsed().is_some_and(|(.., has_host)| has_host)
}

fn absolute(path: &Path) -> String {
    std::path::absolute(path).as_deref().unwrap_or(path).display().to_string()
}

fn info(config: &BrokerConfig) -> Result<ExitCode, String> {
    let mut output = Output::stdout();
    let dirs = directories(config);
    let (found, mut problems): (Vec<&PathBuf>, Vec<String>) = (
        dirs.iter().filter(|dir| dir.is_dir()).collect(),
        dirs.iter().filter(|dir| !dir.is_dir()).map(|dir| format!("{} does not exist", absolute(dir))).collect(),
    );
    if !found.is_empty() {
        let names: Vec<String> = found.iter().map(|dir| format!("  {}\n", absolute(dir))).collect();
        let plural = if found.len() == 1 { "y" } else { "ies" };
        output.line(format_args!("Found log director{plural}:\n{}", names.concat()));
    }
    let mut cluster: Option<String> = None;
    for dir in found {
        let name = absolute(dir);
        match MetaProperties::read(dir) {
            Ok(Some(MetaProperties { cluster_id, directory_id, node_id })) => {
                output.line(format_args!(
                    "Found metadata: {{cluster.id={cluster_id}, directory.id={directory_id}, node.id={node_id}, \
                     version=1}}\n"
                ));
                if node_id != config.node_id {
                    let node = config.node_id;
                    problems.push(format!("{name} has node.id {node_id}, but the configuration has {node}."));
                }
                if *cluster.get_or_insert(cluster_id.clone()) != cluster_id {
                    problems.push(format!("{name} has cluster.id {cluster_id}, unlike the other directories."));
                }
            }
            Ok(None) => problems.push(format!("{name} is not formatted.")),
            Err(error) => problems.push(error.to_string()),
        }
    }
    if problems.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    let plural = if problems.len() == 1 { "" } else { "s" };
    let lines: Vec<String> = problems.iter().map(|problem| format!("  {problem}\n")).collect();
    output.line(format_args!("Found problem{plural}:\n{}", lines.concat()));
    Ok(ExitCode::FAILURE)
}

/// Returns `log.dirs`, and `metadata.log.dir` if it is not one of them.
fn directories(config: &BrokerConfig) -> Vec<PathBuf> {
    let metadata = config.metadata_log_dir.iter().filter(|dir| !config.log_dirs.contains(dir));
    config.log_dirs.iter().chain(metadata).cloned().collect()
}

impl Format {
    fn run(&self) -> Result<(), String> {
        let config = load(&self.config)?;
        self.check_quorum(&config)?;
        let mut levels = Levels::choose(self.release_version.as_deref(), &self.feature)?;
        let users = self.add_scram.iter().map(|argument| User::parse(argument)).collect::<Result<Vec<_>, _>>()?;
        levels.add_users(users)?;
        if self.is_dynamic() && levels.kraft == Some(0) {
            return Err(
                "Cannot set kraft.version to 0 if controller.quorum.voters is empty and one of the flags --standalone, \
                 --initial-controllers, or --no-initial-controllers is used. For dynamic controllers support, try \
                 removing the --feature flag for kraft.version."
                    .to_owned(),
            );
        }
        let mut unformatted = Vec::new();
        for dir in directories(&config) {
            match MetaProperties::read(&dir).map_err(|error| error.to_string())? {
                Some(found) => self.check_formatted(&absolute(&dir), &found.cluster_id)?,
                None => unformatted.push(dir),
            }
        }
        let mut output = Output::stdout();
        if unformatted.is_empty() {
            output.line("All of the log directories are already formatted.");
            return Ok(());
        }
        output.line(format_args!("Bootstrap metadata: {levels}"));
        let kind = match self.controllers.standalone || self.controllers.initial_controllers.is_some() {
            true => "dynamic metadata voter",
            false => "metadata",
        };
        let version = levels.release_name();
        let metadata = config.metadata_log_dir.as_ref().or(config.log_dirs.first());
        for dir in &unformatted {
            let kind = if Some(dir) == metadata { kind } else { "data" };
            output.line(format_args!("Formatting {kind} directory {} with metadata.version {version}.", absolute(dir)));
            output.flush();
            self.write(&config, &levels, dir)?;
        }
        Ok(())
    }

    /// Checks Kafka's rules for the options and settings of the quorum.
    fn check_quorum(&self, config: &BrokerConfig) -> Result<(), String> {
        let given = |name: &str| config.values.given(name).is_some_and(|value| !value.trim().is_empty());
        let initial = self.controllers.initial_controllers.iter().flat_map(|all| all.split(','));
        if let Some(invalid) = initial.into_iter().find(|one| !is_voter(one.trim())) {
            return Err(format!(
                "Failed to parse dynamic voter string {invalid}: it is not id@hostname:port:directory."
            ));
        }
        let dynamic = self.controllers.standalone || self.controllers.initial_controllers.is_some();
        if given("controller.quorum.voters") && dynamic {
            return Err(
                "You cannot specify controller.quorum.voters and format the node with --initial-controllers or \
                 --standalone. If you want to use dynamic quorum, please remove controller.quorum.voters and specify \
                 controller.quorum.bootstrap.servers instead."
                    .to_owned(),
            );
        }
        let is_controller = config.values.given("process.roles").is_some_and(|roles| roles.contains("controller"));
        if is_controller && !given("controller.quorum.voters") && !self.is_dynamic() {
            return Err("Because controller.quorum.voters is not set on this controller, you must specify one of the \
                 following: --standalone, --initial-controllers, or --no-initial-controllers."
                .to_owned());
        }
        Ok(())
    }

    fn is_dynamic(&self) -> bool {
        let Controllers { standalone, no_initial_controllers, initial_controllers } = &self.controllers;
        *standalone || *no_initial_controllers || initial_controllers.is_some()
    }

    /// Refuses a formatted directory, unless it belongs to the cluster and --ignore-formatted is given.
    fn check_formatted(&self, dir: &str, found: &str) -> Result<(), String> {
        if !self.ignore_formatted {
            return Err(format!(
                "Log directory {dir} is already formatted. Use --ignore-formatted to ignore this directory and format \
                 the others."
            ));
        }
        if found != self.cluster_id {
            let expected = &self.cluster_id;
            return Err(format!("Invalid cluster.id in: {dir}/meta.properties. Expected {expected}, but read {found}"));
        }
        Ok(())
    }

    fn write(&self, config: &BrokerConfig, levels: &Levels, dir: &Path) -> Result<(), String> {
        let identity = Identity {
            node_id: config.node_id,
            cluster_id: Some(self.cluster_id.clone()),
            new_cluster_id: self.cluster_id.clone(),
            new_directory_id: Random::system().uuid(),
        };
        let bootstrap = write_bootstrap(levels.records(), clock::wall_clock_ms()).map_err(|error| error.to_string())?;
        let prepared = LogDir::prepare(dir, &identity, &bootstrap.concat());
        prepared.map(drop).map_err(|error| error.to_string())
    }
}
