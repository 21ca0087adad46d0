//! Opens a broker on a data directory.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use thiserror::Error;
use tokio::sync::watch;

use super::advertised::Advertising;
use super::authentication::{Authentication, InvalidSasl};
use super::checkpointer::Checkpointer;
use super::cleaner::{self, Cleaner};
use super::client_metrics::{self, ClientMetrics};
use super::fetch_sessions::FetchSessions;
use super::figures::SessionFigures;
use super::groups::Groups;
use super::loggers::Loggers;
use super::metadata::{Metadata, MetadataLog, MetadataUnavailable, Snapshot};
use super::metadata_check;
use super::partition::{Partition, PartitionError};
use super::publisher::Publisher;
use super::runtime::DriveError;
use super::transactions::Transactions;
use super::{Broker, Clock, ProducerIds, figures, hosting, housekeeping, recovering, reopening};
use crate::environment::Environment;
use crate::log_rate_limiter::LogRateLimiter;
use ottla_config::BrokerConfig;
use ottla_core::coordinator::group::GroupConfig;
use ottla_core::coordinator::transaction::TransactionConfig;
use ottla_core::metadata::records::MetadataRecord;
use ottla_core::metadata::{self, MetadataConfig, MetadataError, RegisterBroker, SnapshotError, StartUser, features};
use ottla_log::{self as log, Identity, Log, LogConfig, LogDir, LogDirError, LogError, Origin};
use ottla_wire::record::control::ControlType;
use ottla_wire::record::{BatchBuilder, Codec, Verified};
use ottla_wire::types::{METADATA_TOPIC, Offset, TimestampMs, TopicId, TopicPartition};

/// How long a fetch session must not have been used before another may replace it (Kafka's constant).
const SESSION_EVICTION: Duration = Duration::from_secs(120);

/// Why a broker cannot start on a directory.
#[derive(Debug, Error)]
pub enum OpenError {
    #[error("{0}")]
    Directory(#[from] LogDirError),
    #[error("the metadata log cannot be read: {0}")]
    Metadata(#[from] DriveError),
    #[error("the metadata log cannot be opened: {0}")]
    MetadataLog(#[from] LogError),
    #[error("{0}")]
    Sasl(#[from] InvalidSasl),
    #[error("{0}")]
    Partition(#[from] PartitionError),
    #[error("{0}")]
    NotWritten(#[from] MetadataUnavailable),
    #[error("the broker cannot be registered: {0}")]
    Refused(#[from] MetadataError),
    #[error("failed to begin a leader epoch in the metadata log: {0}")]
    Epoch(String),
    #[error(
        "the metadata log in {} is damaged: {what}. Nothing was changed. Restore the files from a backup, or repair the \
         log with `ottla check-log --repair {}`: what cannot be read is lost, which may include settings of topics",
        folder.display(), data
    )]
    DamagedMetadata { folder: PathBuf, what: String, data: String },
    #[error(
        "the metadata log in {} is missing or empty, but there are partitions. Nothing was changed. Restore its folder \
         from a backup; or set metadata.log.dir, if it is in another directory; or make a new log from the partitions' \
         folders, without the topics' settings, with `ottla check-log --repair {}`",
        folder.display(), data
    )]
    MissingMetadata { folder: PathBuf, data: String },
    #[error(
        "the metadata log cannot be read: the record at offset {offset}: {reason}. Start a version that knows such \
         records, or make a new log from what can be read with `ottla check-log --repair {}`",
        data
    )]
    UnreadableMetadata { offset: Offset, reason: String, data: String },
    #[error(
        "{}/bootstrap.checkpoint cannot be read: {error}. Remove it, so that the metadata log begins like that of a new \
         cluster; or move meta.properties away and write the file again with `ottla kafka-storage format`",
        path.display()
    )]
    Bootstrap { path: PathBuf, error: SnapshotError },
}

