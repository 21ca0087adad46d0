//! Checks which options can be used together.

use super::Options;
use crate::cli::tools::output::Output;

impl Options {
    /// Returns the first error in the combination of options, if there is one.
    pub(super) fn find_usage_error(&self) -> Option<String> {
        let actions = [self.create, self.list, self.alter, self.describe, self.delete];
        if actions.iter().filter(|given| **given).count() != 1 {
            let message = "Command must include exactly one action: --list, --describe, --create, --alter or --delete";
            return Some(message.to_owned());
        }
        if !self.delete_config.is_empty() {
            err_line!(
                "delete-config option is no longer supported and deprecated since version 4.0. The config will be \
                 fully removed in future releases."
            );
        }
        if self.bootstrap_server.is_empty() {
            // Reported without the help by `connect`, which reads the option.
            return None;
        }
        self.find_missing_option().or_else(|| self.find_conflict())
    }

    fn find_missing_option(&self) -> Option<String> {
        if self.describe && self.if_exists {
            match (self.topic.is_empty(), self.topic_id.is_empty()) {
                (true, true) => return Some("--topic or --topic-id is required to describe a topic".to_owned()),
                (false, false) => Output::stdout().line(
                    "Only topic id will be used when both --topic and --topic-id are specified and topicId is not \
                     Uuid.ZERO_UUID",
                ),
                _ => {}
            }
        }
        let required = |option: &str| Some(format!("Missing required argument \"[{option}]\""));
        if !self.list && !self.describe && self.topic.is_empty() {
            return required("topic");
        }
        if self.alter && !self.config.is_empty() {
            let message = "Option combination \"[[bootstrap-server], [config]]\" can't be used with option \"[alter]\" \
                           (To alter topic configurations, the kafka-configs tool can be used.)";
            return Some(message.to_owned());
        }
        if self.alter && self.partitions.is_empty() {
            return required("partitions");
        }
        None
    }

    /// Returns the error for an option that can't be used with the action or with another option.
    fn find_conflict(&self) -> Option<String> {
        let (create, alter, list, describe, delete) = ("create", "alter", "list", "describe", "delete");
        let action = match self {
            Options { create: true, .. } => create,
            Options { alter: true, .. } => alter,
            Options { list: true, .. } => list,
            Options { describe: true, .. } => describe,
            _ => delete,
        };
        let conflict =
            |option: &str, other: &str| format!("Option \"[{option}]\" can't be used with option \"[{other}]\"");
        let sizes: [(&str, bool, &[&str]); 4] = [
            ("config", !self.config.is_empty(), &[alter, create]),
            ("partitions", !self.partitions.is_empty(), &[alter, create]),
            ("replication-factor", !self.replication_factor.is_empty(), &[create]),
            ("replica-assignment", !self.replica_assignment.is_empty(), &[alter, create]),
        ];
        let reports: [(&str, bool, &[&str]); 4] = [
            ("under-replicated-partitions", self.under_replicated_partitions, &[describe]),
            ("under-min-isr-partitions", self.under_min_isr_partitions, &[describe]),
            ("at-min-isr-partitions", self.at_min_isr_partitions, &[describe]),
            ("unavailable-partitions", self.unavailable_partitions, &[describe]),
        ];
        let others: [(&str, bool, &[&str]); 4] = [
            ("topics-with-overrides", self.topics_with_overrides, &[describe]),
            ("if-exists", self.if_exists, &[alter, delete, describe]),
            ("if-not-exists", self.if_not_exists, &[create]),
            ("exclude-internal", self.exclude_internal, &[list, describe]),
        ];
        let with_action = |(option, given, allowed): &(&str, bool, &[&str])| {
            (*given && !allowed.contains(&action)).then(|| conflict(option, action))
        };
        if let Some(message) = sizes.iter().find_map(with_action) {
            return Some(message);
        }
        if self.create && !self.replica_assignment.is_empty() {
            let other = [("partitions", &self.partitions), ("replication-factor", &self.replication_factor)];
            if let Some((other, _)) = other.iter().find(|(_, values)| !values.is_empty()) {
                return Some(conflict("replica-assignment", other));
            }
        }
        let report = reports.iter().find(|(_, given, _)| *given);
        reports.iter().find_map(with_action).or_else(|| match report {
            Some((report, ..)) if self.topics_with_overrides => Some(conflict(report, "topics-with-overrides")),
            _ => others.iter().find_map(with_action),
        })
    }
}
