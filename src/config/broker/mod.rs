//! The broker's settings as Rust types, one struct per subject.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use super::admin::{self, AdminConfig};
use super::authorizer::AuthorizerConfig;
use super::listener::{self, Listener, ListenerSettings, Listeners};
use super::listener_values;
use super::metrics::{self, MetricsConfig};
use super::otlp::{self, OtlpConfig};
use super::password::Password;
use super::registry::{self, RegistryConfig};
use super::rest_proxy::{self, RestProxyConfig};
use super::retention::check_retention;
use super::secure::{self, SecureConfig, User};
use super::start_topics::StartTopic;
use super::values::{Origin, SettingValue, Source, Values, typed_settings};
use super::{text, tls};

/// The configuration of a broker.
#[derive(Debug, Clone, PartialEq)]
pub struct BrokerConfig {
    /// The values behind the fields, with their sources.
    pub values: Arc<Values>,
    /// The client listeners; at least one.
    pub listeners: Vec<Listener>,
    /// The listeners at start, before `advertised.listeners` was changed at runtime.
    listeners_at_start: Vec<Listener>,
    /// `None` if the admin port is off.
    pub admin: Option<AdminConfig>,
    pub metrics: MetricsConfig,
    /// `None` without a collector of OpenTelemetry.
    pub otlp: Option<OtlpConfig>,
    /// `None` if the schema registry is off.
    pub registry: Option<RegistryConfig>,
    /// `None` if the REST proxy is off.
    pub rest_proxy: Option<RestProxyConfig>,
    /// Certificates, client configurations and the OIDC issuer that the broker makes.
    pub secure: Option<SecureConfig>,
    /// `ottla.users`.
    pub users: Vec<User>,
    /// `None`: every client may do everything.
    pub authorizer: Option<AuthorizerConfig>,
    /// `log.dirs`, or else `log.dir`; at least one. Their contents decide which one is used.
    pub log_dirs: Vec<PathBuf>,
    /// `metadata.log.dir`.
    pub metadata_log_dir: Option<PathBuf>,
    pub node_id: i32,
    pub rack: Option<String>,
    pub announcement: AnnouncementConfig,
    pub logging: LoggingConfig,
    pub network: NetworkConfig,
    pub fetch: FetchConfig,
    pub topics: TopicsConfig,
    pub storage: StorageConfig,
    pub cleaner: CleanerConfig,
    pub groups: GroupsConfig,
    pub transactions: TransactionsConfig,
    pub tokens: TokensConfig,
    pub client_metrics: ClientMetricsConfig,
    pub quotas: QuotasConfig,
    /// `max.connections.per.ip.overrides`: host names or addresses, with the connection limit of each.
    pub max_connections_per_ip_overrides: Vec<(String, usize)>,
}

typed_settings! {
    /// Connections, and the memory for their requests.
    pub struct NetworkConfig {
        socket_request_max_bytes: usize = "socket.request.max.bytes";
        /// Negative: derived from the memory limit of the cgroup.
        queued_max_request_bytes: i64 = "queued.max.request.bytes";
        max_connections: usize = "max.connections";
        max_connections_per_ip: usize = "max.connections.per.ip";
        /// Connections per second.
        max_connection_creation_rate: usize = "max.connection.creation.rate";
        /// Negative: never.
        connections_max_idle_ms: i64 = "connections.max.idle.ms";
        socket_listen_backlog_size: i32 = "socket.listen.backlog.size";
        sasl_server_max_receive_size: usize = "sasl.server.max.receive.size";
        /// Milliseconds.
        connection_failed_authentication_delay_ms: u64 = "connection.failed.authentication.delay.ms";
        /// Negative: the kernel's choice.
        socket_receive_buffer_bytes: i64 = "socket.receive.buffer.bytes";
        /// Negative: the kernel's choice.
        socket_send_buffer_bytes: i64 = "socket.send.buffer.bytes";
        advertised_localhost_rewrite: bool = "ottla.advertised.localhost.rewrite";
    }
}

typed_settings! {
    /// Messages to the user who started the broker.
    pub struct AnnouncementConfig {
        ready_lines: bool = "ottla.ready.lines";
    }
}

typed_settings! {
    /// Logging of the broker program; an embedded broker uses the logging of its program.
    pub struct LoggingConfig {
        format: String = "ottla.log.format";
        level: String = "ottla.log.level";
    }
}

typed_settings! {
    /// Limits of fetches.
    pub struct FetchConfig {
        fetch_max_bytes: usize = "fetch.max.bytes";
        max_incremental_fetch_session_cache_slots: usize = "max.incremental.fetch.session.cache.slots";
    }
}

