//! Checks which options can be used together.

use std::net::ToSocketAddrs as _;

use super::entities::{Entities, Kind};
use super::{Failure, Options};

impl Options {
    /// Returns the first error that is printed with the help, if there is one.
    pub(super) fn find_usage_error(&self) -> Option<String> {
        if self.alter == self.describe {
            return Some("Command must include exactly one action: --describe, --alter".to_owned());
        }
        let conflict = |option: &str| Some(format!("Option \"[describe]\" can't be used with option \"[{option}]\""));
        match self.describe {
            true if !self.add_config.is_empty() => conflict("add-config"),
            true if !self.delete_config.is_empty() => conflict("delete-config"),
            _ => None,
        }
    }

    /// Checks for the errors that are printed without the help.
    pub(super) fn check(&self, entities: &Entities) -> Result<(), Failure> {
        let Some(first) = entities.kinds.first().copied() else {
            return Failure::usage("At least one entity type must be specified");
        };
        let are_users_and_clients = entities.has_kind(Kind::Users) && entities.has_kind(Kind::Clients);
        if entities.kinds.len() > 1 && !(are_users_and_clients && entities.kinds.len() == 2) {
            return Failure::usage("Only 'users' and 'clients' entity types may be specified together");
        }
        let is_general = !self.entity_type.is_empty() || !self.entity_name.is_empty() || self.entity_default;
        if is_general && self.has_specific_flag() {
            return Failure::usage(
                "--entity-{type,name,default} should not be used in conjunction with specific entity flags",
            );
        }
        if !self.bootstrap_server.is_empty() && !self.bootstrap_controller.is_empty() {
            return Failure::usage("Only one of --bootstrap-server or --bootstrap-controller can be specified");
        }
        check_names(first, entities)?;
        match self.describe {
            true => self.check_describe(entities),
            false => self.check_alter(entities),
        }
    }

    fn check_describe(&self, entities: &Entities) -> Result<(), Failure> {
        let kinds = entities.kind_names();
        if self.entity_default && !entities.kinds.iter().any(|kind| kind.has_default()) {
            return Failure::usage(format!("--entity-default must not be specified with --describe of {kinds}"));
        }
        if entities.has_kind(Kind::BrokerLoggers) && !entities.has_name() {
            return Failure::usage(format!("An entity name must be specified with --describe of {kinds}"));
        }
        Ok(())
    }

    fn check_alter(&self, entities: &Entities) -> Result<(), Failure> {
        if entities.kinds.iter().any(|kind| kind.has_default()) {
            if !entities.has_name() && !entities.has_default() {
                return Failure::usage(
                    "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips",
                );
            }
        } else if !entities.has_name() {
            let kinds = entities.kind_names();
            return Failure::usage(format!("An entity name must be specified with --alter of {kinds}"));
        }
        match (self.add_config.is_empty(), self.add_config_file.is_empty(), self.delete_config.is_empty()) {
            (false, false, _) => Failure::usage("Only one of --add-config or --add-config-file must be specified"),
            (true, true, true) => Failure::usage(
                "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter",
            ),
            _ => Ok(()),
        }
    }
}

/// Checks that broker ids are numbers, and that addresses can be resolved.
fn check_names(kind: Kind, entities: &Entities) -> Result<(), Failure> {
    for name in entities.names.iter().filter(|name| !name.is_empty()) {
        let kind_name = kind.name();
        match kind {
            Kind::Brokers | Kind::BrokerLoggers if name.parse::<i32>().is_err() => {
                return Failure::usage(format!(
                    "The entity name for {kind_name} must be a valid integer broker id, but it is: {name}"
                ));
            }
            Kind::Ips if (name.as_str(), 0).to_socket_addrs().is_err() => {
                return Failure::usage(format!(
                    "The entity name for {kind_name} must be a valid IP or resolvable host, but it is: {name}"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}
