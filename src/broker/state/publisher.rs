//! Publishes the metadata machine's images: opens and closes the partitions of created and deleted topics, and applies
//! changed settings and quotas.
//!
//! Invariant: an image is published when its records are durable. Images are published in the order of the log, and
//! before the reply to the command. So a client can use a topic after the response to its creation, and no client can
//! use it after the response to its deletion.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::cluster::{Cluster, Location, Topic};
use super::figures::WorkFigures;
use super::partition::{OpenLog, Partition};
use super::quotas::Quotas;
use super::random::Random;
use super::traffic::{Counters, TopicTraffic};
use crate::clock::Clock;
use crate::environment::Environment;
use ottla_config::{BrokerConfig, TopicConfig};
use ottla_core::metadata::{Hosting, Image, PartitionImage, TopicImage};
use ottla_log::{DeletedFiles, Log, LogConfig, LogDir, LogError, OpenParams};
use ottla_wire::types::{Offset, PartitionIndex, TopicPartition};

/// The published view of the metadata.
pub struct Publisher {
    config: Arc<BrokerConfig>,
    clock: Clock,
    random: Random,
    log_dir: Arc<LogDir>,
    /// The end offset of the metadata log at `current`. Locked during the publication of an image, so that there is one
    /// at a time.
    published_to: Mutex<Offset>,
    current: RwLock<Arc<Cluster>>,
    /// The quotas of `current`.
    quotas: Arc<Quotas>,
    /// The settings of `current`.
    settings: watch::Sender<Arc<BrokerConfig>>,
    /// What is produced to all topics and fetched from them.
    traffic: Arc<Counters>,
    work: Arc<WorkFigures>,
    /// Notified by each partition that fails.
    partition_failed: watch::Sender<()>,
}

/// A published image, and the deletions that it led to.
#[derive(Debug, Default)]
pub struct Published {
    /// The image that was published before this one; `None` for the first, and if nothing was published.
    pub before: Option<Image>,
    /// The published image.
    pub image: Image,
    /// The renamed folders of deleted partitions, to be unlinked.
    pub files: Vec<DeletedFiles>,
}

impl Publisher {
    pub fn new(
        config: Arc<BrokerConfig>,
        environment: &Environment,
        log_dir: Arc<LogDir>,
        partition_failed: watch::Sender<()>,
    ) -> Publisher {
        let empty = Cluster::new(Arc::clone(&config));
        let settings = watch::Sender::new(Arc::clone(&config));
        let quotas = Arc::new(Quotas::new(environment.clock, &config.quotas));
        Publisher {
            config,
            clock: environment.clock,
            random: environment.random.clone(),
            log_dir,
            published_to: Mutex::new(-1),
            current: RwLock::new(Arc::new(empty)),
            quotas,
            settings,
            traffic: Arc::default(),
            work: Arc::default(),
            partition_failed,
        }
    }

    /// The current view.
    pub fn current(&self) -> Arc<Cluster> {
        Arc::clone(&self.current.read())
    }

    /// The client quotas.
    pub fn quotas(&self) -> &Arc<Quotas> {
        &self.quotas
    }

    /// The counters of all topics together.
    pub fn traffic(&self) -> &Arc<Counters> {
        &self.traffic
    }

    /// The figures of syncs, waiting fetches and compactions.
    pub fn work(&self) -> &Arc<WorkFigures> {
        &self.work
    }

    /// The broker's current settings, and their changes.
    pub fn settings(&self) -> watch::Receiver<Arc<BrokerConfig>> {
        self.settings.subscribe()
    }

    /// The end of the metadata log at the current view.
    pub fn published_to(&self) -> Offset {
        *self.published_to.lock()
    }