typed_settings! {
    /// Creation and deletion of topics.
    pub struct TopicsConfig {
        num_partitions: i32 = "num.partitions";
        auto_create_topics_enable: bool = "auto.create.topics.enable";
        delete_topic_enable: bool = "delete.topic.enable";
        default_replication_factor: i16 = "default.replication.factor";
        replication_factor_policy: ReplicationFactorPolicy = "ottla.replication.factor.policy";
        max_request_partition_size_limit: usize = "max.request.partition.size.limit";
        create_at_start: Vec<StartTopic> = "ottla.create.topics";
    }
}

typed_settings! {
    /// Settings of all logs; those that may differ by topic are in [`super::TopicConfig`].
    pub struct StorageConfig {
        /// The cluster id of a new data directory.
        cluster_id: Option<String> = "ottla.cluster.id";
        /// Whether syncs to disk are skipped.
        ephemeral: bool = "ottla.ephemeral";
        log_retention_check_interval_ms: u64 = "log.retention.check.interval.ms";
        log_initial_task_delay_ms: u64 = "log.initial.task.delay.ms";
        log_flush_offset_checkpoint_interval_ms: u64 = "log.flush.offset.checkpoint.interval.ms";
        log_flush_start_offset_checkpoint_interval_ms: u64 = "log.flush.start.offset.checkpoint.interval.ms";
        producer_id_expiration_ms: i64 = "producer.id.expiration.ms";
        producer_id_expiration_check_interval_ms: u64 = "producer.id.expiration.check.interval.ms";
        num_recovery_threads_per_data_dir: usize = "num.recovery.threads.per.data.dir";
    }
}

typed_settings! {
    /// Background compaction; settings that may differ by topic are in [`super::TopicConfig`].
    pub struct CleanerConfig {
        enable: bool = "log.cleaner.enable";
        threads: usize = "log.cleaner.threads";
        backoff_ms: u64 = "log.cleaner.backoff.ms";
        dedupe_buffer_size: i64 = "log.cleaner.dedupe.buffer.size";
        io_buffer_size: usize = "log.cleaner.io.buffer.size";
        io_buffer_load_factor: f64 = "log.cleaner.io.buffer.load.factor";
        io_max_bytes_per_second: f64 = "log.cleaner.io.max.bytes.per.second";
    }
}

typed_settings! {
    /// Delegation tokens.
    pub struct TokensConfig {
        /// Without one, there are no tokens.
        secret_key: Option<Password> = "delegation.token.secret.key";
        max_lifetime_ms: i64 = "delegation.token.max.lifetime.ms";
        expiry_time_ms: i64 = "delegation.token.expiry.time.ms";
        expiry_check_interval_ms: u64 = "delegation.token.expiry.check.interval.ms";
    }
}

typed_settings! {
    /// Metrics that clients push.
    pub struct ClientMetricsConfig {
        telemetry_max_bytes: usize = "telemetry.max.bytes";
        max_series: usize = "ottla.client.metrics.max.series";
    }
}

typed_settings! {
    /// Groups and committed offsets.
    pub struct GroupsConfig {
        initial_rebalance_delay_ms: u64 = "group.initial.rebalance.delay.ms";
        min_session_timeout_ms: i32 = "group.min.session.timeout.ms";
        max_session_timeout_ms: i32 = "group.max.session.timeout.ms";
        max_size: usize = "group.max.size";
        /// Negative: the member's session timeout.
        disconnected_member_timeout_ms: i32 = "ottla.group.disconnected.member.timeout.ms";
        offset_metadata_max_bytes: usize = "offset.metadata.max.bytes";
        offsets_retention_minutes: i64 = "offsets.retention.minutes";
        offsets_retention_check_interval_ms: u64 = "offsets.retention.check.interval.ms";
        offsets_topic_num_partitions: i32 = "offsets.topic.num.partitions";
        /// The codec's id in batch attributes.
        offsets_topic_compression_codec: u8 = "offsets.topic.compression.codec";
        offsets_topic_segment_bytes: u32 = "offsets.topic.segment.bytes";
    }
}

typed_settings! {
    /// Transactions.
    pub struct TransactionsConfig {
        max_timeout_ms: i32 = "transaction.max.timeout.ms";
        abort_timed_out_cleanup_interval_ms: u64 = "transaction.abort.timed.out.transaction.cleanup.interval.ms";
        transactional_id_expiration_ms: u64 = "transactional.id.expiration.ms";
        remove_expired_cleanup_interval_ms: u64 = "transaction.remove.expired.transaction.cleanup.interval.ms";
        partition_verification_enable: bool = "transaction.partition.verification.enable";
        state_log_num_partitions: i32 = "transaction.state.log.num.partitions";
        state_log_segment_bytes: u32 = "transaction.state.log.segment.bytes";
    }
}

