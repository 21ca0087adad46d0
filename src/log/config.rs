//! The topic settings that the log uses.

/// Settings of one partition's log, under Kafka's names; sizes in bytes, times in milliseconds.
///
/// Shared by all partitions of a topic to save memory.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: the largest size of a segment.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is rolled once its record timestamps span this much time.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: the most that is subtracted from `segment_ms`, differently for each segment.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: the index size at which a segment is rolled.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: the number of bytes appended between two index entries.
    pub index_interval_bytes: u32,
    /// `retention.ms`; negative: no limit.
    pub retention_ms: i64,
    /// `retention.bytes`; negative: no limit.
    pub retention_bytes: i64,
    /// Whether `cleanup.policy` has `delete`. If not, `retention_*` has no effect; segments below the log start are
    /// deleted in any case.
    pub cleanup_delete: bool,
    /// Whether `cleanup.policy` has `compact`: offsets may then have gaps.
    pub cleanup_compact: bool,
    /// `delete.retention.ms`: how long tombstones and transaction markers are kept after compaction first reads them.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: a segment with a newer record is not compacted yet.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: a segment whose first record is older is compacted regardless of the dirty ratio.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: a log is compacted once its dirty ratio (0 to 1) is above this.
    pub min_cleanable_dirty_ratio: f64,
    /// `preallocate`: whether a new segment's file is created with its full size.
    pub preallocate: bool,
    /// `producer.id.expiration.ms`: how long the state of an idle producer is kept.
    pub producer_id_expiration_ms: i64,
}

impl LogConfig {
    /// The time that a segment's records may span before it is rolled: Kafka's `maxSegmentMs`. The active segment is
    /// never compacted, so `max.compaction.lag.ms` limits the time too.
    pub fn max_segment_ms(&self) -> i64 {
        if self.cleanup_compact && self.max_compaction_lag_ms > 0 {
            return self.segment_ms.min(self.max_compaction_lag_ms);
        }
        self.segment_ms
    }
}

impl Default for LogConfig {
    /// Kafka's defaults.
    fn default() -> Self {
        const DAY_MS: i64 = 24 * 60 * 60 * 1000;
        LogConfig {
            segment_bytes: 1 << 30,
            segment_ms: 7 * DAY_MS,
            segment_jitter_ms: 0,
            segment_index_bytes: 10 << 20,
            index_interval_bytes: 4096,
            retention_ms: 7 * DAY_MS,
            retention_bytes: -1,
            cleanup_delete: true,
            cleanup_compact: false,
            delete_retention_ms: DAY_MS,
            min_compaction_lag_ms: 0,
            max_compaction_lag_ms: i64::MAX,
            min_cleanable_dirty_ratio: 0.5,
            preallocate: false,
            producer_id_expiration_ms: DAY_MS,
        }
    }
}
