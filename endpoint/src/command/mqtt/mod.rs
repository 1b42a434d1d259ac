//! The command source that subscribes at an MQTT broker: the other half of the sink `mqtt`.
//!
//! Each message is a command: a CloudEvent, or whatever its topic names; what became of it goes to
//! the message's response topic (MQTT 5). A message is acknowledged when its outcome is known and
//! the broker has taken it, so the broker sends what was under way again when the process dies; what
//! is still under way when only the connection was lost is not begun twice, and its outcome is told
//! on the next connection.
//!
//! - `message`: a message as a command, and its outcome as a message;
//! - `connection`: one connection, in either version;
//! - `progress`: which messages are under way;
//! - `resume`: how a session goes on that the broker has kept.

mod connection;
mod message;
mod progress;
mod resume;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use landfall_events::sink::mqtt::{MqttTls, MqttVersion, client_config};
use prometheus::IntGauge;
use rustls::ClientConfig;
use time::OffsetDateTime;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::event::{CommandEvent, OutcomeEvent};
use super::presence::Presence;
use super::turns::{Turn, Turns};
use super::{CommandError, CommandHub, CommandReport};
use connection::{Client, Connection, Incoming, Untold};
use message::{Message, Reply};
use progress::{Began, Progress, Token};

/// Between two attempts to connect, to reach the registry for a command, and to tell an outcome.
const RETRY: Duration = Duration::from_secs(1);
/// Commands for one device that may be under way; one beyond it is refused, as over HTTP.
const PER_DEVICE: usize = 32;

/// How commands are subscribed to.
#[derive(Clone)]
pub struct MqttSource {
    /// Its name in log and metrics.
    pub name: String,
    /// The broker's host name or address, and its port.
    pub broker: (String, u16),
    /// The protocol spoken to it.
    pub version: MqttVersion,
    /// The client id; the same at each start, so that the broker knows what it has not acknowledged.
    pub client_id: String,
    /// What is subscribed to, `$share/…` included.
    pub filter: String,
    /// How long the broker keeps messages for it while it is away, in seconds.
    pub session_expiry: u32,
    /// User name and password.
    pub credentials: Option<(String, String)>,
    /// Most commands under way at once.
    pub concurrency: u16,
    /// Largest payload, in bytes.
    pub most_bytes: usize,
    /// The configured name of this process.
    pub instance: Arc<str>,
    tls: Option<Arc<ClientConfig>>,
}

/// Shows no password.
impl fmt::Debug for MqttSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MqttSource")
            .field("name", &self.name)
            .field("broker", &self.broker)
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}

impl MqttSource {
    /// A source with usual bounds, and no log-in.
    ///
    /// # Errors
    ///
    /// The certificates or keys cannot be used.
    pub fn new(
        name: &str,
        broker: (&str, u16),
        (client_id, filter): (String, String),
        tls: Option<&MqttTls>,
    ) -> Result<Self, String> {
        let tls = tls.map(client_config).transpose();
        Ok(Self {
            name: name.to_owned(),
            broker: (broker.0.to_owned(), broker.1),
            version: MqttVersion::V5,
            client_id,
            filter,
            session_expiry: 86_400,
            credentials: None,
            concurrency: 1_000,
            most_bytes: 64 << 10,
            instance: "landfall".into(),
            tls: tls.map_err(|error| error.to_string())?,
        })
    }
}

/// Takes commands until it is dropped. `up` is 1 while it is subscribed.
pub async fn run(source: MqttSource, hub: Arc<CommandHub>, up: IntGauge) {
    let presence = Presence::new(&source.name, up);
    let desk = Desk {
        hub,
        progress: Arc::default(),
        places: Arc::new(Semaphore::new(source.concurrency.into())),
        waiting: Arc::new(Semaphore::new(source.concurrency.into())),
        turns: Turns::default(),
        source: Arc::new(source),
    };
    loop {
        match desk.serve(&presence).await {
            Ok(()) => presence.pause(),
            Err(error) => presence.away(&error, ""),
        }
        desk.progress.disconnected();
        sleep(RETRY).await;
    }
}

/// Where messages are worked on, whatever connection they came on.
#[derive(Clone)]
struct Desk {
    source: Arc<MqttSource>,
    hub: Arc<CommandHub>,
    progress: Arc<Progress<Client>>,
    places: Arc<Semaphore>,
    /// Of messages at QoS 0, which no broker holds back.
    waiting: Arc<Semaphore>,
    turns: Turns,
}

