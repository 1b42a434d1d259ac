//! The sink's two producers, and how one that has given up is replaced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer as _, PurgeConfig, ThreadedProducer};

use super::limits::Limits;
use super::placement::Placement;
use super::reports::{Fate, Reports, Shared};
use crate::sink::remote::{Outcome, Watch};

/// How long brokers may take to show that they are there.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long brokers may take to tell what became of the batches that a producer has sent which is
/// replaced. What they do not tell by then is sent again, and may be there twice.
const LAST_WORDS: Duration = Duration::from_secs(10);
/// A producer for what goes alone is kept for so long after it was used.
const IDLE: Duration = Duration::from_secs(60);
/// Between two looks at whether they have told.
const LOOK: Duration = Duration::from_millis(20);

pub(super) type Producer = ThreadedProducer<Reports, Placement>;

pub(super) struct Producers {
    maker: Maker,
    /// Sends in batches. It gives up all it has when a batch is refused for good, so that nothing
    /// overtakes what was in that.
    common: Option<Running>,
    /// Sends each event in a batch of its own: those that go alone.
    single: Option<Running>,
    generation: u64,
}

/// What producers are made of.
struct Maker {
    config: ClientConfig,
    shared: Arc<Shared>,
    limits: Limits,
}

struct Running {
    producer: Producer,
    fate: Arc<Fate>,
    used: Instant,
}

impl Producers {
    /// Connects to nothing yet.
    pub(super) fn new(config: ClientConfig, watch: Watch, limits: Limits) -> Self {
        let maker = Maker {
            config,
            shared: Arc::new(Shared::new(watch)),
            limits,
        };
        Self {
            maker,
            common: None,
            single: None,
            generation: 0,
        }
    }

    /// Makes a producer, and drops it.
    ///
    /// # Errors
    ///
    /// What librdkafka has against the properties.
    pub(super) fn check(&self) -> Result<(), KafkaError> {
        self.maker.make(false).map(drop)
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.maker.limits
    }

    /// Rises when the common producer is replaced: what it had under way must have come back before
    /// more of the same sender goes by its successor.
    pub(super) fn generation(&mut self) -> u64 {
        if let Some(spent) = self.common.take_if(|running| running.is_over()) {
            if let Some(bytes) = spent.fate.refused_bytes() {
                self.make_batches_smaller(bytes);
            }
            self.generation += 1;
            bury(spent);
        }
        if let Some(idle) = self.single.take_if(|running| running.is_idle()) {
            bury(idle);
        }
        if let Some(running) = &self.common {
            running.forget_old(Instant::now());
        }
        self.generation
    }

    fn make_batches_smaller(&self, refused: usize) {
        let now = Instant::now();
        self.limits().refused_batch(refused, now);
        let bytes = self.limits().batch_bytes(now);
        tracing::info!(
            bytes,
            "a batch was larger than its topic takes: from now on they have at most so many bytes"
        );
    }

    /// The producer for an event that goes alone, or in company.
    ///
    /// # Errors
    ///
    /// librdkafka cannot start it.
    pub(super) fn of(&mut self, alone: bool) -> Result<&Producer, KafkaError> {
        // What goes alone has nothing else of its sender under way: a successor may start at once.
        if alone && let Some(spent) = self.single.take_if(|running| running.is_over()) {
            bury(spent);
        }
        let place = if alone {
            &mut self.single
        } else {
            &mut self.common
        };
        match place {
            Some(running) => {
                // The common one is never idle, and each event goes by it.
                if alone {
                    running.used = Instant::now();
                }
                Ok(&running.producer)
            }
            none => Ok(&none.insert(self.maker.make(alone)?).producer),
        }
    }

    /// Takes note of what became of an event that its producer did not even take.
    pub(super) fn note(&self, alone: bool, outcome: &Outcome) {
        let running = if alone { &self.single } else { &self.common };
        if let Some(running) = running {
            running.fate.note(outcome);
        }
    }

    /// Looks whether there are brokers. The error is for log and readiness.
    pub(super) fn probe(&mut self) -> Result<(), String> {
        *self.maker.shared.cause() = None;
        let producer = self.of(false).map_err(|error| error.to_string())?;
        let found = producer.client().fetch_metadata(None, PROBE_TIMEOUT);
        match found {
            Ok(_) => Ok(()),
            // That there is no answer says less than why.
            Err(error) => {
                let cause = self.maker.shared.cause().take();
                Err(cause.unwrap_or_else(|| error.to_string()))
            }
        }
    }
}

impl Maker {
    fn make(&self, alone: bool) -> Result<Running, KafkaError> {
        let mut config = self.config.clone();
        let batch_bytes = (!alone).then(|| self.limits.batch_bytes(Instant::now()));
        match batch_bytes {
            Some(bytes) if bytes == self.limits.configured_batch_bytes() => {}
            Some(bytes) => {
                config.set("batch.size", bytes.to_string());
            }
            None => {
                config
                    .set("batch.num.messages", "1")
                    .set("linger.ms", "0")
                    // A refusal is final, and nothing is behind it.
                    .set("enable.gapless.guarantee", "false");
            }
        }
        let placement = Placement::new(Instant::now());
        let reports = Reports::new(&self.shared, &self.limits, placement, batch_bytes);
        let fate = reports.fate();
        Ok(Running {
            producer: config.create_with_context(reports)?,
            fate,
            used: Instant::now(),
        })
    }
}

impl Running {
    /// Another one is to be made.
    fn is_over(&self) -> bool {
        self.fate.is_spent() || self.producer.client().fatal_error().is_some()
    }

    fn forget_old(&self, now: Instant) {
        self.producer.client().context().placement().forget_old(now);
    }

    /// Nobody needs it any more. Brokers would end its connection, which passes for an outage.
    fn is_idle(&self) -> bool {
        self.used.elapsed() > IDLE && self.producer.in_flight_count() == 0
    }
}

/// Ends a producer, aside. What it has not sent comes back at once, and what it has sent when the
/// brokers have told what became of it.
fn bury(spent: Running) {
    let _aside = tokio::task::spawn_blocking(move || {
        let producer = spent.producer;
        let until = Instant::now() + LAST_WORDS;
        while producer.in_flight_count() > 0 && Instant::now() < until {
            // What failed and was to be tried again stands in the queue, too.
            producer.purge(PurgeConfig::default().queue());
            std::thread::park_timeout(LOOK);
        }
    });
}
