//! Traces: a publish that carries a sampled `traceparent` becomes a span of the device's trace, its
//! event carries that span on into the sinks, and the span goes to an OpenTelemetry collector.
//!
//! Nothing of this happens without `[telemetry]`. A publish without a sampled trace costs one look.

mod context;
mod export;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use landfall_events::event::Timestamp;
use landfall_events::sink::Sequence;
use prometheus::IntCounterVec;
use tokio::sync::{mpsc, oneshot};

use context::{SpanId, TraceId, TraceParent, hex, trace_parent};
pub use export::run;

/// Spans that may wait for the collector; further ones are dropped and counted.
const QUEUE: usize = 4_096;
/// Spans of one connection that may be open.
const OPEN: usize = 1_024;

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

/// A publish on its way into the sinks.
#[derive(Debug)]
struct Span {
    trace: TraceId,
    id: SpanId,
    parent: SpanId,
    trace_state: Option<Box<str>>,
    start: Timestamp,
    end: Timestamp,
    application: Arc<str>,
    device: Box<str>,
    channel: Box<str>,
    /// `None`: nobody waits for that, at QoS 0.
    accepted: Option<bool>,
}

/// A span that has just begun.
pub struct Begun {
    trace: TraceId,
    id: SpanId,
    parent: SpanId,
}

impl Begun {
    /// What its event carries as `traceparent`.
    pub fn trace_parent(&self) -> String {
        trace_parent(&self.trace, &self.id)
    }
}

/// What a span tells of its publish.
pub struct About<'a> {
    /// The publish's number.
    pub sequence: Sequence,
    /// Whether its acknowledgement waits for the sinks.
    pub awaited: bool,
    /// When it arrived.
    pub start: Timestamp,
    /// Whose it is.
    pub application: &'a Arc<str>,
    /// Whose it is.
    pub device: &'a str,
    /// What it was published to.
    pub channel: &'a str,
    /// What the device's tracing system has to say.
    pub trace_state: Option<&'a str>,
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

/// The open spans of one connection.
pub struct Spans {
    tracer: Arc<Tracer>,
    open: VecDeque<(Sequence, Box<Span>)>,
}

impl Spans {
    /// None are open.
    pub fn new(tracer: &Arc<Tracer>) -> Self {
        Self {
            tracer: Arc::clone(tracer),
            open: VecDeque::new(),
        }
    }

    /// A span for a publish that belongs to a trace which is recorded.
    pub fn begin(&self, given: Option<&str>) -> Option<Begun> {
        let given = TraceParent::parse(given?).filter(|given| given.sampled)?;
        // 0 is no id.
        let id = fastrand::u64(1..).to_be_bytes();
        Some(Begun {
            trace: given.trace,
            id,
            parent: given.parent,
        })
    }

    /// The publish is with the sinks.
    pub fn handed_over(&mut self, begun: &Begun, about: &About<'_>) {
        if self.open.len() >= OPEN {
            self.tracer.count("dropped", 1);
            return;
        }
        let span = Span {
            trace: begun.trace,
            id: begun.id,
            parent: begun.parent,
            trace_state: about.trace_state.map(Into::into),
            start: about.start,
            end: about.start,
            application: Arc::clone(about.application),
            device: about.device.into(),
            channel: about.channel.into(),
            accepted: None,
        };
        if about.awaited {
            self.open.push_back((about.sequence, Box::new(span)));
        } else {
            self.end(Box::new(span), None);
        }
    }

    /// Whether any is open.
    pub fn any(&self) -> bool {
        !self.open.is_empty()
    }

    /// All required sinks have accepted the publishes up to this one.
    pub fn accepted(&mut self, up_to: Sequence) {
        while let Some((sequence, _)) = self.open.front()
            && *sequence <= up_to
            && let Some((_, span)) = self.open.pop_front()
        {
            self.end(span, Some(true));
        }
    }

    fn end(&self, mut span: Box<Span>, accepted: Option<bool>) {
        span.end = Timestamp::now();
        span.accepted = accepted;
        self.tracer.send(span);
    }
}

impl Drop for Spans {
    /// The connection is over before the sinks have answered.
    fn drop(&mut self) {
        while let Some((_, span)) = self.open.pop_front() {
            self.end(span, Some(false));
        }
    }
}
