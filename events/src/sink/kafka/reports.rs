//! What librdkafka tells, on its own threads: as outcomes, and as the sink's health.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Message as _};
use rdkafka::producer::ProducerContext;

use super::limits::Limits;
use super::placement::Placement;
use crate::sink::Refusal;
use crate::sink::remote::{Outcome, Ticket, Watch};

/// What goes with a message until its delivery report.
pub(super) struct Sent {
    pub(super) ticket: Ticket,
    /// The event's size.
    pub(super) bytes: usize,
}

/// Where one producer reports.
pub(super) struct Reports {
    shared: Arc<Shared>,
    limits: Limits,
    fate: Arc<Fate>,
    placement: Placement,
    /// How large batches of this producer are, in bytes; `None`: each message is one.
    batch_bytes: Option<usize>,
}

/// What the reports of all producers share.
pub(super) struct Shared {
    watch: Watch,
    /// Why there is no connection to a broker, the last time there was none.
    cause: Mutex<Option<String>>,
}

/// What has become of one producer.
#[derive(Default)]
pub(super) struct Fate {
    /// It has given events up, or holds a topic for one that takes none: another one is to be made.
    is_spent: AtomicBool,
    /// Bytes of what was too large together.
    refused_bytes: AtomicUsize,
}

impl Shared {
    pub(super) fn new(watch: Watch) -> Self {
        Self {
            watch,
            cause: Mutex::default(),
        }
    }

    pub(super) fn cause(&self) -> MutexGuard<'_, Option<String>> {
        self.cause.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fate {
    pub(super) fn is_spent(&self) -> bool {
        self.is_spent.load(Ordering::Relaxed)
    }

    /// Bytes of what was refused as too large, and may not be too large by itself.
    pub(super) fn refused_bytes(&self) -> Option<usize> {
        let bytes = self.refused_bytes.load(Ordering::Relaxed);
        (bytes > 0).then_some(bytes)
    }

    /// Takes note of what became of one message.
    pub(super) fn note(&self, outcome: &Outcome) {
        if matches!(outcome, Outcome::Doubted(_) | Outcome::Retry { .. }) {
            self.is_spent.store(true, Ordering::Relaxed);
        }
    }
}

impl Reports {
    /// `batch_bytes`: how large batches of the producer are; `None`: each message is one.
    pub(super) fn new(
        shared: &Arc<Shared>,
        limits: &Limits,
        placement: Placement,
        batch_bytes: Option<usize>,
    ) -> Self {
        Self {
            shared: Arc::clone(shared),
            limits: limits.clone(),
            fate: Arc::default(),
            placement,
            batch_bytes,
        }
    }

    pub(super) fn fate(&self) -> Arc<Fate> {
        Arc::clone(&self.fate)
    }

    pub(super) fn placement(&self) -> &Placement {
        &self.placement
    }

    /// What became of a message that brokers, or the producer, did not take.
    fn judge(&self, error: &KafkaError, message: &BorrowedMessage<'_>, bytes: usize) -> Outcome {
        let outcome = verdict(error);
        match (&outcome, self.batch_bytes) {
            (Outcome::Refused(Refusal::TooLarge, reason), Some(batch_bytes)) => {
                if Limits::is_smallest(batch_bytes, bytes) {
                    return Outcome::Doubted(reason.clone());
                }
                self.fate.refused_bytes.fetch_add(bytes, Ordering::Relaxed);
                self.fate.is_spent.store(true, Ordering::Relaxed);
                Outcome::Again(reason.clone())
            }
            (Outcome::Refused(_, reason), Some(_)) => Outcome::Doubted(reason.clone()),
            (Outcome::Refused(Refusal::TooLarge, _), None) => {
                let now = Instant::now();
                self.limits.refused_event(message.topic(), bytes, now);
                outcome
            }
            (Outcome::Refused(Refusal::Rejected, _), None) => {
                let key = message.key().map(str::from_utf8);
                if let Some(Ok(key)) = key {
                    self.limits.refused_sender(key, Instant::now());
                }
                outcome
            }
            _ => outcome,
        }
    }
}

impl ClientContext for Reports {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka client");
        let shared = &self.shared;
        let cause = match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AllBrokersDown) => {
                let cause = shared.cause().clone();
                return shared.watch.trouble(cause.as_deref().unwrap_or(reason));
            }
            Some(RDKafkaErrorCode::Authentication) => "the brokers refuse the log-in",
            Some(RDKafkaErrorCode::SSL) => "no TLS connection to the brokers",
            Some(RDKafkaErrorCode::Resolve) => "no broker has that name",
            Some(RDKafkaErrorCode::BrokerTransportFailure) => "no connection to the brokers",
            _ => return,
        };
        *shared.cause() = Some(format!("{cause}: {reason}"));
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        use RDKafkaLogLevel as Level;
        // That a property of the sink's own is experimental is nothing for an operator to mend.
        if facility == "CONFWARN" && message.contains("enable.gapless.guarantee") {
            return;
        }
        match level {
            Level::Emerg | Level::Alert | Level::Critical | Level::Error => {
                tracing::error!(target: "librdkafka", "{facility} {message}");
            }
            Level::Warning => tracing::warn!(target: "librdkafka", "{facility} {message}"),
            Level::Notice | Level::Info => {
                tracing::info!(target: "librdkafka", "{facility} {message}");
            }
            Level::Debug => tracing::debug!(target: "librdkafka", "{facility} {message}"),
        }
    }
}

impl ProducerContext<Placement> for Reports {
    type DeliveryOpaque = Box<Sent>;

    fn get_custom_partitioner(&self) -> Option<&Placement> {
        Some(&self.placement)
    }

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let Sent { ticket, bytes } = *sent;
        let outcome = match result {
            Ok(message) => {
                self.placement
                    .was_taken(message.topic(), message.partition());
                Outcome::Accepted
            }
            Err((error, message)) => self.judge(error, message, bytes),
        };
        self.fate.note(&outcome);
        ticket.answer(outcome);
    }
}

/// What an error says of a message that was by itself.
pub(super) fn verdict(error: &KafkaError) -> Outcome {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(Code::MessageSizeTooLarge) => Outcome::Refused(Refusal::TooLarge, error.to_string()),
        Some(Code::InvalidMessage | Code::InvalidRecord) => {
            Outcome::Refused(Refusal::Rejected, error.to_string())
        }
        // Another message was at fault.
        Some(
            Code::PurgeQueue
            | Code::PurgeInflight
            | Code::Fatal
            | Code::GaplessGuarantee
            | Code::InvalidDifferentRecord,
        ) => Outcome::Again(error.to_string()),
        _ => Outcome::retry(error),
    }
}
