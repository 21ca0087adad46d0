//! kafka-features: describes and changes a cluster's feature levels, and prints the levels of releases.
//!
//! Source of behaviour: `org.apache.kafka.tools.FeatureCommand`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use super::connect::run_to_exit;
use super::exceptions::Exception;
use super::options::ParserStyle;
use super::output::Output;
use super::releases::{self, FEATURES, Feature};
use super::servers::{BROKERS, Servers, describe_cluster};
use super::{RunTool, Tool};
use ottla_client::Client;
use ottla_core::metadata::UpgradeType;
use ottla_core::metadata::features::METADATA_VERSION;
use ottla_wire::protocol::messages::api_versions::ApiVersionsRequest;
use ottla_wire::protocol::messages::update_features::{FeatureUpdateKey, UpdateFeaturesRequest};
use ottla_wire::types::sort_by;

pub const TOOL: Tool = Tool::new::<Options>("kafka-features", ParserStyle::Argparse);

/// This tool manages feature flags in Kafka.
#[derive(Debug, Parser)]
pub struct Options {
    #[command(flatten)]
    servers: Servers,
    /// Property file containing configs to be passed to Admin Client.
    #[arg(long)]
    command_config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Describes the current active feature flags.
    Describe {
        /// The id of the node to query; any node, if not given.
        #[arg(long)]
        node_id: Option<i32>,
    },
    /// Upgrade one or more feature flags.
    Upgrade(Levels),
    /// Downgrade one or more feature flags.
    Downgrade {
        #[command(flatten)]
        levels: Levels,
        /// Perform this downgrade even if it may irreversibly destroy metadata.
        #[arg(long)]
        r#unsafe: bool,
    },
    /// Disable one or more feature flags. This is the same as downgrading the version to zero.
    Disable {
        /// A feature flag to disable.
        #[arg(long)]
        feature: Vec<String>,
        /// Disable this feature flag even if it may irreversibly destroy metadata.
        #[arg(long)]
        r#unsafe: bool,
        /// Perform a dry-run of this disable operation.
        #[arg(long)]
        dry_run: bool,
    },
    /// Print the levels of all features of a release, by default the newest.
    VersionMapping {
        /// The release, such as 4.3 or 4.3-IV0.
        #[arg(long)]
        release_version: Option<String>,
    },
    /// Print the levels of other features that a feature level depends on.
    FeatureDependencies {
        /// A feature and its level, as feature=level; can be given more than once.
        #[arg(long, required = true)]
        feature: Vec<String>,
    },
}

#[derive(Debug, clap::Args)]
struct Levels {
    /// DEPRECATED -- The level of metadata.version, such as 3.3-IV3.
    #[arg(long)]
    metadata: Option<String>,
    /// The release whose feature levels to set; see version-mapping.
    #[arg(long)]
    release_version: Option<String>,
    /// A feature and its level, as feature=level; can be given more than once.
    #[arg(long)]
    feature: Vec<String>,
    /// Validate this, but do not perform it.
    #[arg(long)]
    dry_run: bool,
}

/// Levels by feature.
type Updates = BTreeMap<String, i16>;

impl RunTool for Options {
    fn run(self, _tool: &Tool) -> ExitCode {
        let result = match &self.command {
            Command::VersionMapping { release_version } => print_mapping(release_version.as_deref()),
            Command::FeatureDependencies { feature } => {
                feature.iter().try_for_each(|feature| print_dependencies(feature))
            }
            _ => {
                return run_to_exit(self.act());
            }
        };
        result.map_or_else(|why| report_failure(&why), |()| ExitCode::SUCCESS)
    }
}

fn report_failure(why: &str) -> ExitCode {
    err_line!("{why}");
    ExitCode::FAILURE
}

