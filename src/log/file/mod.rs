//! Files, with three backings behind one set of types: mapped for reading (the fastest), plain reads and writes (for
//! file systems that refuse shared mappings), and simulated (for tests).
//!
//! - [`Disk`]: folders, names and small files.
//! - [`RawFile`]: reads and writes at a position; indexes and recovery use it.
//! - [`DataFile`]: a segment's records, appended at the end and read without copying.
//! - `pool`: limits how many descriptors and mappings are open at once ([`OpenLimits`]); [`PooledFile`] is a file whose
//!   descriptor is pooled.
//! - `mapping`: the only `unsafe` code of the crate. When another process truncates a mapped file, [`faults`] lets the
//!   partition fail, not the process.

mod data_file;
mod disk;
mod limits;
#[allow(unsafe_code)]
mod mapping;
mod pool;
mod pooled_file;
mod secret;
mod simulated;
#[cfg(test)]
mod tests;

pub(crate) use data_file::{DataFile, ExternalChange};
pub use disk::Disk;
pub(crate) use disk::{RawFile, is_fd_exhaustion};
pub use limits::OpenLimits;
pub use mapping::faults;
pub(crate) use pooled_file::PooledFile;
pub use simulated::{DiskOp, Fault, Simulation};
