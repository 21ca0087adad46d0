//! Settings that are ours alone.

use super::settings;

settings! {
    pub(super) const OTTLA:
    "ottla.ephemeral",                 Boolean, "false", Any,                          ReadOnly,    InEffect, "Nothing is meant to outlive the process: nothing is synced to disk. --ephemeral sets it.";
    "ottla.replication.factor.policy", String,  "clamp", OneOf(&["clamp", "strict"]), ReadOnly, InEffect, "What a topic that asks for more than one replica gets: clamp makes one replica and warns, strict answers INVALID_REPLICATION_FACTOR as Kafka does.";
}
