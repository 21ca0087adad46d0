//! `min.insync.replicas` with eligible leader replicas (KIP-966): a record holds one value for the whole cluster, so
//! that settings of single brokers do not affect which replicas are eligible (Kafka's `ConfigurationControlManager`).

use super::MetadataMachine;
use super::configs::{self, Altered};
use super::errors::MetadataError;
use super::features::ELIGIBLE_LEADER_REPLICAS;
use super::image::{ConfigKind, ConfigResource};
use super::records::MetadataRecord;

const MIN_INSYNC_REPLICAS: &str = "min.insync.replicas";

impl MetadataMachine {
    /// Whether the feature level enables eligible leader replicas.
    pub(super) fn eligible_leaders_enabled(&self) -> bool {
        self.image.features().get(ELIGIBLE_LEADER_REPLICAS).is_some_and(|level| *level > 0)
    }

    /// The record of a new cluster: sets the cluster's value to the broker's static one.
    pub(super) fn min_insync_replicas_at_start(&self) -> MetadataRecord {
        let value = self.config.broker.values.text(MIN_INSYNC_REPLICAS).unwrap_or_default().into_owned();
        configs::config_record(&of_cluster(), MIN_INSYNC_REPLICAS, Some(&value))
    }

    /// The records that must precede the feature level: they set the cluster's value, unless it is set, and unset the
    /// values of single brokers.
    pub(super) fn records_before_eligible_leaders(&self) -> Vec<MetadataRecord> {
        let configs = self.image.configs();
        let has = |name: &str| configs.get(ConfigKind::Broker, name).contains_key(MIN_INSYNC_REPLICAS);
        let cluster = (!has("")).then(|| self.min_insync_replicas_at_start());
        let brokers = configs.names(ConfigKind::Broker).into_iter().filter(|name| !name.is_empty() && has(name));
        let unset = brokers.map(|name| {
            configs::config_record(&ConfigResource::new(ConfigKind::Broker, name), MIN_INSYNC_REPLICAS, None)
        });
        cluster.into_iter().chain(unset).collect()
    }

    /// Rejects a change of a single broker's value, and the removal of the cluster's value, while eligible leader
    /// replicas are enabled.
    pub(super) fn check_min_insync_replicas(
        &self,
        resource: &ConfigResource,
        altered: &Altered,
    ) -> Result<(), MetadataError> {
        let change = altered.get(MIN_INSYNC_REPLICAS).filter(|_| resource.kind == ConfigKind::Broker);
        let refuse = |why: &str| Err(MetadataError::InvalidConfig(why.to_owned()));
        match change {
            Some(_) if !self.eligible_leaders_enabled() => Ok(()),
            Some(_) if !resource.name.is_empty() => {
                refuse("Broker-level min.insync.replicas cannot be altered while ELR is enabled.")
            }
            Some(None) => refuse("Cluster-level min.insync.replicas cannot be removed while ELR is enabled."),
            _ => Ok(()),
        }
    }

    /// Whether a new cluster has this dynamic setting. [`Self::reset_min_insync_replicas`] restores its value.
    pub(super) fn is_new_cluster_default(&self, resource: &ConfigResource, setting: &str) -> bool {
        self.eligible_leaders_enabled() && *resource == of_cluster() && setting == MIN_INSYNC_REPLICAS
    }

    /// The record that restores the cluster's value of a new cluster; `None` if it is unchanged.
    pub(super) fn reset_min_insync_replicas(&self) -> Option<MetadataRecord> {
        let wanted = self.config.broker.values.text(MIN_INSYNC_REPLICAS);
        let current = self.image.default_broker_configs().get(MIN_INSYNC_REPLICAS);
        let differs = self.eligible_leaders_enabled() && current.map(String::as_str) != wanted.as_deref();
        differs.then(|| self.min_insync_replicas_at_start())
    }
}

fn of_cluster() -> ConfigResource {
    ConfigResource::new(ConfigKind::Broker, "")
}
