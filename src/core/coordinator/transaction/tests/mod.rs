mod ending;
mod harness;
mod initializing;
mod markers;
mod partitions;
mod queries;
mod recovery;
mod timeouts;
