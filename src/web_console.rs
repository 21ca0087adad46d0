//! The console in this program: its requests go over connections from within the process.

use ottla_broker::service::console::ConsoleRoutes;

/// Reads the last lines of the log, oldest first.
pub(crate) type LogLines = std::sync::Arc<dyn Fn() -> Vec<String> + Send + Sync>;

/// Makes the routes of the console; `None` if the program was built without it. `log` is the program's log, if it keeps its
/// last lines.
pub(crate) fn routes(log: Option<LogLines>) -> Option<ConsoleRoutes> {
    #[cfg(feature = "console")]
    return Some(Box::new(|connector| {
        let console = ottla_console::Console::new(std::sync::Arc::new(in_process::InProcess(connector)));
        match log {
            Some(log) => console.with_log(log).routes(),
            None => console.routes(),
        }
    }));
    #[cfg(not(feature = "console"))]
    {
        drop(log);
        None
    }
}

#[cfg(all(feature = "console", feature = "registry"))]
mod schemas;

#[cfg(feature = "console")]
mod in_process {
    use std::io;
    use std::net::IpAddr;
    use std::sync::Arc;
    use std::time::Duration;

    use ottla_broker::service::console::ConsoleConnector;
    use ottla_client::{Client, ClientError, ClientOptions};
    use ottla_console::{Connect, Connecting, LagSeconds, Schemas};
    use ottla_wire::codec::Str;
    use ottla_wire::types::{Offset, TopicPartition};

    /// What stands for the address in errors.
    const NAME: &str = "this broker";
    /// The longest time for a response.
    const TIMEOUT: Duration = Duration::from_secs(30);
    /// The largest response. The console's fetches are far smaller.
    const MAX_RESPONSE_BYTES: usize = 64 << 20;

    pub struct InProcess(pub Arc<ConsoleConnector>);

    impl Connect for InProcess {
        fn connect(&self, peer: IpAddr) -> Connecting {
            let connected = self.0.connect(peer);
            Box::pin(async move {
                let stream = connected.map_err(|error| ClientError::Connect {
                    address: NAME.to_owned(),
                    source: io::Error::new(io::ErrorKind::ConnectionRefused, error),
                })?;
                let options = ClientOptions {
                    client_id: Str::from_static("ottla-console"),
                    timeout: TIMEOUT,
                    max_response_bytes: MAX_RESPONSE_BYTES,
                    ..ClientOptions::default()
                };
                Client::over(NAME, stream, options).await
            })
        }

        fn lag_seconds(&self, committed: Vec<(TopicPartition, Offset)>) -> LagSeconds {
            let connector = Arc::clone(&self.0);
            Box::pin(async move { connector.lag_seconds(committed).await })
        }

        #[cfg(feature = "registry")]
        fn schemas(&self) -> Option<Arc<dyn Schemas>> {
            Some(Arc::new(super::schemas::InProcess(self.0.registry()?)))
        }

        #[cfg(not(feature = "registry"))]
        fn schemas(&self) -> Option<Arc<dyn Schemas>> {
            None
        }
    }
}