impl Broker {
    /// Opens the data directory, and starts the background tasks. `endpoints` are the bound listeners; `loggers`
    /// controls the log. Needs a tokio runtime.
    pub async fn open(
        config: BrokerConfig,
        environment: Environment,
        endpoints: Vec<metadata::Endpoint>,
        loggers: Arc<dyn Loggers>,
        log_rate_limiter: Arc<LogRateLimiter>,
    ) -> Result<Arc<Broker>, OpenError> {
        let config = Arc::new(config);
        let clock = environment.clock;
        let log_dir = Arc::new(open_log_dir(&config, &environment)?);
        let authentication = Authentication::open(&config, &log_dir, environment.clock, environment.random.clone())?;
        let (partition_failed, failed_partitions) = watch::channel(());
        let publisher =
            Publisher::new(Arc::clone(&config), &environment, Arc::clone(&log_dir), partition_failed.clone());
        let publisher = Arc::new(publisher);
        let codec = Codec::from_id(config.groups.offsets_topic_compression_codec).unwrap_or_default();
        let limiter = Arc::clone(&log_rate_limiter);
        let groups = Groups::new(clock, GroupConfig::from(&*config), codec, Arc::clone(&publisher), limiter);
        let groups = Arc::new(groups);
        let (signals, work) = housekeeping::signals();
        let transactions = Transactions::new(
            clock,
            TransactionConfig::from(&*config),
            Arc::clone(&publisher),
            Arc::clone(&groups),
            signals.clone(),
        );
        let on_published =
            housekeeping::after_publishing(Arc::clone(&groups), Arc::clone(&transactions), signals.clone());
        let (partition, before) = open_metadata_log(&config, &log_dir, clock, partition_failed)?;
        let metadata = Metadata::load(
            clock,
            metadata_config(&config),
            MetadataLog { partition, before, durable: !config.storage.ephemeral },
            Arc::clone(&publisher),
            on_published,
            Arc::clone(&log_rate_limiter),
        );
        let metadata = Arc::new(metadata.map_err(|error| unreadable(error, &log_dir))?);
        let (bootstrap_records, formatted_users) = match publisher.current().image.metadata_version() {
            None => {
                let records = bootstrap_records(&log_dir)?;
                let users = metadata::users_of(&records);
                (records, users)
            }
            Some(_) => (Vec::new(), formatted_users(&log_dir)),
        };
        let register = RegisterBroker {
            incarnation_id: environment.random.uuid(),
            endpoints,
            features: features::supported(&features::READABLE),
            rack: config.rack.clone(),
            directory_id: log_dir.meta().directory_id,
            has_metadata_log: log_dir.has_metadata(),
            found_in_directory: hosting::found_here(&publisher.current(), &log_dir),
            bootstrap_records,
        };
        metadata.submit(register).await??;
        hosting::report(&publisher.current());
        let session_figures = Arc::new(SessionFigures::default());
        let sessions = FetchSessions::new(config.fetch.max_incremental_fetch_session_cache_slots, SESSION_EVICTION)
            .with_figures(Arc::clone(&session_figures));
        let checkpointer = Checkpointer::new(
            Arc::clone(&log_dir),
            Arc::clone(&publisher),
            Arc::clone(metadata.partition()),
            config.storage.ephemeral,
        );
        let broker = Arc::new(Broker {
            clock,
            random: environment.random,
            log_dir,
            publisher,
            metadata,
            groups,
            transactions,
            producer_ids: ProducerIds::default(),
            fetch_sessions: Mutex::new(sessions),
            session_figures,
            client_metrics: ClientMetrics::new(&config, clock, environment.otlp.clone()),
            otlp: environment.otlp,
            advertising: Advertising::new(&config),
            authentication,
            loggers,
            log_rate_limiter,
            housekeeping: signals,
            cleaner: Arc::new(Cleaner::default()),
            stage: environment.stage,
            checkpointer: Arc::new(checkpointer),
            formatted_users,
            start_users: Mutex::default(),
            config,
        });
        housekeeping::start(&broker, work);
        reopening::start(&broker, failed_partitions);
        recovering::recover(&broker).await;
        cleaner::start(&broker);
        figures::register(&broker, &environment.metrics);
        client_metrics::register(&broker.client_metrics, &environment.metrics);
        Ok(broker)
    }
}

