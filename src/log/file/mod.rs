//! Files, in three backings behind one set of types: mapped for reading (the fast one), plain reads and writes (for
//! file systems that refuse shared mappings), and simulated (for tests).
//!
//! - [`Disk`]: folders, names and small files.
//! - [`RawFile`]: reads and writes at a position; indexes and recovery use it.
//! - [`DataFile`]: a segment's records, appended at the end and read without copying.
//! - `pool`: how many of all these are open at once ([`OpenLimits`]); [`PooledFile`] is a file that shares them.
//! - `mapping`: the only `unsafe` of the crate; [`faults`] has a mapped file that somebody cuts cost a partition, not the
//!   process.

mod data_file;
mod disk;
mod limits;
#[allow(unsafe_code)]
mod mapping;
mod pool;
mod pooled_file;
mod simulated;
#[cfg(test)]
mod tests;

pub(crate) use data_file::{DataFile, Loss};
pub use disk::Disk;
pub(crate) use disk::{RawFile, ran_out};
pub use limits::OpenLimits;
pub use mapping::faults;
pub(crate) use pooled_file::PooledFile;
pub use simulated::{Act, Fault, Simulation};
