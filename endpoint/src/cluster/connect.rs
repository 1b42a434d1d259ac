//! The connection to NATS.

use async_nats::{Client, ConnectOptions, Event, ServerAddr};

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
    /// Connects to one of the servers; the client connects again by itself.
    ///
    /// `on_loss` is called when messages, either way, may have been lost.
    pub(super) async fn connect(
        &self,
        on_loss: impl Fn() + Send + Sync + 'static,
    ) -> Result<Client, String> {
        let options = (self.connect)()?
            .name("landfall cluster")
            .event_callback(move |event| {
                tracing::info!(%event, "line to the other instances");
                if let Event::Connected | Event::Disconnected | Event::SlowConsumer(_) = event {
                    on_loss();
                }
                std::future::ready(())
            });
        let connected = options.connect(self.servers.clone()).await;
        connected.map_err(|error| error.to_string())
    }
}
