//! What is on disk: logs, directories, damage, compaction, retention.

mod compaction;
mod cut_files;
mod few_descriptors;
mod flush;
mod full_disk;
mod log_dirs;
mod refusals;
mod retention;
mod strays;
