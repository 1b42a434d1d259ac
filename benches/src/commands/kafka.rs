//! Commands as records of Kafka; outcomes are read from the reply topic.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender as Teller, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, Headers as _, Message as _, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use rdkafka::{Offset, TopicPartitionList};

use super::Spec;
use super::workers::Sender;
use crate::error::{Error, Result, ServerFault};

/// Longest wait for an outcome, and for the brokers.
const PATIENCE: Duration = Duration::from_secs(20);
/// Longest wait for a record before the word to stop is looked for.
const TICK: Duration = Duration::from_millis(20);

type Producer = ThreadedProducer<DefaultProducerContext>;

/// Who waits for the outcome of which command.
type Waiters = Mutex<HashMap<String, Teller<String>>>;

/// What the workers share.
struct Shared {
    waiters: Waiters,
    over: AtomicBool,
}

/// One for each worker, over one producer.
pub(super) fn senders(spec: &Spec) -> Result<Vec<Box<dyn Sender>>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", spec.server.clone().unwrap_or_default());
    let mut produce = config.clone();
    // As librdkafka has it: a request for each command would measure the broker.
    produce.set("linger.ms", "5");
    let producer: Producer = produce.create().map_err(failed)?;
    let producer = Arc::new(producer);
    config.set("group.id", "landfall-load");
    // Outcomes of a run before are nobody's.
    let run = std::process::id();
    let outcomes = follow(&config, &spec.outcomes)?;
    let shared = Arc::new(Shared {
        waiters: Mutex::default(),
        over: AtomicBool::new(false),
    });
    let told = Arc::clone(&shared);
    std::thread::spawn(move || tell(&outcomes, &told));
    let ending = Arc::new(Ending(Arc::clone(&shared)));
    let sender = |_| {
        Box::new(Kafka {
            producer: Arc::clone(&producer),
            shared: Arc::clone(&shared),
            topic: spec.to.clone(),
            application: spec.application.clone(),
            payload: vec![b'x'; spec.payload.into()],
            run,
            _ending: Arc::clone(&ending),
        }) as Box<dyn Sender>
    };
    Ok((0..spec.workers).map(sender).collect())
}

/// Ends the reader of outcomes with the last sender.
struct Ending(Arc<Shared>);

impl Drop for Ending {
    fn drop(&mut self) {
        self.0.over.store(true, Ordering::Release);
    }
}

// What `map_err` hands over.
#[allow(clippy::needless_pass_by_value)]
fn failed(fault: rdkafka::error::KafkaError) -> Error {
    Error::Usage(format!("Kafka: {fault}"))
}

/// A reader of all partitions, from their present ends.
fn follow(config: &ClientConfig, topic: &str) -> Result<BaseConsumer> {
    let consumer: BaseConsumer = config.create().map_err(failed)?;
    let metadata = consumer
        .fetch_metadata(Some(topic), PATIENCE)
        .map_err(failed)?;
    let mut list = TopicPartitionList::new();
    for partition in metadata
        .topics()
        .iter()
        .flat_map(rdkafka::metadata::MetadataTopic::partitions)
    {
        let (_, end) = consumer
            .fetch_watermarks(topic, partition.id(), PATIENCE)
            .map_err(failed)?;
        list.add_partition_offset(topic, partition.id(), Offset::Offset(end))
            .map_err(failed)?;
    }
    consumer.assign(&list).map_err(failed)?;
    Ok(consumer)
}

fn tell(outcomes: &BaseConsumer, shared: &Shared) {
    while !shared.over.load(Ordering::Acquire) {
        let Some(Ok(message)) = outcomes.poll(TICK) else {
            continue;
        };
        let headers = message.headers();
        let text = |name: &str| {
            let mut headers = headers.into_iter().flat_map(|headers| headers.iter());
            let value = headers.find(|header| header.key == name)?.value?;
            Some(String::from_utf8_lossy(value).into_owned())
        };
        if let (Some(id), Some(outcome)) = (text("ce_commandid"), text("ce_outcome")) {
            let waiters = shared.waiters.lock();
            let waiter = waiters.unwrap_or_else(PoisonError::into_inner).remove(&id);
            if let Some(waiter) = waiter {
                // A worker that has given up has ended the run.
                let _ = waiter.send(outcome);
            }
        }
    }
}

struct Kafka {
    producer: Arc<Producer>,
    shared: Arc<Shared>,
    topic: String,
    application: String,
    payload: Vec<u8>,
    run: u32,
    _ending: Arc<Ending>,
}

impl Sender for Kafka {
    fn send(&mut self, device: &str, number: u64) -> Result<()> {
        let id = format!("{}-{number}", self.run);
        let (teller, told) = channel();
        let waiters = self.shared.waiters.lock();
        waiters
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id.clone(), teller);
        let mut headers = OwnedHeaders::new_with_capacity(7);
        for (key, value) in [
            ("ce_specversion", "1.0"),
            ("ce_type", "load"),
            ("ce_source", "urn:landfall-load"),
            ("ce_id", &id),
            ("ce_application", &self.application),
            ("ce_device", device),
            ("ce_subject", "load"),
        ] {
            headers = headers.insert(Header {
                key,
                value: Some(value),
            });
        }
        let record = BaseRecord::to(&self.topic)
            .key(device)
            .payload(&self.payload)
            .headers(headers);
        self.producer
            .send(record)
            .map_err(|(fault, _)| failed(fault))?;
        match told.recv_timeout(PATIENCE) {
            Ok(outcome) if outcome == "acknowledged" => Ok(()),
            Ok(outcome) => Err(ServerFault::NotAcknowledged(outcome).into()),
            Err(_) => Err(ServerFault::Stalled(PATIENCE).into()),
        }
    }
}
