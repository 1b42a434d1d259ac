//! The sink that produces events to Kafka (CloudEvents Kafka binding 1.0.2).
//!
//! Accepted means acknowledged by all in-sync replicas (`acks=all`). The producer is idempotent and
//! tries without end: as long as it lives, each event is in its topic once, and events of one
//! sender are in order in one partition.

mod options;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, NoCustomPartitioner, Producer as _, ProducerContext, ThreadedProducer,
};

pub use options::{KafkaError as KafkaSinkError, KafkaMode, KafkaOptions};

use super::remote::{Courier, Outcome, Remote, RemoteOptions, Ticket, Watch};
use crate::record::Record;
use crate::sink::Refusal;
use crate::template::push_escaped;

/// Starts a sink of the given name. It connects, and connects again, by itself.
///
/// # Errors
///
/// [`KafkaSinkError`]. A broker that is away is none.
pub fn start(name: &str, options: KafkaOptions) -> Result<Remote, KafkaSinkError> {
    let config = options.client_config();
    // What librdkafka does not know is refused here, where somebody reads it.
    let reports = Reports::new(Watch::default());
    let producer = produce(&config, reports).map_err(KafkaSinkError::Options)?;
    drop(producer);
    let remote = RemoteOptions {
        queue_bytes: options.queue_bytes,
        lanes: 1,
        spill: options.spill.clone(),
    };
    let courier = move |watch| KafkaCourier {
        options,
        config,
        reports: Reports::new(watch),
        producer: None,
    };
    Ok(Remote::watched(name, remote, courier)?)
}

/// How long brokers may take to show that they are there.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

type Producer = ThreadedProducer<Reports, NoCustomPartitioner>;

struct KafkaCourier {
    options: KafkaOptions,
    config: ClientConfig,
    reports: Reports,
    producer: Option<Producer>,
}

/// Where librdkafka reports, on its own threads.
#[derive(Clone)]
struct Reports {
    watch: Watch,
    /// Why there is no connection to a broker, the last time there was none.
    cause: Arc<Mutex<Option<String>>>,
}

impl Reports {
    fn new(watch: Watch) -> Self {
        Self {
            watch,
            cause: Arc::default(),
        }
    }

    fn cause(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
        let cause = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                let cause = self.cause().clone();
                return self.watch.trouble(cause.as_deref().unwrap_or(reason));
            }
            Some(RDKafkaErrorCode::Authentication) => "the brokers refuse the log-in",
            Some(RDKafkaErrorCode::SSL) => "no TLS connection to the brokers",
            Some(RDKafkaErrorCode::Resolve) => "no broker has that name",
            Some(RDKafkaErrorCode::BrokerTransportFailure) => "no connection to the brokers",
            _ => return,
        };
        *self.cause() = Some(format!("{cause}: {reason}"));
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Box<Ticket>;

    fn delivery(&self, result: &DeliveryResult<'_>, ticket: Box<Ticket>) {
        ticket.answer(match result {
            Ok(_) => Outcome::Accepted,
            Err((error, _)) => outcome(error),
        });
    }
}

impl Courier for KafkaCourier {
    /// The producer keeps the order of each partition.
    fn lanes(&self) -> u16 {
        1
    }

    fn window(&self) -> usize {
        self.options.window
    }

    fn most(&self) -> (usize, usize) {
        (1, usize::MAX)
    }

    /// Holds up the sink's thread, which has nothing else to do then.
    async fn probe(&mut self) -> Result<(), String> {
        *self.reports.cause() = None;
        let producer = self.producer().map_err(|error| error.to_string())?;
        let found = producer.client().fetch_metadata(None, PROBE_TIMEOUT);
        match found {
            Ok(_) => Ok(()),
            // That there is no answer says less than why.
            Err(error) => Err((self.reports.cause().take()).unwrap_or_else(|| error.to_string())),
        }
    }

    async fn send(&mut self, _application: &str, events: Vec<Bytes>, ticket: Ticket) {
        let Some(record) = events.first().and_then(|event| Record::read(event)) else {
            return ticket.answer(Outcome::unreadable());
        };
        let topic = self.options.topic.render(&record, push_topic);
        let (headers, body) = message(&record, self.options.mode);
        let payload: &[u8] = body.as_deref().unwrap_or(record.payload());
        let producer = match self.producer() {
            Ok(producer) => producer,
            Err(error) => return ticket.answer(outcome(&error)),
        };
        let message = BaseRecord::with_opaque_to(&topic, Box::new(ticket))
            .key(record.get("partitionkey"))
            .payload(payload)
            .headers(headers);
        if let Err((error, message)) = producer.send(message) {
            message.delivery_opaque.answer(outcome(&error));
        }
    }
}

impl KafkaCourier {
    /// The producer; another one after a fatal error, which librdkafka raises when it can no longer
    /// tell what the brokers have.
    fn producer(&mut self) -> Result<&Producer, KafkaError> {
        let is_dead = |producer: &mut Producer| producer.client().fatal_error().is_some();
        if let Some(dead) = self.producer.take_if(is_dead) {
            tracing::warn!("the Kafka producer has failed; it is replaced");
            // Its messages come back as failed, and are sent again.
            drop(dead);
        }
        match &mut self.producer {
            Some(producer) => Ok(producer),
            none => Ok(none.insert(produce(&self.config, self.reports.clone())?)),
        }
    }
}

fn produce(config: &ClientConfig, reports: Reports) -> Result<Producer, KafkaError> {
    config.create_with_context(reports)
}

fn outcome(error: &KafkaError) -> Outcome {
    let code = error.rdkafka_error_code();
    match code {
        Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
            Outcome::Refused(Refusal::TooLarge, error.to_string())
        }
        Some(RDKafkaErrorCode::InvalidMessage | RDKafkaErrorCode::InvalidRecord) => {
            Outcome::Refused(Refusal::Rejected, error.to_string())
        }
        _ => Outcome::retry(error),
    }
}

/// Kafka binding 3.2 and 3.3: headers, and the value if it is not the payload itself.
fn message(record: &Record<'_>, mode: KafkaMode) -> (OwnedHeaders, Option<Vec<u8>>) {
    let mut headers = OwnedHeaders::new_with_capacity(20);
    let mut push = |key: &str, value: &str| {
        let header = Header {
            key,
            value: Some(value),
        };
        headers = std::mem::take(&mut headers).insert(header);
    };
    if mode == KafkaMode::Structured || record.looks_structured() {
        push("content-type", "application/cloudevents+json");
        let mut body = Vec::new();
        record.write_structured_json(&mut body);
        return (headers, Some(body));
    }
    push("ce_specversion", "1.0");
    for (name, value) in record.attributes() {
        match name {
            "datacontenttype" => push("content-type", value),
            name => push(&format!("ce_{name}"), value),
        }
    }
    (headers, None)
}

/// Topics have ASCII letters, digits, `.`, `_` and `-`. Everything else, and `_`, is escaped by it,
/// so that no two names become one topic.
fn push_topic(out: &mut String, value: &str) {
    push_escaped(out, value, '_', |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
    });
}