    /// Publishes the image at `end` of the metadata log, unless a later one was published.
    pub fn publish(&self, image: Image, end: Offset) -> Published {
        let mut published_to = self.published_to.lock();
        if *published_to >= end {
            return Published::default();
        }
        let before = self.current();
        let config = self.current_config(&before, &image);
        let mut after = before.with(image.clone(), Arc::clone(&config));
        // First, because a new topic may have the name of a deleted one, whose folders must be renamed before the new
        // one is used.
        let deleted = image.topics_deleted_since(&before.image).filter_map(|topic| after.remove(topic.id)).collect();
        let files = self.remove_deleted(deleted);
        let earlier = (*published_to >= 0).then(|| before.image.clone());
        let published = Published { before: earlier, image: image.clone(), files };
        let touched = match Arc::ptr_eq(&before.config, &config) {
            true => image.topics_touched_since(&before.image),
            false => image.topics().collect(),
        };
        for topic in touched {
            after.put(self.topic(&before, &image, &config, topic));
        }
        let after = Arc::new(after);
        if image.quotas_touched_since(&before.image) {
            self.quotas.set_limits(&image);
        }
        *self.current.write() = Arc::clone(&after);
        *published_to = end;
        if !Arc::ptr_eq(&before.config, &after.config) {
            self.settings.send_replace(Arc::clone(&after.config));
        }
        published
    }

    /// Closes the logs of deleted topics and renames their folders.
    fn remove_deleted(&self, deleted_topics: Vec<Arc<Topic>>) -> Vec<DeletedFiles> {
        let mut files = Vec::new();
        if deleted_topics.is_empty() {
            // Avoids waiting for the checkpoint writer.
            return files;
        }
        for topic in &deleted_topics {
            for partition in topic.local_partitions() {
                let deleted = match partition.delete(self.random.uuid()) {
                    Some(deleted) => deleted.map(Some),
                    None => self.log_dir.delete(partition.id(), self.random.uuid()),
                };
                match deleted {
                    Ok(deleted) => files.extend(deleted),
                    Err(error) => {
                        let partition = partition.id();
                        tracing::error!(%partition, %error, "failed to rename the directory of a deleted partition");
                    }
                }
            }
        }
        let local = || deleted_topics.iter().flat_map(|topic| topic.local_partitions()).map(|partition| partition.id());
        if let Err(error) = self.log_dir.remove_checkpoints(local()) {
            tracing::error!(%error, "failed to remove deleted partitions from the checkpoint files, retrying when a log is opened");
        }
        files
    }

    /// The settings with the dynamic ones of the image for this broker. If they have not changed, the same allocation.
    fn current_config(&self, before: &Cluster, image: &Image) -> Arc<BrokerConfig> {
        let node = self.config.node_id;
        let of = |image: &Image| (Arc::clone(image.default_broker_configs()), Arc::clone(image.broker_configs(node)));
        let (for_all, for_this) = of(image);
        if of(&before.image) == (Arc::clone(&for_all), Arc::clone(&for_this)) {
            return Arc::clone(&before.config);
        }
        Arc::new(self.config.with_dynamic(&for_all, &for_this))
    }

