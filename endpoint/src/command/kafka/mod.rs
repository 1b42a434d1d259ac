//! The command source that consumes a Kafka topic.
//!
//! Each record is a command, as a CloudEvent; what became of it is a CloudEvent on the reply topic, if
//! there is one. A record's offset is committed when its outcome is known and told: one that was
//! under way when the process died is taken again by whoever has its partition then.
//!
//! - `message`: a record as a command, and an outcome as a record;
//! - `membership`: whether the consumer group has let it in, and why not;
//! - `offsets`: which records are done;
//! - `properties`: librdkafka's configuration;
//! - `reports`: what the client library tells of brokers and partitions.

mod membership;
mod message;
mod offsets;
mod properties;
mod reports;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus::IntGauge;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _, StreamConsumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message as _;
use rdkafka::producer::{FutureProducer, FutureRecord};
use rdkafka::util::Timeout;
use time::OffsetDateTime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::event::{CommandEvent, OutcomeEvent};
use super::presence::Presence;
use super::turns::{Turn, Turns};
use super::{CommandError, CommandHub, CommandReport};
use offsets::{Offsets, Taken};
use properties::Clients;
use reports::Reports;

/// Between two attempts to begin, and to reach the registry for a command.
const RETRY: Duration = Duration::from_secs(1);
/// Commands for one device that may be under way; one beyond it is refused, as over HTTP.
const PER_DEVICE: usize = 32;

/// Most records that wait for their turn, unless more may be under way.
const WAITING: usize = 4_096;

/// How records are taken.
#[derive(Clone)]
pub struct KafkaSource {
    /// Its name in log and metrics.
    pub name: String,
    /// The topic of commands.
    pub topic: String,
    /// The topic of outcomes.
    pub reply_topic: Option<String>,
    /// Most commands under way at once.
    pub concurrency: usize,
    /// Largest payload, in bytes.
    pub most_bytes: usize,
    /// The configured name of this process.
    pub instance: Arc<str>,
    consumer: ClientConfig,
    producer: ClientConfig,
}

/// Where Kafka is, and who asks.
pub struct KafkaAccess {
    /// `host:port`, joined by commas.
    pub brokers: String,
    /// The consumer group.
    pub group: String,
    /// Properties of librdkafka.
    pub properties: BTreeMap<String, String>,
}

/// Values may be passwords.
impl fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSource")
            .field("name", &self.name)
            .field("topic", &self.topic)
            .finish_non_exhaustive()
    }
}

impl KafkaSource {
    /// Checks the properties by making, and dropping, the clients they are for.
    ///
    /// # Errors
    ///
    /// What the operator can mend: a property that is the source's own, or that librdkafka does not
    /// know. No value is in it.
    pub fn new(
        name: &str,
        access: &KafkaAccess,
        topic: &str,
        instance: Arc<str>,
    ) -> Result<Self, String> {
        let Clients { consumer, producer } = properties::clients(access)?;
        let refused = |error: KafkaError| error.to_string();
        drop(consumer.create::<BaseConsumer>().map_err(refused)?);
        drop(producer.create::<FutureProducer>().map_err(refused)?);
        Ok(Self {
            name: name.to_owned(),
            topic: topic.to_owned(),
            reply_topic: None,
            concurrency: 1_000,
            most_bytes: 64 << 10,
            instance,
            consumer,
            producer,
        })
    }
}

type Consumer = StreamConsumer<Reports>;

/// Takes commands until it is dropped. `up` is 1 while it has its part of the topic.
pub async fn run(source: KafkaSource, hub: Arc<CommandHub>, up: IntGauge) {
    let presence = Arc::new(Presence::new(&source.name, up));
    loop {
        match serve(&source, &hub, &presence).await {
            Ok(()) => presence.pause(),
            Err(error) => presence.away(&error.to_string(), ""),
        }
        sleep(RETRY).await;
    }
}

