//! The command source that answers requests of NATS.
//!
//! It subscribes to `{prefix}.{application}.{device}.{command}`; each message is a command, and
//! what became of it is the reply. `message` reads the one and writes the other.
//!
//! Messages are core NATS: one that comes while nobody is connected is lost, and its sender, who
//! waits for a reply, learns so at once ("no responders").

mod message;

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, ConnectOptions, Event, Message, ServerAddr};
use futures_util::StreamExt as _;
use prometheus::IntGauge;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::CommandHub;
use super::presence::Presence;
pub use message::{PrefixError, Subjects};
use message::{read, reply};

/// Between two attempts to begin.
const RETRY: Duration = Duration::from_secs(1);
/// Between two pings of a connection, of which the third without an answer ends it.
const PING: Duration = Duration::from_secs(15);

/// How requests are taken.
pub struct NatsSource {
    /// Its name in log and metrics.
    pub name: String,
    /// `nats://host:port` or `tls://host:port`.
    pub servers: Vec<ServerAddr>,
    /// How to connect: who it is, and TLS.
    pub options: Box<dyn Fn() -> Result<ConnectOptions, String> + Send + Sync>,
    /// Where commands come.
    pub subjects: Subjects,
    /// Instances of one group share the requests; without one, each takes all.
    pub group: String,
    /// Most commands under way at once; further ones wait.
    pub concurrency: usize,
    /// Largest payload, in bytes.
    pub most_bytes: usize,
}

/// Takes commands until it is dropped. `up` is 1 while it is connected.
pub async fn run(source: NatsSource, hub: Arc<CommandHub>, up: IntGauge) {
    let presence = Arc::new(Presence::new(&source.name, up));
    loop {
        match serve(&source, &hub, &presence).await {
            Ok(()) => presence.away("the subscription has ended", ""),
            Err(error) => presence.away(&error, ""),
        }
        sleep(RETRY).await;
    }
}

/// Connects, and takes commands until the subscription ends. The client itself connects again
/// when a connection is lost.
async fn serve(
    source: &NatsSource,
    hub: &Arc<CommandHub>,
    presence: &Arc<Presence>,
) -> Result<(), String> {
    let client = connect(source, presence).await?;
    let subject = source.subjects.filter();
    let subscribed = client.queue_subscribe(subject, source.group.clone()).await;
    let mut requests = subscribed.map_err(|error| error.to_string())?;
    let places = Arc::new(Semaphore::new(source.concurrency));
    // They end with the source.
    let mut under_way = JoinSet::new();
    while let Some(message) = requests.next().await {
        while under_way.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            break;
        };
        let (client, hub) = (client.clone(), Arc::clone(hub));
        let (subjects, most) = (source.subjects.clone(), source.most_bytes);
        under_way.spawn(async move {
            answer(&client, &hub, message, &subjects, most).await;
            drop(place);
        });
    }
    Ok(())
}

async fn connect(source: &NatsSource, presence: &Arc<Presence>) -> Result<Client, String> {
    let (presence, name) = (Arc::clone(presence), source.name.clone());
    let options = (source.options)()?
        .name(format!("landfall {}", source.name))
        // Beyond what is under way, as many may wait; NATS drops what is more, and their senders
        // learn by the lack of a reply.
        .subscription_capacity(source.concurrency)
        .ping_interval(PING)
        .event_callback(move |event| {
            match &event {
                Event::Connected => presence.here(),
                Event::Disconnected => presence.away("the connection is lost", ""),
                Event::SlowConsumer(_) => {
                    tracing::warn!(
                        source = name,
                        "more commands came than can wait: some are lost"
                    );
                }
                other => tracing::debug!(source = name, %other, "command source"),
            }
            std::future::ready(())
        });
    options
        .connect(source.servers.clone())
        .await
        .map_err(|error| match error.source() {
            Some(source) => format!("{error}: {source}"),
            None => error.to_string(),
        })
}

/// Has one command delivered and tells its sender what became of it.
async fn answer(
    client: &Client,
    hub: &Arc<CommandHub>,
    message: Message,
    subjects: &Subjects,
    most: usize,
) {
    let sender = message.reply.clone();
    let taken = match read(message, subjects, most) {
        Ok((request, ttl)) => hub.take(request, ttl).await,
        Err(error) => Err(error),
    };
    // Who gave no reply subject does not want to know.
    let Some(sender) = sender else {
        return;
    };
    let (headers, payload) = reply(&taken);
    if let Err(error) = client.publish_with_headers(sender, headers, payload).await {
        tracing::debug!(%error, "the outcome of a command could not be told");
    }
}
