//! The entities that the options select.

use super::{Failure, Options};
use crate::cli::tools::options::one_value;

/// A kind of entities that have settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Topics,
    Clients,
    Users,
    Brokers,
    Ips,
    ClientMetrics,
    Groups,
    BrokerLoggers,
}

impl Kind {
    /// All kinds, in the order in which error messages list them.
    pub(super) const ALL: [Kind; 8] = [
        Kind::Topics,
        Kind::Clients,
        Kind::Users,
        Kind::Brokers,
        Kind::Ips,
        Kind::ClientMetrics,
        Kind::Groups,
        Kind::BrokerLoggers,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Topics => "topics",
            Kind::Clients => "clients",
            Kind::Users => "users",
            Kind::Brokers => "brokers",
            Kind::Ips => "ips",
            Kind::ClientMetrics => "client-metrics",
            Kind::Groups => "groups",
            Kind::BrokerLoggers => "broker-loggers",
        }
    }

    /// Returns the name in the singular: `topic`, but `client-metric`.
    pub(super) fn singular(self) -> &'static str {
        let name = self.name();
        name.strip_suffix('s').unwrap_or(name)
    }

    /// Returns whether the kind has a default entity.
    pub(super) fn has_default(self) -> bool {
        matches!(self, Kind::Users | Kind::Clients | Kind::Brokers | Kind::Ips)
    }
}

/// The selected entities: their kinds, and a name for each, as far as names are given. An empty name means the
/// default entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entities {
    pub(super) kinds: Vec<Kind>,
    pub(super) names: Vec<String>,
}

impl Entities {
    pub(super) fn has_name(&self) -> bool {
        self.names.iter().any(|name| !name.is_empty())
    }

    pub(super) fn has_default(&self) -> bool {
        self.names.iter().any(String::is_empty)
    }

    pub(super) fn has_kind(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// Returns the kinds, separated by commas.
    pub(super) fn kind_names(&self) -> String {
        self.kinds.iter().map(|kind| kind.name()).collect::<Vec<_>>().join(",")
    }
}

impl Options {
    /// Returns the selected entities; unknown or repeated kinds are errors.
    pub(super) fn entities(&self) -> Result<Entities, Failure> {
        let flags = self.flags();
        let defaults = self.default_flags();
        let given = flags.iter().filter(|(_, values)| !values.is_empty()).map(|(kind, _)| kind.name());
        let given_defaults = defaults.iter().filter(|(_, given)| *given).map(|(kind, _)| kind.name());
        let names = self.entity_type.iter().map(String::as_str).chain(given).chain(given_defaults);
        let kinds = distinct_kinds(&names.collect::<Vec<_>>(), self.has_server())?;

        let mut names = self.general_names();
        for (kind, values) in flags {
            let name = one_value(flag(kind), values).map_err(Failure::from_option)?;
            names.extend(name.map(str::to_owned));
        }
        names.extend(defaults.iter().filter(|(_, given)| *given).map(|_| String::new()));
        Ok(Entities { kinds, names })
    }

    /// Returns the names from --entity-name and --entity-default, in the order in which they were given.
    fn general_names(&self) -> Vec<String> {
        let mut names = self.entity_name.iter();
        let options = self.words.iter().filter_map(|word| word.strip_prefix("--").or_else(|| word.strip_prefix('-')));
        let options = options.map(|option| option.split_once('=').map_or(option, |(option, _)| option));
        let name = |option| match option {
            "entity-name" => names.next().cloned(),
            "entity-default" => Some(String::new()),
            _ => None,
        };
        options.filter_map(name).collect()
    }

    /// Returns whether a flag such as --topic or --user-defaults is given, which selects both kind and entity.
    pub(super) fn has_specific_flag(&self) -> bool {
        self.flags().iter().any(|(_, values)| !values.is_empty())
            || self.default_flags().iter().any(|(_, given)| *given)
    }

    fn flags(&self) -> [(Kind, &[String]); 8] {
        [
            (Kind::Topics, &self.topic),
            (Kind::Clients, &self.client),
            (Kind::Users, &self.user),
            (Kind::Brokers, &self.broker),
            (Kind::BrokerLoggers, &self.broker_logger),
            (Kind::Ips, &self.ip),
            (Kind::ClientMetrics, &self.client_metrics),
            (Kind::Groups, &self.group),
        ]
    }

    fn default_flags(&self) -> [(Kind, bool); 4] {
        [
            (Kind::Clients, self.client_defaults),
            (Kind::Users, self.user_defaults),
            (Kind::Brokers, self.broker_defaults),
            (Kind::Ips, self.ip_defaults),
        ]
    }

    pub(super) fn has_server(&self) -> bool {
        !(self.bootstrap_server.is_empty() && self.bootstrap_controller.is_empty())
    }
}

/// Returns the option that selects one entity of a kind.
fn flag(kind: Kind) -> &'static str {
    match kind {
        Kind::ClientMetrics => "client-metrics",
        other => other.singular(),
    }
}

fn distinct_kinds(names: &[&str], has_server: bool) -> Result<Vec<Kind>, Failure> {
    let is_repeated = |(index, name): &(usize, &&str)| names.iter().take(*index).any(|before| before == *name);
    let repeated: Vec<&str> = names.iter().enumerate().filter(is_repeated).map(|(_, name)| *name).collect();
    if !repeated.is_empty() {
        return Failure::usage(format!("Duplicate entity type(s) specified: {}", repeated.join(",")));
    }
    if !has_server {
        return Failure::usage("Either --bootstrap-server or --bootstrap-controller must be specified.");
    }
    let kind = |name: &&str| {
        Kind::ALL.into_iter().find(|kind| kind.name() == *name).ok_or_else(|| {
            let known = Kind::ALL.map(Kind::name).join(", ");
            Failure::Usage(format!(
                "Invalid entity type {name}, the entity type must be one of {known} with a --bootstrap-server or \
                 --bootstrap-controller argument"
            ))
        })
    };
    names.iter().map(kind).collect()
}
