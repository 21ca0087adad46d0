//! Which options go together.

use std::net::ToSocketAddrs as _;

use super::entities::{Entities, Kind};
use super::{Failure, Options};

impl Options {
    /// A mistake that is said before the help.
    pub(super) fn usage_mistake(&self) -> Option<String> {
        if self.alter == self.describe {
            return Some("Command must include exactly one action: --describe, --alter".to_owned());
        }
        let unfit = |option: &str| Some(format!("Option \"[describe]\" can't be used with option \"[{option}]\""));
        match self.describe {
            true if !self.add_config.is_empty() => unfit("add-config"),
            true if !self.delete_config.is_empty() => unfit("delete-config"),
            _ => None,
        }
    }

    /// The other mistakes.
    pub(super) fn check(&self, entities: &Entities) -> Result<(), Failure> {
        let Some(first) = entities.kinds.first().copied() else {
            return Failure::mistaken("At least one entity type must be specified");
        };
        let are_users_and_clients = entities.has_kind(Kind::Users) && entities.has_kind(Kind::Clients);
        if entities.kinds.len() > 1 && !(are_users_and_clients && entities.kinds.len() == 2) {
            return Failure::mistaken("Only 'users' and 'clients' entity types may be specified together");
        }
        let is_general = !self.entity_type.is_empty() || !self.entity_name.is_empty() || self.entity_default;
        if is_general && self.has_specific_flag() {
            return Failure::mistaken(
                "--entity-{type,name,default} should not be used in conjunction with specific entity flags",
            );
        }
        if !self.bootstrap_server.is_empty() && !self.bootstrap_controller.is_empty() {
            return Failure::mistaken("Only one of --bootstrap-server or --bootstrap-controller can be specified");
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
            return Failure::mistaken(format!("--entity-default must not be specified with --describe of {kinds}"));
        }
        if entities.has_kind(Kind::BrokerLoggers) && !entities.has_name() {
            return Failure::mistaken(format!("An entity name must be specified with --describe of {kinds}"));
        }
        Ok(())
    }

    fn check_alter(&self, entities: &Entities) -> Result<(), Failure> {
        if entities.kinds.iter().any(|kind| kind.has_default()) {
            if !entities.has_name() && !entities.has_default() {
                return Failure::mistaken(
                    "An entity-name or default entity must be specified with --alter of users, clients, brokers or ips",
                );
            }
        } else if !entities.has_name() {
            let kinds = entities.kind_names();
            return Failure::mistaken(format!("An entity name must be specified with --alter of {kinds}"));
        }
        match (self.add_config.is_empty(), self.add_config_file.is_empty(), self.delete_config.is_empty()) {
            (false, false, _) => Failure::mistaken("Only one of --add-config or --add-config-file must be specified"),
            (true, true, true) => Failure::mistaken(
                "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter",
            ),
            _ => Ok(()),
        }
    }
}

/// Brokers have numbers, and addresses are addresses.
fn check_names(kind: Kind, entities: &Entities) -> Result<(), Failure> {
    for name in entities.names.iter().filter(|name| !name.is_empty()) {
        let kind_name = kind.name();
        match kind {
            Kind::Brokers | Kind::BrokerLoggers if name.parse::<i32>().is_err() => {
                return Failure::mistaken(format!(
                    "The entity name for {kind_name} must be a valid integer broker id, but it is: {name}"
                ));
            }
            Kind::Ips if (name.as_str(), 0).to_socket_addrs().is_err() => {
                return Failure::mistaken(format!(
                    "The entity name for {kind_name} must be a valid IP or resolvable host, but it is: {name}"
                ));
            }
            _ => {}
        }
    }
    Ok(())
}
