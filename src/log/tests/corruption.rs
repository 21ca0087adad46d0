//! Changes any byte of any file, or truncates or removes any file: then the log opens, or opening fails with a reason,
//! and no corrupt record is served.
//!
//! `LOG_CORRUPTION_ALL=1` corrupts every byte of every file in turn, instead of a sample.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::model::number;
use super::random::Random;
use super::*;
use ottla_wire::types::TopicPartition;

const DIR: &str = "/data";
/// The number of positions per file at which the file is truncated, and at which a byte is changed.
const POSITIONS_PER_FILE: usize = 1;
const TOPIC: Uuid = Uuid([3; 16]);
/// Key and value of each record, by offset.
type Contents = BTreeMap<Offset, (Option<String>, Option<String>)>;

/// The way in which the broker that wrote the files ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Cleanly,
    Killed,
    /// During a compaction, before the cleaned segments replaced the old ones.
    BeforeSwap,
    /// While the cleaned segments replaced the old ones.
    InSwap,
}

fn partition() -> TopicPartition {
    TopicPartition::new("t", 0)
}

fn open_dir(disk: &Simulation) -> Result<LogDir, LogDirError> {
    let identity = Identity {
        node_id: 1,
        cluster_id: None,
        new_cluster_id: Uuid([1; 16]).to_string(),
        new_directory_id: Uuid([2; 16]),
    };
    LogDir::open_on(Disk::simulated(disk), Path::new(DIR), &identity)
}

fn open_log(dir: &LogDir) -> Result<Log, LogError> {
    let config = LogConfig {
        segment_bytes: 1500,
        index_interval_bytes: 200,
        retention_ms: -1,
        cleanup_compact: true,
        ..LogConfig::default()
    };
    let at = dir.open_at(&partition(), Some(TOPIC), NOW);
    Log::open(dir.disk(), &dir.partition_path(&partition()), Arc::new(config), at)
}

fn checkpoint(dir: &LogDir, log: &Log) {
    let entry = Checkpoint {
        partition: partition(),
        recovery_point: log.recovery_point(),
        log_start: log.start_offset(),
        high_watermark: log.end_offset(),
        first_dirty: log.first_dirty_offset(),
        validated: log.validated(),
    };
    dir.write_checkpoints(&[entry]).expect("writes");
}

fn batch_of(index: i32) -> Verified {
    let codec = [Codec::Gzip, Codec::Snappy, Codec::Lz4, Codec::Zstd, Codec::None][index as usize % 5];
    let builder = BatchBuilder::new(codec);
    let (key, value) = (format!("k{}", index % 9), format!("{index}: {}", "v".repeat(30)));
    let mut builder = match index % 5 {
        0 => builder.producer(ProducerIdEpoch { producer_id: 7, epoch: 0 }, index / 5 * 2),
        1 => builder.producer(ProducerIdEpoch { producer_id: 8, epoch: 0 }, index / 5).transactional(),
        3 => return marker(8, 0, if index % 2 == 0 { ControlType::Abort } else { ControlType::Commit }, 0),
        _ => builder,
    };
    for _ in 0..1 + i32::from(index % 5 == 0) {
        builder.append(NOW + i64::from(index), Some(key.as_bytes()), Some(value.as_bytes()), &[]);
    }
    builder.build().expect("builds")
}

/// Writes a directory with all kinds of files; returns it and all records that were ever appended.
fn write_directory(ended: Ended) -> (Simulation, Contents) {
    let disk = Simulation::default();
    let dir = open_dir(&disk).expect("opens");
    let mut log = open_log(&dir).expect("opens");
    let mut contents = Contents::new();
    for index in 0..40 {
        log.append(&batch_of(index), AppendParams { leader_epoch: index / 7, ..COORDINATOR }).expect("appends");
        if index == 25 {
            contents.extend(served(&log).expect("reads"));
            let synced = log.flush_target().expect("a ticket").sync();
            log.mark_synced(synced);
            compact(&mut log, &disk, ended);
            checkpoint(&dir, &log);
            if matches!(ended, Ended::BeforeSwap | Ended::InSwap) {
                return (disk, contents);
            }
        }
    }
    contents.extend(served(&log).expect("reads"));
    if ended == Ended::Cleanly {
        let synced = log.close().expect("closes").sync();
        log.mark_synced(synced);
        checkpoint(&dir, &log);
        dir.mark_clean(-1).expect("marks");
    }
    (disk, contents)
}