typed_settings! {
    /// The windows in which client quotas are measured.
    pub struct QuotasConfig {
        window_num: usize = "quota.window.num";
        window_size_seconds: i64 = "quota.window.size.seconds";
        controller_window_num: usize = "controller.quota.window.num";
        controller_window_size_seconds: i64 = "controller.quota.window.size.seconds";
    }
}

/// How to handle a topic with a replication factor of more than 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReplicationFactorPolicy {
    /// Create one replica and log a warning.
    #[default]
    Clamp,
    /// Return INVALID_REPLICATION_FACTOR, as Kafka with one broker does.
    Strict,
}

impl SettingValue for ReplicationFactorPolicy {
    fn read(text: Option<&str>) -> Option<Self> {
        match text? {
            "clamp" => Some(ReplicationFactorPolicy::Clamp),
            "strict" => Some(ReplicationFactorPolicy::Strict),
            _ => None,
        }
    }
}

/// A configuration, with messages for the user.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    pub config: BrokerConfig,
    /// Warnings of one line each.
    pub notices: Vec<String>,
    /// Given settings without effect, by name, and listeners that are not opened.
    pub without_effect: Vec<String>,
}

impl BrokerConfig {
    /// Builds a configuration from checked values. The error, one line, is about values that conflict.
    pub fn resolve(mut values: Values) -> Result<Resolved, String> {
        check_node_id(&values)?;
        derive_implied_settings(&mut values);
        let Listeners { mut listeners, controller_listeners, mut notices } = listener::resolve(listener_settings(
            values.given("listeners"),
            values.given("advertised.listeners"),
            &values.text("listener.security.protocol.map").unwrap_or_default(),
            &values.text("controller.listener.names").unwrap_or_default(),
        ))?;
        listener::mark_added(&mut listeners, values.added_listeners());
        admin::resolve(&values)?;
        metrics::resolve(&values)?;
        otlp::resolve(&values)?;
        registry::resolve(&values, &listeners)?;
        rest_proxy::resolve(&values)?;
        check_group_sessions(&values)?;
        check_two_phase_commit(&values)?;
        check_cleaner(&values)?;
        check_retention(|name| values.given(name))?;
        let topics = TopicsConfig::read(|name| values.text(name));
        if topics.default_replication_factor > 1 && topics.replication_factor_policy == ReplicationFactorPolicy::Clamp {
            let factor = topics.default_replication_factor;
            notices
                .push(format!("default.replication.factor={factor}: there is one broker, so topics get one replica"));
        }
        let mut without_effect: Vec<String> =
            controller_listeners.into_iter().map(|name| format!("listener {name}")).collect();
        without_effect.extend(listener_values::without_effect(&values, &listeners));
        notices.extend(tls::notices(&values, &listeners));
        Ok(Resolved { config: BrokerConfig::assemble(values, listeners), notices, without_effect })
    }

    /// Returns a copy with these dynamic values: defaults for all brokers, and values for this one. Unknown names and
    /// invalid values are ignored.
    pub fn with_dynamic(&self, default: &BTreeMap<String, String>, broker: &BTreeMap<String, String>) -> BrokerConfig {
        let values = self.values.with_dynamic(default, broker);
        let mut listeners = self.listeners_at_start.clone();
        if let Some((advertised, Origin::DynamicBroker)) = values.layers("advertised.listeners").next() {
            listener::update_advertised(&mut listeners, advertised);
        }
        BrokerConfig {
            listeners_at_start: self.listeners_at_start.clone(),
            authorizer: self.authorizer.clone(),
            ..BrokerConfig::assemble(values, listeners)
        }
    }

    /// Whether a value that was set at runtime under this name is read, by the broker or by one of its listeners. The
    /// value is one of these settings.
    pub fn has_effect(&self, name: &str) -> bool {
        listener_values::has_effect(&self.values, &self.listeners, name)
    }

    /// The settings of TLS and SASL that were set at runtime and are not read.
    pub fn stored_without_effect(&self) -> Vec<&str> {
        let is_of_security = |name: &&str| {
            listener_values::find_with_listener(name)
                .is_some_and(|setting| setting.name.starts_with("sasl.") || setting.name.starts_with("ssl."))
        };
        self.values.names_set_at_runtime().filter(is_of_security).filter(|name| !self.has_effect(name)).collect()
    }