impl Desk {
    /// Connects, subscribes, and takes messages until the connection ends.
    async fn serve(&self, presence: &Presence) -> Result<(), String> {
        let mut connection = Connection::open(&self.source).await?;
        let present = connection.session_present();
        self.progress.connected(connection.client(), present);
        connection.subscribe(&self.source.filter).await?;
        loop {
            match connection.next().await? {
                Incoming::Subscribed => presence.here(),
                Incoming::Refused(reason) => return Err(reason),
                Incoming::Message(message) => self.take(message),
            }
        }
    }

    /// Begins with a message, in its device's order.
    fn take(&self, message: Message) {
        let token = match message.packet_id() {
            None => None,
            Some(id) => match self.progress.begin(id, message.dup) {
                Began::New(token) => Some(token),
                Began::UnderWay => return,
                Began::Finished(client) => return acknowledge(&client, id),
            },
        };
        let place = Arc::clone(&self.waiting).try_acquire_owned().ok();
        if token.is_none() && place.is_none() {
            // Nobody was promised that it would be taken.
            let _ = self.refused(CommandError::QueueFull);
            return;
        }
        // What the broker waits for is bounded by what it sends unacknowledged.
        let place = place.filter(|_| token.is_none());
        let event = message.event();
        let turn = match &event {
            Ok(event) => event
                .addressee()
                .map(|who| self.turns.queue(who, PER_DEVICE)),
            Err(_) => None,
        };
        let work = self.clone().work(event, turn, message.reply, token);
        tokio::spawn(async move {
            work.await;
            drop(place);
        });
    }

    /// `turn`: its place behind others of its device; none, if too many are there.
    async fn work(
        self,
        event: Result<CommandEvent, CommandError>,
        turn: Option<Option<Turn>>,
        reply: Option<Reply>,
        token: Option<Token>,
    ) {
        let result = match (&event, turn) {
            (Err(error), _) => self.refused(error.clone()),
            (Ok(_), Some(None)) => self.refused(CommandError::QueueFull),
            (Ok(event), turn) => {
                let mut turn = turn.flatten();
                if let Some(turn) = &mut turn {
                    turn.come().await;
                }
                // The semaphore is never closed.
                let _place = self.places.acquire().await;
                self.deliver(event).await
            }
        };
        // The device's next command need not wait for the broker.
        if let Some(reply) = reply {
            let event = event.unwrap_or_default();
            self.tell(
                reply,
                OutcomeEvent::of(&event, &result, &self.source.instance),
            )
            .await;
        }
        self.done(token);
    }

    /// A command that never reached the hub is counted all the same.
    fn refused(&self, error: CommandError) -> Result<CommandReport, CommandError> {
        let refused = Err(error);
        self.hub.count(&refused);
        refused
    }

    /// Has the command delivered; while the registry is away it waits, as the message is not lost.
    async fn deliver(&self, event: &CommandEvent) -> Result<CommandReport, CommandError> {
        loop {
            let asked = match event.asked(self.source.most_bytes, OffsetDateTime::now_utc()) {
                Ok(asked) => asked,
                Err(error) => return self.refused(error),
            };
            match self.hub.take(asked.request, asked.ttl).await {
                Err(CommandError::Unavailable) => sleep(RETRY).await,
                result => return result,
            }
        }
    }

    /// Publishes an outcome until the broker has taken it: what is lost with a connection is told on
    /// the next one, under the same id.
    async fn tell(&self, reply: Reply, outcome: OutcomeEvent) {
        loop {
            if let Some(client) = self.progress.client() {
                match client.reply(&reply, &outcome).await {
                    Ok(()) => return,
                    Err(Untold::Lost) => {}
                    Err(Untold::Refused(reason)) => {
                        let source = &self.source.name;
                        tracing::warn!(source, reason, "the outcome of a command cannot be told");
                        return;
                    }
                }
            }
            sleep(RETRY).await;
        }
    }

    fn done(&self, token: Option<Token>) {
        if let Some(token) = token
            && let Some((client, id)) = self.progress.finish(token)
        {
            acknowledge(&client, id);
        }
    }
}

fn acknowledge(client: &Client, id: u16) {
    let client = client.clone();
    tokio::spawn(async move {
        if let Err(error) = client.acknowledge(id).await {
            tracing::debug!(
                error,
                "a message cannot be acknowledged: it will come again"
            );
        }
    });
}
