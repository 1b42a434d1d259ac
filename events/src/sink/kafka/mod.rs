//! The sink that produces events to Kafka (CloudEvents Kafka binding 1.0.2).
//!
//! Accepted means acknowledged by all in-sync replicas (`acks=all`). The producer is idempotent and
//! tries without end: as long as it lives, each event is in its topic once, and events of one
//! sender are in order in one partition.
//!
//! What brokers refuse they refuse in batches, and what is behind a refused batch must not overtake
//! it. So the producer gives up as a whole when a batch is refused for good: all it has comes back,
//! and goes again in order by another one. What is in doubt goes alone, by a producer of its own that
//! sends each event in a batch of its own and survives a refusal: what that says is final.
//!
//! - `producers`: these two, and how one that has given up is replaced;
//! - `reports`: what librdkafka tells, as outcomes;
//! - `placement`: to which partition an event goes, and whether that knows the producer;
//! - `limits`: what was learned of the sizes that brokers take;
//! - `message`: an event as a message.

mod limits;
mod message;
mod options;
mod placement;
mod producers;
mod reports;
#[cfg(test)]
mod tests;

use std::time::Instant;

use bytes::Bytes;
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer as _};

pub use options::{KafkaError as KafkaSinkError, KafkaMode, KafkaOptions};

use super::remote::{Courier, Outcome, Remote, RemoteOptions, Ticket, Watch};
use crate::record::Record;
use limits::Limits;
use message::{message, push_topic};
use producers::Producers;
use reports::{Sent, verdict};

/// Starts a sink of the given name. It connects, and connects again, by itself.
///
/// # Errors
///
/// [`KafkaSinkError`]. A broker that is away is none.
pub fn start(name: &str, options: KafkaOptions) -> Result<Remote, KafkaSinkError> {
    let config = options.client_config();
    let batch_bytes = options.batch_bytes();
    let producers = move |watch| Producers::new(config, watch, Limits::new(batch_bytes));
    // What librdkafka does not know is refused here, where somebody reads it.
    let check = producers.clone()(Watch::default());
    check.check().map_err(KafkaSinkError::Options)?;
    let remote = RemoteOptions {
        queue_bytes: options.queue_bytes,
        lanes: 1,
        spill: options.spill.clone(),
    };
    let courier = move |watch| KafkaCourier {
        options,
        producers: producers(watch),
        holds: false,
    };
    Ok(Remote::watched(name, remote, courier)?)
}

struct KafkaCourier {
    options: KafkaOptions,
    producers: Producers,
    /// What was sent last may be the first of its producer in its partition.
    holds: bool,
}

impl KafkaCourier {
    fn topic(&self, record: &Record<'_>) -> String {
        self.options.topic.render(record, push_topic)
    }

    fn produce(
        &mut self,
        event: &Bytes,
        record: &Record<'_>,
        ticket: Ticket,
    ) -> Result<(), (KafkaError, Ticket)> {
        let topic = self.topic(record);
        let (headers, body) = message(record, self.options.mode);
        let payload: &[u8] = body.as_deref().unwrap_or(record.payload());
        let producer = match self.producers.of(ticket.is_alone()) {
            Ok(producer) => producer,
            Err(error) => return Err((error, ticket)),
        };
        let sent = Sent {
            ticket,
            bytes: event.len(),
        };
        let message = BaseRecord::with_opaque_to(&topic, Box::new(sent))
            .key(record.get("partitionkey"))
            .payload(payload)
            .headers(headers);
        let sent = producer.send(message);
        self.holds = producer.client().context().placement().was_first(&topic);
        sent.map_err(|(error, message)| (error, message.delivery_opaque.ticket))
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

    fn generation(&mut self) -> u64 {
        self.producers.generation()
    }

    /// An event of a size, or of a sender, that was refused a while ago: in company it would have all
    /// come back.
    fn goes_alone(&self, event: &Bytes) -> bool {
        let limits = self.producers.limits();
        if limits.are_trusted(event.len()) {
            return false;
        }
        let record = Record::read(event);
        record.is_some_and(|record| {
            let key = record.get("partitionkey");
            limits.is_suspect(key, event.len(), Instant::now(), || self.topic(&record))
        })
    }

    fn holds(&mut self) -> bool {
        std::mem::take(&mut self.holds)
    }

    /// Holds up the sink's thread, which has nothing else to do then.
    async fn probe(&mut self) -> Result<(), String> {
        self.producers.probe()
    }

    async fn send(&mut self, _application: &str, events: Vec<Bytes>, ticket: Ticket) {
        let event = events.first();
        let Some((event, record)) = event.and_then(|event| Some((event, Record::read(event)?)))
        else {
            return ticket.answer(Outcome::unreadable());
        };
        if let Err((error, ticket)) = self.produce(event, &record, ticket) {
            let outcome = verdict(&error);
            self.producers.note(ticket.is_alone(), &outcome);
            ticket.answer(outcome);
        }
    }
}