fn compact(log: &mut Log, disk: &Simulation, ended: Ended) {
    let mut buffers = CompactionBuffers::new(1 << 16, 0.9, 1 << 12, 7);
    let mut compaction = log.begin_compaction(NOW).expect("begins").expect("has something to do");
    while let Some(group) =
        compaction.next_group(&mut buffers, &mut |_| ControlFlow::Continue(())).expect("writes a group")
    {
        match ended {
            Ended::BeforeSwap => return,
            Ended::InSwap => {
                disk.fail_after_changes(Some(4));
                log.replace(group).expect_err("fails");
                return disk.fail_after_changes(None);
            }
            _ => {}
        }
        match log.replace(group).expect("replaces") {
            Replaced::InPlace(old) => old.unlink().expect("unlinks"),
            Replaced::LogChanged(_) => panic!("the log was not changed"),
        }
    }
    log.finish_compaction(&compaction).expect("finishes");
}

/// Reads all records like a consumer, up to the first batch with a wrong CRC.
fn served(log: &Log) -> Result<Contents, ReadError> {
    let mut contents = Contents::new();
    let mut next = log.start_offset();
    while next < log.end_offset() {
        let slice = log.read(next, 700, true, Offset::MAX)?;
        for batch in batches(&slice.bytes) {
            let Some(batch) = batch.ok().filter(|batch| batch.check_crc().is_ok()) else { return Ok(contents) };
            for record in batch.records().map_while(Result::ok).filter(|_| !batch.header().is_control()) {
                let text =
                    |bytes: Option<bytes::Bytes>| bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
                contents.insert(record.offset, (text(record.key), text(record.value)));
            }
        }
        if slice.next_offset <= next {
            return Ok(contents);
        }
        next = slice.next_offset;
    }
    Ok(contents)
}

/// Opens and uses a corrupt directory. An error is a valid outcome, a panic is not. Returns the records that were served.
fn open_and_use(disk: &Simulation) -> Result<Contents, String> {
    let dir = open_dir(disk).map_err(|error| error.to_string())?;
    let mut log = open_log(&dir).map_err(|error| error.to_string())?;
    let contents = served(&log).map_err(|error| error.to_string());
    for query in [TimestampQuery::Earliest, TimestampQuery::Latest, TimestampQuery::Max, TimestampQuery::At(NOW + 9)] {
        let _ = log.offset_for_timestamp(query);
    }
    let _ = log.aborted_transactions(log.start_offset(), log.end_offset());
    let _ = log.end_offset_for_epoch(2);
    let on = AppendParams { leader_epoch: 99, ..CLIENT };
    let _ = log.append(&by_producer(7, 0, 10, 2), on);
    let end = log.end_offset();
    if let Ok(appended) = log.append(&batch(&["plain"]), on) {
        assert_eq!(appended.base_offset, end);
    }
    let _ = log.housekeep(NOW).map(|deleted| deleted.unlink());
    let mut buffers = CompactionBuffers::new(1 << 16, 0.9, 1 << 12, 7);
    if let Ok(Some(mut compaction)) = log.begin_compaction(NOW) {
        while let Ok(Some(group)) = compaction.next_group(&mut buffers, &mut |_| ControlFlow::Continue(())) {
            let Ok(Replaced::InPlace(old)) = log.replace(group) else { break };
            let _ = old.unlink();
        }
    }
    if let Ok(ticket) = log.close() {
        log.mark_synced(ticket.sync());
        checkpoint(&dir, &log);
        let end = log.end_offset();
        drop(log);
        let dir = open_dir(disk).map_err(|error| error.to_string())?;
        assert_eq!(open_log(&dir).expect("opens again").end_offset(), end);
    }
    contents
}