impl Options {
    async fn act(&self) -> Result<(), String> {
        let client = self.servers.connect(self.command_config.as_deref()).await?;
        let down = |loses_metadata: bool| match loses_metadata {
            true => UpgradeType::UnsafeDowngrade,
            false => UpgradeType::SafeDowngrade,
        };
        match &self.command {
            Command::Describe { node_id } => describe(&client, *node_id).await,
            Command::Upgrade(levels) => {
                let updates = levels.updates(UpgradeType::Upgrade)?;
                update(&client, "upgrade", updates, UpgradeType::Upgrade, levels.dry_run).await
            }
            Command::Downgrade { levels, r#unsafe } => {
                let updates = levels.updates(down(*r#unsafe))?;
                update(&client, "downgrade", updates, down(*r#unsafe), levels.dry_run).await
            }
            Command::Disable { feature, r#unsafe, dry_run } => {
                let mut updates = Updates::new();
                feature.iter().try_for_each(|feature| add(&mut updates, feature, 0))?;
                update(&client, "disable", updates, down(*r#unsafe), *dry_run).await
            }
            // Handled by `run`, because these commands need no broker.
            Command::VersionMapping { .. } | Command::FeatureDependencies { .. } => Ok(()),
        }
    }
}

impl Levels {
    fn updates(&self, upgrade: UpgradeType) -> Result<Updates, String> {
        let mut updates = Updates::new();
        if let Some(release) = &self.release_version {
            if self.metadata.is_some() || !self.feature.is_empty() {
                return Err("Can not specify `release-version` with other feature flags.".to_owned());
            }
            let version = releases::metadata_version(release)?.level;
            updates.insert(METADATA_VERSION.to_owned(), version);
            let levels = FEATURES.iter().map(|feature| (feature.name.to_owned(), feature.level_at(version)));
            // A feature can't be upgraded to level 0.
            updates.extend(levels.filter(|(_, level)| upgrade != UpgradeType::Upgrade || *level > 0));
            return Ok(updates);
        }
        if let Some(release) = &self.metadata {
            Output::stdout().line(" `metadata` flag is deprecated and may be removed in a future release.");
            add(&mut updates, METADATA_VERSION, releases::metadata_version(release)?.level)?;
        }
        for feature in &self.feature {
            let (name, level) = name_and_level(feature)?;
            if level < 0 {
                return Err("Cannot specify a negative version level.".to_owned());
            }
            if level == 0 && upgrade == UpgradeType::Upgrade {
                let why = "The upgradeType flag should be set to SAFE_DOWNGRADE or UNSAFE_DOWNGRADE when the provided \
                           maxVersionLevel:0 is < 1.";
                return Err(why.to_owned());
            }
            add(&mut updates, name, level)?;
        }
        Ok(updates)
    }
}

fn add(updates: &mut Updates, feature: &str, level: i16) -> Result<(), String> {
    match updates.insert(feature.to_owned(), level) {
        None => Ok(()),
        Some(_) => Err(format!("Feature {feature} was specified more than once.")),
    }
}

/// Parses `feature=level`. The error is a message for stderr.
pub fn name_and_level(text: &str) -> Result<(&str, i16), String> {
    let invalid = |why: String| format!("Can't parse feature=level string {text}: {why}");
    let (name, level) = text.split_once('=').ok_or_else(|| invalid("equals sign not found.".to_owned()))?;
    let (name, level) = (name.trim(), level.trim());
    let level = level.parse().map_err(|_| invalid(format!("unable to parse {level} as a short.")))?;
    Ok((name, level))
}

async fn describe(client: &Client, node_id: Option<i32>) -> Result<(), String> {
    if let Some(id) = node_id {
        let cluster = describe_cluster(client, BROKERS, true).await.map_err(|error| error.to_string())?;
        if !cluster.brokers.iter().any(|broker| broker.broker_id == id) {
            return Err(format!("There is no node {id}."));
        }
    }
    let request = ApiVersionsRequest {
        client_software_name: "ottla".into(),
        client_software_version: env!("CARGO_PKG_VERSION").into(),
        ..Default::default()
    };
    let response = client.call(request).await.map_err(|error| Exception::from(error).to_string())?;
    let epoch = match response.finalized_features_epoch {
        ..0 => "-".to_owned(),
        epoch => epoch.to_string(),
    };
    let mut supported = response.supported_features;
    sort_by(&mut supported, |a, b| a.name.cmp(&b.name));
    let mut output = Output::stdout();
    for feature in supported {
        let finalized = response.finalized_features.iter().find(|it| it.name == feature.name);
        let level = |level| level_name(&feature.name, level);
        let (min, max) = (level(feature.min_version), level(feature.max_version));
        let finalized = level(finalized.map_or(0, |it| it.max_version_level));
        output.line(format_args!(
            "Feature: {:<40}  SupportedMinVersion: {min:<15}  SupportedMaxVersion: {max:<15}  \
             FinalizedVersionLevel: {finalized:<15}  Epoch: {epoch}",
            &*feature.name
        ));
    }
    Ok(())
}

fn level_name(feature: &str, level: i16) -> String {
    match (feature, releases::version_name(level)) {
        (METADATA_VERSION, Some(name)) => name.to_owned(),
        (METADATA_VERSION, None) => format!("UNKNOWN {level}"),
        _ => level.to_string(),
    }
}

async fn update(
    client: &Client,
    verb: &str,
    updates: Updates,
    upgrade: UpgradeType,
    dry_run: bool,
) -> Result<(), String> {
    if updates.is_empty() {
        return Err(format!("You must specify at least one feature to {verb}"));
    }
    let upgrade_type = upgrade.code();
    let feature_updates = updates.iter().map(|(feature, level)| FeatureUpdateKey {
        feature: feature.as_str().into(),
        max_version_level: *level,
        allow_downgrade: upgrade != UpgradeType::Upgrade,
        upgrade_type,
    });
    let request = UpdateFeaturesRequest {
        feature_updates: feature_updates.collect(),
        validate_only: dry_run,
        ..Default::default()
    };
    // All updates of a request have the same result.
    let answer = client.call(request).await.map_err(|error| Exception::from(error).message);
    let refused = match answer {
        Ok(answer) if answer.error_code == 0 => None,
        Ok(answer) => Some(Exception::refused(answer.error_code, answer.error_message.as_deref()).message),
        Err(why) => Some(why),
    };
    let mut output = Output::stdout();
    for (feature, level) in &updates {
        let (action, done) = match verb {
            "disable" => (format!("disable {feature}"), "disabled".to_owned()),
            _ => (format!("{verb} {feature} to {level}"), format!("{verb}d to {level}")),
        };
        match (&refused, dry_run) {
            (None, true) => output.line(format_args!("{feature} can be {done}.")),
            (None, false) => output.line(format_args!("{feature} was {done}.")),
            (Some(why), true) => output.line(format_args!("Can not {action}. {why}")),
            (Some(why), false) => output.line(format_args!("Could not {action}. {why}")),
        }
    }
    match refused {
        None => Ok(()),
        Some(_) => Err(format!("{0} out of {0} operation(s) failed.", updates.len())),
    }
}

/// Runs `version-mapping`, for kafka-storage too. The error is a message for stderr.
pub fn print_mapping(release: Option<&str>) -> Result<(), String> {
    let version = release.map_or_else(|| Ok(releases::newest_release()), releases::metadata_version)?;
    let mut output = Output::stdout();
    output.line(format_args!("{METADATA_VERSION}={} ({})", version.level, release.unwrap_or(version.name)));
    for feature in &FEATURES {
        output.line(format_args!("{}={}", feature.name, feature.level_at(version.level)));
    }
    Ok(())
}

/// Runs `feature-dependencies` for one `feature=level`, for kafka-storage too. The error is a message for stderr.
pub fn print_dependencies(text: &str) -> Result<(), String> {
    let (name, level) = name_and_level(text)?;
    let shown = |name: &str, level: i16| match (name, releases::version_name(level)) {
        (METADATA_VERSION, Some(version)) => format!("{name}={level} ({version})"),
        _ => format!("{name}={level}"),
    };
    let mut output = Output::stdout();
    if name == METADATA_VERSION {
        releases::version_name(level).ok_or_else(|| format!("Unknown metadata.version {level}"))?;
        output.line(format_args!("{} has no dependencies.", shown(name, level)));
        return Ok(());
    }
    let feature = Feature::find(name).ok_or_else(|| format!("Unknown feature: {name}"))?;
    let dependencies = match feature.levels.iter().find(|known| known.level == level) {
        Some(known) => known.needs,
        None if level == 0 => &[],
        None => return Err(format!("No feature:{name} with feature level {level}")),
    };
    match dependencies {
        [] => output.line(format_args!("{name}={level} has no dependencies.")),
        dependencies => {
            output.line(format_args!("{name}={level} requires:"));
            dependencies.iter().for_each(|(name, level)| output.line(format_args!("    {}", shown(name, *level))));
        }
    }
    Ok(())
}
