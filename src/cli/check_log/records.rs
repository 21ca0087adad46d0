//! The records of a segment that are readable.

use std::path::Path;

use crate::cli::tools::kafka_dump_log::batches::BatchFile;
use ottla_wire::record::{Batch, Record};

/// Visits the records of a segment in order, without control records. Stops before the first batch that cannot be read,
/// because what is corrupt is reported when the log itself is checked.
pub fn for_each_record(segment: &Path, visit: impl FnMut(Record)) {
    let _ = visit_records(segment, visit);
}

fn visit_records(segment: &Path, mut visit: impl FnMut(Record)) -> Option<()> {
    let file = BatchFile::open(segment, u64::MAX).ok()?;
    let mut position = 0;
    while let Some(found) = file.batch_at(position, u64::MAX).ok()? {
        position += found.size;
        let batch = Batch::parse(&file.bytes_of(&found).ok()?).ok()?;
        if !batch.header().is_control() {
            batch.records().map_while(Result::ok).for_each(&mut visit);
        }
    }
    Some(())
}
