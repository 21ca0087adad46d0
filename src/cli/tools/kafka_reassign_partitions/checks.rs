//! Checks which options can be used together.

use super::Options;

impl Options {
    /// Returns the first error in the combination of options, if there is one.
    pub(super) fn find_usage_error(&self) -> Option<String> {
        let actions = [
            ("generate", self.generate),
            ("execute", self.execute),
            ("verify", self.verify),
            ("cancel", self.cancel),
            ("list", self.list),
        ];
        let mut given = actions.iter().filter(|(_, given)| *given).map(|(name, _)| *name);
        let (Some(action), None) = (given.next(), given.next()) else {
            let names = actions.map(|(name, _)| format!("--{name}")).join(", ");
            return Some(format!("Command must include exactly one action: {names}"));
        };
        match (self.bootstrap_server.is_empty(), self.bootstrap_controller.is_empty()) {
            (false, false) => {
                return Some("Please don't specify both --bootstrap-server and --bootstrap-controller".to_owned());
            }
            (true, true) => {
                return Some("Please specify either --bootstrap-server or --bootstrap-controller".to_owned());
            }
            _ => {}
        }
        let (required, permitted) = options_of(action);
        let options = self.given();
        let is_given = |name: &&str| options.iter().any(|(option, given)| option == name && *given);
        if let Some(missing) = required.iter().find(|option| !is_given(option)) {
            return Some(format!("Missing required argument \"[{missing}]\""));
        }
        let is_allowed =
            |option: &str| option == "command-config" || required.contains(&option) || permitted.contains(&option);
        let (conflict, _) = options.iter().find(|(option, given)| *given && !is_allowed(option))?;
        Some(format!("Option \"[{conflict}]\" can't be used with action \"[{action}]\""))
    }

    /// Lists the options other than actions, and whether they are given.
    fn given(&self) -> [(&'static str, bool); 13] {
        [
            ("bootstrap-server", !self.bootstrap_server.is_empty()),
            ("bootstrap-controller", !self.bootstrap_controller.is_empty()),
            ("command-config", !self.command_config.is_empty()),
            ("reassignment-json-file", !self.reassignment_json_file.is_empty()),
            ("topics-to-move-json-file", !self.topics_to_move_json_file.is_empty()),
            ("broker-list", !self.broker_list.is_empty()),
            ("disable-rack-aware", self.disable_rack_aware),
            ("throttle", !self.throttle.is_empty()),
            ("replica-alter-log-dirs-throttle", !self.replica_alter_log_dirs_throttle.is_empty()),
            ("timeout", !self.timeout.is_empty()),
            ("additional", self.additional),
            ("preserve-throttles", self.preserve_throttles),
            ("disallow-replication-factor-change", self.disallow_replication_factor_change),
        ]
    }
}

/// Returns the required and the optional options of an action.
fn options_of(action: &str) -> (&'static [&'static str], &'static [&'static str]) {
    match action {
        "generate" => (&["topics-to-move-json-file", "broker-list"], &["bootstrap-server", "disable-rack-aware"]),
        "execute" => (
            &["reassignment-json-file"],
            &[
                "bootstrap-server",
                "additional",
                "throttle",
                "replica-alter-log-dirs-throttle",
                "timeout",
                "disallow-replication-factor-change",
            ],
        ),
        "verify" => (&["reassignment-json-file"], &["bootstrap-server", "preserve-throttles"]),
        "cancel" => (
            &["reassignment-json-file"],
            &["bootstrap-server", "bootstrap-controller", "preserve-throttles", "timeout"],
        ),
        _ => (&[], &["bootstrap-server", "bootstrap-controller"]),
    }
}
