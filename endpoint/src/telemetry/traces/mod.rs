//! Traces: a publish that carries a sampled `traceparent` becomes a span of the device's trace, its
//! event carries that span on into the sinks, and the span goes to an OpenTelemetry collector; so
//! does a span for each sink that has to take the event.
//!
//! Nothing of this happens without `[telemetry]`. A publish without a sampled trace costs one look.

mod context;
mod export;
mod open;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use landfall_events::event::Timestamp;
use landfall_events::sink::Refusal;
use prometheus::IntCounterVec;
use tokio::sync::{mpsc, oneshot};

use context::{SpanId, TraceId, hex};
pub use export::run;
pub use open::{About, Begun, Spans};

/// Spans that may wait for the collector; further ones are dropped and counted.
const QUEUE: usize = 4_096;

/// Begins spans, and sends those that ended to the exporter.
pub struct Tracer {
    sender: mpsc::Sender<Message>,
    receiver: Mutex<Option<mpsc::Receiver<Message>>>,
    /// By outcome.
    spans: IntCounterVec,
}

/// What the exporter gets.
enum Message {
    Span(Box<Span>),
    /// Tells when all spans before it were sent, or given up.
    Flush(oneshot::Sender<()>),
}

/// A publish of a trace that is recorded: what all its spans tell.
#[derive(Debug)]
struct Published {
    trace: TraceId,
    /// Its own span.
    id: SpanId,
    trace_state: Option<Box<str>>,
    application: Arc<str>,
    device: Box<str>,
    channel: Box<str>,
}

/// A span that has ended.
#[derive(Debug)]
struct Span {
    published: Arc<Published>,
    id: SpanId,
    parent: SpanId,
    start: Timestamp,
    end: Timestamp,
    part: Part,
    outcome: Outcome,
}

/// Which part of a publish's way it is.
#[derive(Debug)]
enum Part {
    /// From its arrival to its acknowledgement.
    Publish,
    /// From the hand-over to one sink to that sink's answer.
    Sink {
        /// The sink's name.
        name: Box<str>,
        /// The sink's type.
        system: &'static str,
    },
}

/// How a span ended.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// Nobody waits for that, at QoS 0.
    Unknown,
    Accepted,
    Refused(Refusal),
    /// The connection was over before.
    Unanswered,
}

impl Tracer {
    /// A tracer that counts what becomes of its spans.
    pub fn new(spans: IntCounterVec) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE);
        Self {
            sender,
            receiver: Mutex::new(Some(receiver)),
            spans,
        }
    }

    /// Sends what has ended, and waits until it was sent, up to `patience`.
    pub async fn flush(&self, patience: Duration) {
        let (done, told) = oneshot::channel();
        let flush = async {
            if self.sender.send(Message::Flush(done)).await.is_ok() {
                let _ = told.await;
            }
        };
        let _ = tokio::time::timeout(patience, flush).await;
    }

    fn send(&self, span: Box<Span>) {
        if self.sender.try_send(Message::Span(span)).is_err() {
            self.count("dropped", 1);
        }
    }

    fn count(&self, outcome: &str, spans: u64) {
        self.spans.with_label_values(&[outcome]).inc_by(spans);
    }

    /// Once: for the exporter.
    fn take_receiver(&self) -> Option<mpsc::Receiver<Message>> {
        let mut receiver = self.receiver.lock().unwrap_or_else(PoisonError::into_inner);
        receiver.take()
    }
}
