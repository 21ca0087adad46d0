//! Notices that a file has changed, by its time, size and inode.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use ottla_config::{StoreConfig, TlsConfig};

/// The state of the files of a configuration. A file that is missing has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamps(Vec<Option<Stamp>>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    size: u64,
    inode: u64,
}

impl Stamps {
    pub fn of(config: &TlsConfig) -> Stamps {
        let stamp = |store: &StoreConfig| {
            let metadata = fs::metadata(&store.location.as_ref()?.value).ok()?;
            let modified = (metadata.mtime(), metadata.mtime_nsec());
            Some(Stamp { modified, size: metadata.size(), inode: metadata.ino() })
        };
        Stamps([&config.keystore, &config.truststore].map(stamp).into())
    }
}
