//! Storage: logs, log directories, corruption and repair, compaction, retention.

mod changed_files;
mod compaction;
mod descriptor_limit;
mod flush;
mod full_disk;
mod log_dirs;
mod refusals;
mod retention;
mod stray_folders;