/// Chooses and opens the data directory.
fn open_log_dir(config: &BrokerConfig, environment: &Environment) -> Result<LogDir, LogDirError> {
    let identity = Identity {
        node_id: config.node_id,
        cluster_id: None,
        new_cluster_id: config.storage.cluster_id.clone().unwrap_or_else(|| environment.random.uuid().to_string()),
        new_directory_id: environment.random.uuid(),
    };
    if let Some(disk) = &environment.disk {
        return LogDir::open_on(
            disk.clone(),
            config.log_dirs.first().map_or(Path::new(""), PathBuf::as_path),
            &identity,
        );
    }
    let chosen = log::choose(&config.log_dirs, config.metadata_log_dir.as_deref())?;
    let log_dir = LogDir::open_chosen(&chosen, &identity, !config.storage.ephemeral)?;
    chosen.notices.iter().for_each(|notice| tracing::warn!("{notice}"));
    let path = chosen.data.display();
    if let Some(why) = log_dir.mmap_error() {
        tracing::warn!("files in {path} cannot be mapped and are read with copies: {why}");
    }
    let found = &log_dir.meta().cluster_id;
    if let Some(given) = config.storage.cluster_id.as_ref().filter(|given| *given != found) {
        tracing::warn!(
            "the data in {path} belongs to cluster {found}; the cluster id {given} of the settings is only for a new directory"
        );
    }
    Ok(log_dir)
}

/// Opens the metadata log and begins a leader epoch, as a KRaft leader does when it is elected.
fn open_metadata_log(
    config: &BrokerConfig,
    log_dir: &Arc<LogDir>,
    clock: Clock,
    partition_failed: watch::Sender<()>,
) -> Result<(Arc<Partition>, Option<Snapshot>), OpenError> {
    let id = TopicPartition::new(METADATA_TOPIC, 0);
    let now = clock.now().wall;
    let log_config = LogConfig { cleanup_delete: false, retention_ms: -1, ..LogConfig::default() };
    let before = metadata_check::check(log_dir, &id, now)?;
    let at = log_dir.open_at(&id, Some(TopicId::METADATA), now);
    let log = Log::open(log_dir.disk(), &log_dir.partition_path(&id), Arc::new(log_config), at)?;
    let epoch = log.latest_epoch().map_or(1, |epoch| epoch + 1);
    let partition = Arc::new(Partition::opened(id, TopicId::METADATA, epoch, log, partition_failed));
    partition.append(&leader_change(config.node_id, now)?, Origin::Coordinator, now)?;
    Ok((partition, before))
}

/// Adds what to do if a record cannot be read or does not match those before it.
fn unreadable(error: DriveError, log_dir: &LogDir) -> OpenError {
    match error {
        DriveError::Unreadable { offset, reason } => {
            OpenError::UnreadableMetadata { offset, reason, data: log_dir.paths() }
        }
        error => error.into(),
    }
}

/// The control batch that begins a leader epoch.
fn leader_change(node_id: i32, now: TimestampMs) -> Result<Verified, OpenError> {
    let value =
        metadata::records::control::leader_change(node_id).map_err(|error| OpenError::Epoch(error.to_string()))?;
    let mut batch = BatchBuilder::new(Codec::None).control();
    batch.append(now, Some(&ControlType::LeaderChange.to_key()), Some(&value), &[]);
    batch.build().map_err(|error| OpenError::Epoch(error.to_string()))
}

/// The first records of a new metadata log, which kafka-storage wrote. Empty if the directory was not formatted.
fn bootstrap_records(log_dir: &LogDir) -> Result<Vec<MetadataRecord>, OpenError> {
    match log_dir.bootstrap()? {
        Some(file) => metadata::read_snapshot(&Bytes::from(file))
            .map_err(|error| OpenError::Bootstrap { path: log_dir.path().to_path_buf(), error }),
        None => Ok(Vec::new()),
    }
}

/// The users that kafka-storage wrote for the first start, which a reset restores.
fn formatted_users(log_dir: &LogDir) -> Vec<StartUser> {
    match bootstrap_records(log_dir) {
        Ok(records) => metadata::users_of(&records),
        Err(error) => {
            tracing::warn!(%error, "a reset will not restore the users of kafka-storage format");
            Vec::new()
        }
    }
}

fn metadata_config(config: &Arc<BrokerConfig>) -> MetadataConfig {
    MetadataConfig {
        node_id: config.node_id,
        default_partitions: config.topics.num_partitions,
        default_replication_factor: config.topics.default_replication_factor,
        replication: config.topics.replication_factor_policy,
        topic_deletion: config.topics.delete_topic_enable,
        broker: Arc::clone(config),
    }
}
