//! How instances reach NATS.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, ServerAddr};

/// Between two pings, of which the third without an answer ends the connection: one that fell silent is
/// given up after a quarter of a minute.
const PING: Duration = Duration::from_secs(5);

/// How instances reach each other.
pub struct ClusterOptions {
    /// `nats://host:port` or `tls://host:port`.
    pub servers: Vec<ServerAddr>,
    /// How to connect: who it is, and TLS.
    pub connect: Box<dyn Fn() -> Result<ConnectOptions, String> + Send + Sync>,
    /// What the subjects of this fleet begin with.
    pub prefix: String,
}

impl ClusterOptions {
    /// Connects to one of the servers; the client connects again by itself. `on_event` is called with what
    /// becomes of the connection.
    pub(super) async fn connect(
        &self,
        on_event: impl Fn(&Event) + Send + Sync + 'static,
    ) -> Result<Client, String> {
        let options = (self.connect)()?
            .name("landfall cluster")
            .ping_interval(PING)
            .event_callback(move |event| {
                tracing::info!(%event, "line to the other instances");
                on_event(&event);
                std::future::ready(())
            });
        let connected = options.connect(self.servers.clone()).await;
        connected.map_err(|error| error.to_string())
    }
}
