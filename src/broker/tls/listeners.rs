//! The TLS of all listeners, and its changes while the broker runs: of settings, and of the files that they name.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, RwLock};
use tokio::sync::watch;

use super::loaded::Loaded;
use super::stamps::Stamps;
use crate::blocking;
use crate::clock::Clock;
use ottla_config::{BrokerConfig, TlsConfig};

/// How often the files of keystores and truststores are checked for changes.
const FILE_CHECK_INTERVAL: Duration = Duration::from_secs(5);

/// The TLS of all listeners that have it.
#[derive(Clone, Debug, Default)]
pub struct TlsListeners(Arc<[Arc<TlsListener>]>);

/// The TLS of one listener, with the configuration for its new connections.
#[derive(Debug)]
pub struct TlsListener {
    name: Arc<str>,
    current: RwLock<Arc<Loaded>>,
    /// The last configuration that could not be used, and its files, so that each failure is logged once.
    failed: Mutex<Option<(TlsConfig, Stamps)>>,
}

impl TlsListeners {
    /// Reads the configuration of each listener with TLS. The error is one plain line.
    pub fn load(config: &BrokerConfig) -> Result<TlsListeners, String> {
        config
            .tls()
            .into_iter()
            .map(|tls| TlsListener::load(tls).map(Arc::new))
            .collect::<Result<_, _>>()
            .map(TlsListeners)
    }

    /// The TLS of the listener of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<TlsListener>> {
        self.0.iter().find(|listener| &*listener.name == name)
    }

    /// Whether no listener has TLS.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks that changed settings can be used. The error is one plain line. Reads files.
    pub fn check(&self, config: &BrokerConfig) -> Result<(), String> {
        config.check_tls_parts()?;
        config.tls().into_iter().try_for_each(|tls| match self.get(&tls.listener) {
            Some(listener) => listener.replacement(tls).map(drop),
            None => Ok(()),
        })
    }

    /// Uses changed settings and files for new connections. What cannot be used is logged, and the listener keeps its
    /// configuration. Reads files.
    pub fn update(&self, config: &BrokerConfig) {
        for tls in config.tls() {
            if let Some(listener) = self.get(&tls.listener) {
                listener.update(tls);
            }
        }
    }

    /// Follows the settings and the files until the broker is dropped.
    pub async fn follow(self, mut settings: watch::Receiver<Arc<BrokerConfig>>, clock: Clock) {
        while !self.is_empty() {
            let config = Arc::clone(&settings.borrow_and_update());
            let listeners = self.clone();
            if blocking::run(move || listeners.update(&config)).await.is_err() {
                return;
            }
            if let Some(Err(_)) = clock.timeout(FILE_CHECK_INTERVAL, settings.changed()).await {
                return;
            }
        }
    }
}

impl TlsListener {
    /// Reads a configuration. The error is one plain line.
    pub fn load(config: TlsConfig) -> Result<TlsListener, String> {
        let name = config.listener.as_str().into();
        let loaded = Loaded::load(config)?;
        loaded.warn_of_expiry();
        Ok(TlsListener { name, current: RwLock::new(Arc::new(loaded)), failed: Mutex::default() })
    }

    /// The configuration for a new connection.
    pub fn current(&self) -> Arc<Loaded> {
        Arc::clone(&self.current.read())
    }

    /// Reads a configuration that is to replace the current one; `None` if nothing has changed.
    fn replacement(&self, config: TlsConfig) -> Result<Option<Loaded>, String> {
        let current = self.current();
        if current.config == config && current.stamps == Stamps::of(&config) {
            return Ok(None);
        }
        let loaded = Loaded::load(config)?;
        loaded.check_replaces(&current)?;
        Ok(Some(loaded))
    }

    fn update(&self, config: TlsConfig) {
        let attempt = (config.clone(), Stamps::of(&config));
        if self.failed.lock().as_ref() == Some(&attempt) {
            return;
        }
        let listener = &self.name;
        match self.replacement(config) {
            Ok(None) => {}
            Ok(Some(loaded)) => {
                loaded.warn_of_expiry();
                *self.current.write() = Arc::new(loaded);
                tracing::info!(%listener, "TLS settings or files changed, new connections use them");
            }
            Err(error) => {
                *self.failed.lock() = Some(attempt);
                tracing::error!(%listener, %error, "changed TLS settings or files cannot be used, keeping the previous ones");
                return;
            }
        }
        *self.failed.lock() = None;
    }
}
