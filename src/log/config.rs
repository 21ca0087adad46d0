//! The topic settings that storage acts on.

/// Settings of one partition's log, under Kafka's names; sizes in bytes, times in milliseconds.
///
/// Shared by all partitions of a topic, so that a thousand idle ones stay small.
#[derive(Clone, Debug, PartialEq)]
pub struct LogConfig {
    /// `segment.bytes`: a segment is rolled before it would exceed this.
    pub segment_bytes: u32,
    /// `segment.ms`: a segment is rolled once record timestamps span this.
    pub segment_ms: i64,
    /// `segment.jitter.ms`: at most this is taken off `segment_ms`, differently for each segment.
    pub segment_jitter_ms: i64,
    /// `segment.index.bytes`: how large an index may grow before its segment is rolled.
    pub segment_index_bytes: u32,
    /// `index.interval.bytes`: how much is appended between two index entries.
    pub index_interval_bytes: u32,
    /// `retention.ms`; negative: no limit.
    pub retention_ms: i64,
    /// `retention.bytes`; negative: no limit.
    pub retention_bytes: i64,
    /// Whether `cleanup.policy` has `delete`; without it `retention_*` rests, the log start still counts.
    pub cleanup_delete: bool,
    /// Whether `cleanup.policy` has `compact`: offsets may then have gaps.
    pub cleanup_compact: bool,
    /// `delete.retention.ms`: how long compaction keeps tombstones and transaction markers, from when it first met them.
    pub delete_retention_ms: i64,
    /// `min.compaction.lag.ms`: a segment with a younger record is not compacted yet.
    pub min_compaction_lag_ms: i64,
    /// `max.compaction.lag.ms`: a segment whose first record is older is compacted whatever the dirty ratio.
    pub max_compaction_lag_ms: i64,
    /// `min.cleanable.dirty.ratio`: compaction waits until more than this part of the log is dirty; 0 to 1.
    pub min_cleanable_dirty_ratio: f64,
    /// `preallocate`: whether a new segment's file gets its full size at once.
    pub preallocate: bool,
    /// `producer.id.expiration.ms`: how long an idle producer is remembered.
    pub producer_id_expiration_ms: i64,
}

impl LogConfig {
    /// How long records may span before a segment is rolled: Kafka's `maxSegmentMs`. What has to be compacted in
    /// time has to leave the active segment in time.
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