async fn serve(
    source: &KafkaSource,
    hub: &Arc<CommandHub>,
    presence: &Arc<Presence>,
) -> Result<(), KafkaError> {
    let offsets = Offsets::default();
    let reports = Reports::new(offsets.clone(), Arc::clone(presence));
    let consumer: Arc<Consumer> = Arc::new(source.consumer.create_with_context(reports)?);
    consumer.subscribe(&[&source.topic])?;
    let producer = match &source.reply_topic {
        Some(topic) => Some((topic.clone(), source.producer.create::<FutureProducer>()?)),
        None => None,
    };
    let places = Arc::new(Semaphore::new(source.concurrency));
    let taken_at_once = Arc::new(Semaphore::new(most_taken(source.concurrency)));
    let turns = Turns::default();
    // They end with the source; what was not done is taken again.
    let mut under_way = JoinSet::new();
    loop {
        while under_way.try_join_next().is_some() {}
        let Ok(room) = Arc::clone(&taken_at_once).acquire_owned().await else {
            return Ok(());
        };
        let message = match consumer.recv().await {
            Ok(message) => message,
            Err(error) => {
                // The client goes on by itself, but after these.
                if is_final(&error) {
                    return Err(error);
                }
                tracing::debug!(source = source.name, %error, "Kafka consumer");
                consumer.context().hear(&error);
                continue;
            }
        };
        consumer.context().take_note();
        let at = (message.topic().to_owned(), message.partition());
        let commit = |offset| store(&consumer, &at, offset);
        let Some(taken) = offsets.take(at.clone(), message.offset(), commit) else {
            continue;
        };
        let event = message::read(&message);
        let key = message.key().map(<[u8]>::to_vec);
        let turn = match &event {
            Ok(event) => event.addressee().map(|who| turns.queue(who, PER_DEVICE)),
            Err(_) => None,
        };
        let work = Work {
            hub: Arc::clone(hub),
            consumer: Arc::clone(&consumer),
            producer: producer.clone(),
            taken,
            at,
            key,
            instance: Arc::clone(&source.instance),
            most_bytes: source.most_bytes,
            places: Arc::clone(&places),
            _room: room,
        };
        under_way.spawn(work.run(event, turn));
    }
}

fn is_final(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(RDKafkaErrorCode::Fatal | RDKafkaErrorCode::UnknownTopicOrPartition)
    )
}

/// Records that are taken, under way or behind others of their devices. As long as fewer silent devices than
/// there are places have as many as they may, there is room for others.
fn most_taken(concurrency: usize) -> usize {
    let all = concurrency.saturating_mul(PER_DEVICE);
    all.min(WAITING.max(concurrency))
}

/// One record, from its taking to its offset.
struct Work {
    hub: Arc<CommandHub>,
    consumer: Arc<Consumer>,
    producer: Option<(String, FutureProducer)>,
    taken: Taken,
    at: offsets::Place,
    key: Option<Vec<u8>>,
    instance: Arc<str>,
    most_bytes: usize,
    places: Arc<Semaphore>,
    _room: OwnedSemaphorePermit,
}

impl Work {
    /// `turn`: its place behind others of its device, if it names one; none, if too many are there.
    async fn run(self, event: Result<CommandEvent, CommandError>, turn: Option<Option<Turn>>) {
        let (event, result) = match (event, turn) {
            (Err(error), _) => (CommandEvent::default(), self.refused(error)),
            (Ok(event), Some(None)) => (event, self.refused(CommandError::QueueFull)),
            (Ok(event), Some(Some(mut turn))) => {
                turn.come().await;
                let result = self.take(&event).await;
                self.tell(&event, &result).await;
                drop(turn);
                return self.done();
            }
            (Ok(event), None) => {
                let result = self.take(&event).await;
                (event, result)
            }
        };
        self.tell(&event, &result).await;
        self.done();
    }

    /// A command that never reached the hub is counted all the same.
    fn refused(&self, error: CommandError) -> Result<CommandReport, CommandError> {
        let refused = Err(error);
        self.hub.count(&refused);
        refused
    }

    /// Has the command delivered; while the registry is away it waits, as the record is not lost.
    async fn take(&self, event: &CommandEvent) -> Result<CommandReport, CommandError> {
        // Not before its turn: a silent device has one place. The semaphore is never closed.
        let _place = self.places.acquire().await;
        loop {
            let asked = match event.asked(self.most_bytes, OffsetDateTime::now_utc()) {
                Ok(asked) => asked,
                Err(error) => return self.refused(error),
            };
            match self.hub.take(asked.request, asked.ttl).await {
                Err(CommandError::Unavailable) => sleep(RETRY).await,
                result => return result,
            }
        }
    }

    async fn tell(&self, event: &CommandEvent, result: &Result<CommandReport, CommandError>) {
        let Some((topic, producer)) = &self.producer else {
            return;
        };
        let outcome = OutcomeEvent::of(event, result, &self.instance);
        let mut record = FutureRecord::<[u8], [u8]>::to(topic)
            .payload(&*outcome.data)
            .headers(message::headers(&outcome));
        if let Some(key) = &self.key {
            record = record.key(key);
        }
        // Tried without end: what fails is not to be mended by trying.
        if let Err((error, _)) = producer.send(record, Timeout::Never).await {
            let outcome = result
                .as_ref()
                .map_or_else(CommandError::as_str, |told| told.outcome.as_str());
            tracing::warn!(topic, %error, outcome, "the outcome of a command cannot be told");
        }
    }

    fn done(self) {
        let Self {
            taken,
            consumer,
            at,
            ..
        } = self;
        taken.done(|offset| store(&consumer, &at, offset));
    }
}

/// Has it committed that all records before this offset are done.
fn store(consumer: &Consumer, (topic, partition): &offsets::Place, offset: i64) {
    // librdkafka takes the last record that is done, and commits the one behind it.
    if let Err(error) = consumer.store_offset(topic, *partition, offset - 1) {
        tracing::debug!(topic, partition, %error, "an offset cannot be committed");
    }
}