    fn assemble(values: Values, listeners: Vec<Listener>) -> BrokerConfig {
        let given_dirs = values.given("log.dirs").map(str::to_owned).or_else(|| values.read("log.dir"));
        let mut log_dirs: Vec<PathBuf> = Vec::new();
        for dir in given_dirs.as_deref().into_iter().flat_map(text::list).map(PathBuf::from) {
            if !log_dirs.contains(&dir) {
                log_dirs.push(dir);
            }
        }
        let overrides = values.given("max.connections.per.ip.overrides").unwrap_or_default().to_owned();
        let text = |name| values.text(name);
        BrokerConfig {
            listeners_at_start: listeners.clone(),
            // Checked by `resolve`.
            admin: admin::resolve(&values).ok().flatten(),
            metrics: metrics::resolve(&values).unwrap_or_else(|_| MetricsConfig::without_port(&values)),
            otlp: otlp::resolve(&values).ok().flatten(),
            registry: registry::resolve(&values, &listeners).ok().flatten(),
            listeners,
            rest_proxy: rest_proxy::resolve(&values).ok().flatten(),
            secure: secure::resolve(&values),
            // Checked by `load`.
            users: secure::users(&values).unwrap_or_default(),
            // Its settings are not in the table: `load` reads them.
            authorizer: None,
            log_dirs,
            metadata_log_dir: values.given("metadata.log.dir").filter(|dir| !dir.is_empty()).map(PathBuf::from),
            node_id: values.read("node.id"),
            rack: values.read("broker.rack"),
            announcement: AnnouncementConfig::read(text),
            logging: LoggingConfig::read(text),
            network: NetworkConfig::read(text),
            fetch: FetchConfig::read(text),
            topics: TopicsConfig::read(text),
            storage: StorageConfig::read(text),
            cleaner: CleanerConfig::read(text),
            groups: GroupsConfig::read(text),
            transactions: TransactionsConfig::read(text),
            tokens: TokensConfig::read(text),
            client_metrics: ClientMetricsConfig::read(text),
            quotas: QuotasConfig::read(text),
            max_connections_per_ip_overrides: text::list(&overrides).filter_map(text::address_count).collect(),
            values: Arc::new(values),
        }
    }
}

impl Default for BrokerConfig {
    /// The configuration without any given value.
    fn default() -> Self {
        BrokerConfig::assemble(Values::default(), Listeners::default().listeners)
    }
}

fn listener_settings<'a>(
    listeners: Option<&'a str>,
    advertised: Option<&'a str>,
    protocol_map: &'a str,
    controllers: &'a str,
) -> ListenerSettings<'a> {
    ListenerSettings { listeners, advertised, protocol_map, controllers }
}

/// Sets settings that other settings imply, so that DescribeConfigs reports the effective values.
fn derive_implied_settings(values: &mut Values) {
    let advertised = values.given("advertised.listeners").filter(|_| values.given("listeners").is_none());
    // Faults are reported later, when the listeners are resolved.
    if let Some(listeners) = advertised.and_then(|advertised| listener::from_advertised(advertised).ok()) {
        values.set_static("listeners", &listeners, Source::Setting("advertised.listeners"));
    }
    let broker_id = values.given("broker.id").filter(|_| values.given("node.id").is_none());
    if let Some(id) = broker_id.filter(|id| !id.starts_with('-')).map(str::to_owned) {
        values.set_static("node.id", &id, Source::Setting("broker.id"));
    }
}

/// Checks that both names of the broker id have the same value, as Kafka requires.
fn check_node_id(values: &Values) -> Result<(), String> {
    match (values.given("node.id"), values.given("broker.id")) {
        (Some(node), Some(broker)) if node != broker => {
            Err(format!("node.id={node} and broker.id={broker} conflict; remove one of them"))
        }
        _ => Ok(()),
    }
}

fn check_group_sessions(values: &Values) -> Result<(), String> {
    let groups = GroupsConfig::read(|name| values.text(name));
    if groups.min_session_timeout_ms > groups.max_session_timeout_ms {
        return Err(format!(
            "group.min.session.timeout.ms={} is more than group.max.session.timeout.ms={}",
            groups.min_session_timeout_ms, groups.max_session_timeout_ms
        ));
    }
    Ok(())
}

/// A producer that leaves the outcome to another coordinator would lose its transaction to the usual timeout.
fn check_two_phase_commit(values: &Values) -> Result<(), String> {
    match values.read("transaction.two.phase.commit.enable") {
        true => Err("transaction.two.phase.commit.enable=true: two-phase commit is not supported yet".to_owned()),
        false => Ok(()),
    }
}

/// Checks Kafka's minimum of memory for compaction.
fn check_cleaner(values: &Values) -> Result<(), String> {
    let cleaner = CleanerConfig::read(|name| values.text(name));
    let share = cleaner.dedupe_buffer_size / i64::try_from(cleaner.threads.max(1)).unwrap_or(i64::MAX);
    match share > 1 << 20 {
        true => Ok(()),
        false => Err("log.cleaner.dedupe.buffer.size must be at least 1MB per cleaner thread.".to_owned()),
    }
}

#[cfg(test)]
mod tests;