    /// The topic of the new image. If it has not changed, the same allocation.
    fn topic(
        &self,
        before: &Cluster,
        image: &Image,
        broker: &Arc<BrokerConfig>,
        topic: &Arc<TopicImage>,
    ) -> Arc<Topic> {
        let overrides = image.topic_configs(&topic.name);
        let old = before.topic_by_id(topic.id);
        let has_same_settings = old.is_some()
            && Arc::ptr_eq(&before.config, broker)
            && Arc::ptr_eq(before.image.topic_configs(&topic.name), overrides);
        if let Some(old) = old
            && Arc::ptr_eq(&old.image, topic)
            && has_same_settings
        {
            return Arc::clone(old);
        }
        let config = match old {
            Some(old) if has_same_settings => Arc::clone(&old.config),
            _ => Arc::new(TopicConfig::resolve(broker, overrides)),
        };
        let log_config = Arc::new(log_config(&config, broker));
        if let Some(old) = old
            && !has_same_settings
        {
            for partition in old.local_partitions() {
                partition.set_config(Arc::clone(&log_config), config.flush_messages);
            }
        }
        let traffic = match old {
            Some(old) => Arc::clone(&old.traffic),
            None => Arc::new(TopicTraffic::new(Arc::clone(&self.traffic))),
        };
        let locate = |(index, image): (PartitionIndex, &PartitionImage)| {
            match image.hosting(self.config.node_id, self.log_dir.meta().directory_id) {
                Hosting::OtherNode => return Location::OtherNode,
                Hosting::AbsentDirectory(_) => return Location::AbsentDirectory,
                Hosting::Here => {}
            }
            let partition = match old.and_then(|old| old.local_partition(index)) {
                Some(partition) => {
                    partition.raise_leader_epoch(image.leader_epoch);
                    Arc::clone(partition)
                }
                None => {
                    let partition = self.partition(topic, index, image, &log_config, config.flush_messages);
                    let partition = partition.with_flushes(self.clock, Arc::clone(&self.work));
                    Arc::new(partition.with_traffic(Arc::clone(&traffic)))
                }
            };
            Location::Here { partition, leads: image.leader == self.config.node_id }
        };
        let locations = topic.partitions().map(locate).collect();
        Arc::new(Topic::new(Arc::clone(topic), config, traffic, self.config.node_id, locations))
    }

    /// Creates a partition whose log is opened at its first use.
    fn partition(
        &self,
        topic: &Arc<TopicImage>,
        index: PartitionIndex,
        image: &PartitionImage,
        config: &Arc<LogConfig>,
        flush_messages: i64,
    ) -> Partition {
        let id = TopicPartition::new(Arc::clone(&topic.name), index);
        let (log_dir, config, opened, topic_id) = (Arc::clone(&self.log_dir), Arc::clone(config), id.clone(), topic.id);
        let (clock, random) = (self.clock, self.random.clone());
        let open: OpenLog = Box::new(move || {
            log_dir.retry_remove_checkpoints()?;
            let at = log_dir.open_at(&opened, Some(topic_id), clock.wall());
            let path = log_dir.partition_path(&opened);
            match Log::open(log_dir.disk(), &path, Arc::clone(&config), at) {
                // The data of a deleted topic of the same name, if a crash interrupted the deletion.
                Err(LogError::OtherTopic { found, .. }) => {
                    let stray = log_dir.rename_to_stray(&opened, random.uuid())?;
                    let stray = stray.display();
                    tracing::warn!(partition = %opened, topic_id = %found, "renamed the directory of another topic to {stray}");
                    let empty = OpenParams { topic_id: Some(topic_id), ..OpenParams::fresh(clock.wall()) };
                    Log::open(log_dir.disk(), &path, Arc::clone(&config), empty)
                }
                opened => opened,
            }
        });
        Partition::new(id, topic.id, image.leader_epoch, flush_messages, open, self.partition_failed.clone())
    }
}

/// A topic's settings for its logs.
pub fn log_config(topic: &TopicConfig, broker: &BrokerConfig) -> LogConfig {
    LogConfig {
        segment_bytes: topic.segment_limit_bytes(),
        segment_ms: topic.segment_ms,
        segment_jitter_ms: topic.segment_jitter_ms,
        segment_index_bytes: topic.segment_index_bytes,
        index_interval_bytes: topic.index_interval_bytes,
        retention_ms: topic.retention_ms,
        retention_bytes: topic.retention_bytes,
        cleanup_delete: topic.cleanup_policy.delete,
        cleanup_compact: topic.cleanup_policy.compact,
        delete_retention_ms: topic.delete_retention_ms,
        min_compaction_lag_ms: topic.min_compaction_lag_ms,
        max_compaction_lag_ms: topic.max_compaction_lag_ms,
        min_cleanable_dirty_ratio: topic.min_cleanable_dirty_ratio,
        preallocate: topic.preallocate,
        producer_id_expiration_ms: broker.storage.producer_id_expiration_ms,
    }
}
