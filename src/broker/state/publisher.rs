//! What is published of the metadata machine's image: topics with their partitions in service.
//!
//! Invariant: an image is published only when its records are durable, images are published in the
//! order of the log, and a reply to the command that made one leaves after it is published. So
//! whoever is told of a topic can use it, and whoever is told of a deletion finds the topic gone.

use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::cluster::{Cluster, Place, Topic};
use super::partition::{OpenLog, Partition};
use super::random;
use crate::clock;
use ottla_config::{BrokerConfig, TopicConfig};
use ottla_core::metadata::{Hosting, Image, PartitionImage, TopicImage};
use ottla_log::{DeletedFiles, Log, LogConfig, LogDir, LogError, OpenAt};
use ottla_wire::types::{Offset, PartitionIndex, TopicName, TopicPartition};

/// Keeps the published view and brings partitions into and out of service.
pub struct Publisher {
    config: Arc<BrokerConfig>,
    log_dir: Arc<LogDir>,
    /// The end offset of the metadata log that `current` stands for; held while publishing.
    published_to: Mutex<Offset>,
    current: RwLock<Arc<Cluster>>,
    /// The settings of `current`.
    settings: watch::Sender<Arc<BrokerConfig>>,
    /// Woken by every partition that fails.
    trouble: watch::Sender<()>,
}

/// What publishing an image did to the partitions in service.
#[derive(Debug, Default)]
pub struct Published {
    /// Names that no topic bears any more, or another topic than before.
    pub deleted: Vec<TopicName>,
    /// The deleted partitions' files, out of the way and to be unlinked.
    pub files: Vec<DeletedFiles>,
}

impl Publisher {
    pub fn new(config: Arc<BrokerConfig>, log_dir: Arc<LogDir>, trouble: watch::Sender<()>) -> Publisher {
        let nothing = Cluster::new(Arc::clone(&config));
        let settings = watch::Sender::new(Arc::clone(&config));
        Publisher {
            config,
            log_dir,
            published_to: Mutex::new(-1),
            current: RwLock::new(Arc::new(nothing)),
            settings,
            trouble,
        }
    }

    /// The view in force.
    pub fn current(&self) -> Arc<Cluster> {
        Arc::clone(&self.current.read())
    }

    /// The broker's settings in force, from now on.
    pub fn settings(&self) -> watch::Receiver<Arc<BrokerConfig>> {
        self.settings.subscribe()
    }

    /// The end of the metadata log that the view in force stands for.
    pub fn published_to(&self) -> Offset {
        *self.published_to.lock()
    }

    /// Puts the image at `end` of the metadata log in force, unless a later one already is.
    pub fn publish(&self, image: Image, end: Offset) -> Published {
        let mut published_to = self.published_to.lock();
        if *published_to >= end {
            return Published::default();
        }
        let before = self.current();
        let config = self.config_in_force(&before, &image);
        let mut after = before.with(image.clone(), Arc::clone(&config));
        // First, because a new topic may bear the name of a deleted one, and so needs its folders out of the way
        // before anybody can use it.
        let gone = image.topics_gone_since(&before.image).filter_map(|topic| after.remove(topic.id)).collect();
        let published = self.retire(gone);
        let touched = match Arc::ptr_eq(&before.config, &config) {
            true => image.topics_touched_since(&before.image),
            false => image.topics().collect(),
        };
        for topic in touched {
            after.put(self.topic(&before, &image, &config, topic));
        }
        let after = Arc::new(after);
        *self.current.write() = Arc::clone(&after);
        *published_to = end;
        if !Arc::ptr_eq(&before.config, &after.config) {
            self.settings.send_replace(Arc::clone(&after.config));
        }
        published
    }

    /// Takes topics out of service.
    fn retire(&self, gone: Vec<Arc<Topic>>) -> Published {
        let mut published = Published::default();
        if gone.is_empty() {
            // What follows waits for checkpoints that are being written.
            return published;
        }
        for topic in &gone {
            published.deleted.push(Arc::clone(topic.name()));
            for partition in topic.local_partitions() {
                let deleted = match partition.delete(random::uuid()) {
                    Some(deleted) => deleted.map(Some),
                    None => self.log_dir.delete(partition.id(), random::uuid()),
                };
                match deleted {
                    Ok(files) => published.files.extend(files),
                    Err(error) => {
                        let partition = partition.id();
                        tracing::error!(%partition, %error, "files of a deleted partition stay on disk");
                    }
                }
            }
        }
        let local = || gone.iter().flat_map(|topic| topic.local_partitions()).map(|partition| partition.id());
        if let Err(error) = self.log_dir.remove_checkpoints(local()) {
            tracing::error!(%error, "failed to remove deleted partitions from the checkpoint files, retrying when a log is opened");
        }
        published
    }