/// A corruption of a file.
#[derive(Clone, Copy, Debug)]
enum Corruption {
    Removed,
    TruncatedTo(usize),
    Flipped(usize, u8),
}

impl Corruption {
    fn apply(self, disk: &Simulation, path: &Path) {
        match self {
            Corruption::Removed => Disk::simulated(disk).remove(path).expect("removes"),
            Corruption::TruncatedTo(len) => disk.corrupt(path, |bytes| bytes.truncate(len)),
            Corruption::Flipped(at, bits) => disk.corrupt(path, |bytes| bytes[at] ^= bits),
        }
    }
}

fn copy(disk: &Simulation) -> Simulation {
    let copy = Simulation::default();
    for path in disk.all_files() {
        copy.put(&path, &Disk::simulated(disk).read(&path).expect("reads").expect("is there"));
    }
    copy
}

/// Returns whether a file can be rebuilt from the records: losing it loses no record.
fn is_derived(path: &Path) -> bool {
    let name = path.to_string_lossy();
    let kinds = ["index", ".snapshot", "leader-epoch-checkpoint", "ottla-positions", "replication-offset-checkpoint"];
    kinds.iter().any(|kind| name.ends_with(kind))
}

/// An intact directory, of which copies are corrupted.
struct Original<'a> {
    ended: Ended,
    disk: &'a Simulation,
    appended: &'a Contents,
    served: &'a Contents,
}

impl Original<'_> {
    /// Corrupts a copy, and checks what is served from it.
    fn check(&self, path: &Path, corruption: Corruption) {
        let disk = copy(self.disk);
        corruption.apply(&disk, path);
        let context = || format!("{}: {corruption:?}, ended {:?}", path.display(), self.ended);
        let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| open_and_use(&disk))) else { panic!("{}", context()) };
        let contents = match outcome {
            Ok(contents) => contents,
            Err(error) => return assert!(error.contains(DIR), "{error:?} has no path: {}", context()),
        };
        if is_derived(path) {
            assert_eq!(&contents, self.served, "{}", context());
        }
        for (offset, record) in &contents {
            // The CRC doesn't cover a batch's offset, so a record may be served at a wrong one.
            let known =
                self.appended.get(offset) == Some(record) || self.appended.values().any(|known| known == record);
            assert!(known, "{record:?} at {offset} was never written: {}", context());
        }
    }
}

#[test]
fn log_with_any_corrupt_file_opens_or_fails_and_serves_no_bad_record() {
    let all = number("LOG_CORRUPTION_ALL").is_some();
    let mut random = Random(number("LOG_MODEL_SEED").unwrap_or(7));
    let mut corruptions = 0;
    for ended in [Ended::Cleanly, Ended::Killed, Ended::BeforeSwap, Ended::InSwap] {
        let (disk, appended) = write_directory(ended);
        let served = open_and_use(&copy(&disk)).expect("opens");
        let original = Original { ended, disk: &disk, appended: &appended, served: &served };
        let names: Vec<String> = disk.all_files().iter().map(|path| path.to_string_lossy().into_owned()).collect();
        let has = |end: &str| names.iter().any(|name| name.ends_with(end));
        assert_eq!((has(".cleaned"), has(".swap")), (ended == Ended::BeforeSwap, ended == Ended::InSwap), "{names:?}");
        for path in disk.all_files() {
            let len = Disk::simulated(&disk).len(&path).expect("looks").unwrap_or(0) as usize;
            let places: Vec<usize> = match all {
                true => (0..len).collect(),
                false => (0..POSITIONS_PER_FILE.min(len)).map(|_| random.below(len as u64) as usize).collect(),
            };
            original.check(&path, Corruption::Removed);
            for at in places {
                original.check(&path, Corruption::TruncatedTo(at));
                original.check(&path, Corruption::Flipped(at, 1 << random.below(8)));
                corruptions += 2;
            }
            corruptions += 1;
        }
    }
    println!("{corruptions} corruptions checked");
}
