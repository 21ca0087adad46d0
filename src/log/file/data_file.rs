//! A segment's records: appended at the end, read without copying where the backing is a mapping.

use std::io::{self, ErrorKind};
use std::path::Path;

use bytes::Bytes;

use super::mapping::Mapping;
use super::{Disk, RawFile};

/// The first and the largest step in which a growing file is allocated: a small partition costs little, a busy
/// one asks seldom.
const FIRST_STEP: u64 = 16 << 10;
const LARGEST_STEP: u64 = 8 << 20;
/// A mapping is made this much larger than what is allocated: address space is free, and a new mapping has to
/// be touched anew.
const MAPPING_AHEAD: u64 = 8;

const _: () = assert!(FIRST_STEP.is_power_of_two() && LARGEST_STEP.is_power_of_two() && FIRST_STEP <= LARGEST_STEP);

/// A segment's `.log` file.
///
/// `len` counts the bytes of whole batches; a file that is written to is longer by what is preallocated.
#[derive(Debug)]
pub(crate) struct DataFile {
    len: u64,
    allocated: u64,
    /// No mapping is made beyond this, unless one batch needs it.
    limit: u64,
    /// Absent once a sealed file is mapped and synced: it costs a descriptor.
    raw: Option<RawFile>,
    mapping: Option<Mapping>,
    mapped: bool,
    preallocates: bool,
    writable: bool,
}

impl DataFile {
    /// Opens (or creates) the file that is appended to, of which `len` bytes are known to be whole batches.
    /// What lies behind them is cut off.
    pub(crate) fn open_tail(disk: &Disk, path: &Path, len: u64, limit: u64) -> io::Result<DataFile> {
        let raw = disk.open_to_write(path)?;
        let mut allocated = raw.len()?;
        if allocated < len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if allocated > len {
            raw.set_len(len)?;
            allocated = len;
        }
        let (mapped, preallocates) = (disk.is_mapped(), disk.preallocates());
        let mut file =
            DataFile { len, allocated, limit, raw: Some(raw), mapping: None, mapped, preallocates, writable: true };
        file.extend_mapping(len)?;
        Ok(file)
    }

    /// Opens a file that is only read, of which the first `len` bytes are whole batches.
    pub(crate) fn open_sealed(disk: &Disk, path: &Path, len: u64) -> io::Result<DataFile> {
        let raw = disk.open_to_read(path)?.ok_or(ErrorKind::NotFound)?;
        let allocated = raw.len()?;
        if allocated < len {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        let mut file = DataFile {
            len,
            allocated,
            limit: len,
            raw: None,
            mapping: None,
            mapped: disk.is_mapped(),
            preallocates: false,
            writable: false,
        };
        match raw.system() {
            Some(system) if file.mapped && len > 0 => file.mapping = Some(Mapping::read_only(system, index(len)?)?),
            _ => file.raw = Some(raw),
        }
        Ok(file)
    }

    /// Bytes of whole batches.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Whether it was opened for appending.
    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Whether reading costs no copy.
    pub(crate) fn is_mapped(&self) -> bool {
        self.mapping.is_some()
    }

    /// Appends the parts as one: all of them or nothing.
    pub(crate) fn append(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        let end = self.len + parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.reserve(end)?;
        match &mut self.mapping {
            Some(mapping) => mapping.append(parts)?,
            None => {
                let mut position = self.len;
                for part in parts {
                    self.raw()?.write_all_at(position, part)?;
                    position += part.len() as u64;
                }
            }
        }
        self.len = end;
        self.allocated = self.allocated.max(end);
        Ok(())
    }

    /// The bytes at `position`; without copying them if the file is mapped. They must be there.
    pub(crate) fn read(&self, position: u64, len: usize) -> io::Result<Bytes> {
        if position.checked_add(len as u64).is_none_or(|end| end > self.len) {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        if let Some(mapping) = &self.mapping {
            return mapping.slice(index(position)?, len).ok_or_else(|| ErrorKind::UnexpectedEof.into());
        }
        let mut bytes = vec![0; len];
        self.raw()?.read_exact_at(position, &mut bytes)?;
        Ok(bytes.into())
    }

    /// Cuts the preallocated tail off: nothing is appended any more.
    pub(crate) fn seal(&mut self) -> io::Result<()> {
        if self.allocated > self.len {
            self.raw()?.set_len(self.len)?;
            self.allocated = self.len;
        }
        Ok(())
    }

    /// What to sync; `None` when the file was only read.
    pub(crate) fn sync_handle(&self) -> Option<RawFile> {
        self.raw.clone()
    }

    /// Gives the descriptor back, if reading works without it. For files that are sealed and synced.
    pub(crate) fn release_descriptor(&mut self) {
        if self.mapping.is_some() {
            self.raw = None;
        }
    }

    /// Makes room for `end` bytes, on the disk and in the mapping.
    fn reserve(&mut self, end: u64) -> io::Result<()> {
        if !self.preallocates {
            return Ok(());
        }
        if end > self.allocated {
            let step = self.len.next_power_of_two().clamp(FIRST_STEP, LARGEST_STEP);
            // The limit isn't exceeded for the step's sake, only if the batch itself needs it.
            let allocate = end.next_multiple_of(step).min(self.limit).max(end);
            self.raw()?.allocate(self.allocated, allocate)?;
            self.allocated = allocate;
        }
        self.extend_mapping(end)
    }

    /// Makes the mapping, if there is to be one, reach `end`.
    fn extend_mapping(&mut self, end: u64) -> io::Result<()> {
        let mapped = self.mapping.as_ref().map_or(0, Mapping::len);
        if self.mapped && index(end)? > mapped {
            let len = (self.allocated.max(FIRST_STEP) * MAPPING_AHEAD).min(self.limit).max(self.allocated);
            let file = self.raw()?.system().ok_or(ErrorKind::Unsupported)?;
            self.mapping = Some(Mapping::writable(file, index(len)?, index(self.len)?)?);
        }
        Ok(())
    }

    fn raw(&self) -> io::Result<&RawFile> {
        self.raw.as_ref().ok_or_else(|| ErrorKind::NotFound.into())
    }
}

fn index(bytes: u64) -> io::Result<usize> {
    usize::try_from(bytes).map_err(|_| ErrorKind::InvalidInput.into())
}