    /// The settings with what the image says of this broker; the same as before where that is.
    fn config_in_force(&self, before: &Cluster, image: &Image) -> Arc<BrokerConfig> {
        let node = self.config.node_id;
        let of = |image: &Image| (Arc::clone(image.default_broker_configs()), Arc::clone(image.broker_configs(node)));
        let (for_all, for_this) = of(image);
        if of(&before.image) == (Arc::clone(&for_all), Arc::clone(&for_this)) {
            return Arc::clone(&before.config);
        }
        Arc::new(self.config.with_dynamic(&for_all, &for_this))
    }

    /// The topic of the new image: the one in service where nothing about it changed.
    fn topic(
        &self,
        before: &Cluster,
        image: &Image,
        broker: &Arc<BrokerConfig>,
        topic: &Arc<TopicImage>,
    ) -> Arc<Topic> {
        let overrides = image.topic_configs(&topic.name);
        let old = before.topic_by_id(topic.id);
        let same_settings = old.is_some()
            && Arc::ptr_eq(&before.config, broker)
            && Arc::ptr_eq(before.image.topic_configs(&topic.name), overrides);
        if let Some(old) = old
            && Arc::ptr_eq(&old.image, topic)
            && same_settings
        {
            return Arc::clone(old);
        }
        let config = match old {
            Some(old) if same_settings => Arc::clone(&old.config),
            _ => Arc::new(TopicConfig::resolve(broker, overrides)),
        };
        let log_config = Arc::new(log_config(&config, broker));
        if let Some(old) = old
            && !same_settings
        {
            for partition in old.local_partitions() {
                partition.set_config(Arc::clone(&log_config), config.flush_messages);
            }
        }
        let place = |(index, image): (PartitionIndex, &PartitionImage)| {
            match image.hosting(self.config.node_id, self.log_dir.meta().directory_id) {
                Hosting::OtherNode => return Place::OtherNode,
                Hosting::AbsentDirectory(_) => return Place::AbsentDirectory,
                Hosting::Here => {}
            }
            let partition = match old.and_then(|old| old.local_partition(index)) {
                Some(in_service) => {
                    in_service.raise_leader_epoch(image.leader_epoch);
                    Arc::clone(in_service)
                }
                None => self.partition(topic, index, image, &log_config, config.flush_messages),
            };
            Place::Here { partition, leads: image.leader == self.config.node_id }
        };
        let places = topic.partitions().map(place).collect();
        Arc::new(Topic::new(Arc::clone(topic), config, self.config.node_id, places))
    }

    fn partition(
        &self,
        topic: &Arc<TopicImage>,
        index: PartitionIndex,
        image: &PartitionImage,
        config: &Arc<LogConfig>,
        flush_messages: i64,
    ) -> Arc<Partition> {
        let id = TopicPartition::new(Arc::clone(&topic.name), index);
        let (log_dir, config, opened, topic_id) = (Arc::clone(&self.log_dir), Arc::clone(config), id.clone(), topic.id);
        let open: OpenLog = Box::new(move || {
            log_dir.retry_remove_checkpoints()?;
            let at = log_dir.open_at(&opened, Some(topic_id), clock::wall_clock_ms());
            let path = log_dir.partition_path(&opened);
            match Log::open(log_dir.disk(), &path, Arc::clone(&config), at) {
                // What is left of a topic of the same name, whose deletion a crash cut short.
                Err(LogError::OtherTopic { found, .. }) => {
                    let aside = log_dir.rename_to_stray(&opened, random::uuid())?;
                    let aside = aside.display();
                    tracing::warn!(partition = %opened, topic_id = %found, "data of another topic was moved to {aside}");
                    let empty = OpenAt { topic_id: Some(topic_id), ..OpenAt::fresh(clock::wall_clock_ms()) };
                    Log::open(log_dir.disk(), &path, Arc::clone(&config), empty)
                }
                opened => opened,
            }
        });
        Arc::new(Partition::new(id, topic.id, image.leader_epoch, flush_messages, open, self.trouble.clone()))
    }
}

/// The part of a topic's settings that storage acts on.
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
