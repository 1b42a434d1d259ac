//! The open spans of a connection: one for each publish of a recorded trace and, below it, one for
//! each sink that it was handed to.

use std::collections::VecDeque;
use std::sync::Arc;

use landfall_events::event::Timestamp;
use landfall_events::sink::{OpenBatch, Refusal, Sequence};

use super::context::{SpanId, TraceId, TraceParent, trace_parent};
use super::{Outcome, Part, Published, Span, Tracer};
use crate::sinks::Target;

/// Publishes of one connection that may be open, and likewise their spans at sinks; the spans of
/// further ones are dropped and counted.
const OPEN: usize = 1_024;

/// The open spans of one connection.
pub struct Spans {
    tracer: Arc<Tracer>,
    /// In the order of their numbers.
    publishes: VecDeque<Publish>,
    at_sinks: Vec<AtSink>,
}

/// A publish that the required sinks have not accepted yet.
struct Publish {
    sequence: Sequence,
    published: Arc<Published>,
    parent: SpanId,
    start: Timestamp,
    /// Its acknowledgement waits for the sinks; at QoS 0 its span is over already.
    awaited: bool,
    refused: Option<Refusal>,
}

/// A publish that one sink has been handed.
struct AtSink {
    slot: usize,
    sequence: Sequence,
    published: Arc<Published>,
    start: Timestamp,
    part: Part,
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

impl Spans {
    /// None are open.
    pub fn new(tracer: &Arc<Tracer>) -> Self {
        Self {
            tracer: Arc::clone(tracer),
            publishes: VecDeque::new(),
            at_sinks: Vec::new(),
        }
    }

    /// A span for a publish that belongs to a trace which is recorded.
    pub fn begin(&self, given: Option<&str>) -> Option<Begun> {
        let given = TraceParent::parse(given?).filter(|given| given.sampled)?;
        Some(Begun {
            trace: given.trace,
            id: new_id(),
            parent: given.parent,
        })
    }

    /// The publish is taken, and on its way to the sinks.
    pub fn taken(&mut self, begun: &Begun, about: &About<'_>) {
        if self.publishes.len() >= OPEN {
            self.tracer.count("dropped", 1);
            return;
        }
        let publish = Publish {
            sequence: about.sequence,
            published: Arc::new(Published {
                trace: begun.trace,
                id: begun.id,
                trace_state: about.trace_state.map(Into::into),
                application: Arc::clone(about.application),
                device: about.device.into(),
                channel: about.channel.into(),
            }),
            parent: begun.parent,
            start: about.start,
            awaited: about.awaited,
            refused: None,
        };
        if !about.awaited {
            self.tracer.send(publish.span(Outcome::Unknown));
        }
        self.publishes.push_back(publish);
    }

    /// Whether any is open.
    pub fn any(&self) -> bool {
        !(self.publishes.is_empty() && self.at_sinks.is_empty())
    }

    /// The sink in `slot` is about to be handed this batch.
    pub fn handing_over(&mut self, slot: usize, target: &Target, batch: &OpenBatch) {
        let start = Timestamp::now();
        for publish in &self.publishes {
            let entries = batch.entries();
            let found = entries.binary_search_by_key(&publish.sequence, |entry| entry.sequence);
            if found.is_err() {
                continue;
            }
            if self.at_sinks.len() >= OPEN {
                self.tracer.count("dropped", 1);
                continue;
            }
            self.at_sinks.push(AtSink {
                slot,
                sequence: publish.sequence,
                published: Arc::clone(&publish.published),
                start,
                part: Part::Sink {
                    name: target.sink.name().into(),
                    system: target.kind,
                },
            });
        }
    }

    /// The sink in `slot` will never take this publish; `required` says whether the device is told.
    pub fn refused(&mut self, slot: usize, sequence: Sequence, refusal: Refusal, required: bool) {
        self.end_at_sinks(Outcome::Refused(refusal), |at| {
            at.slot == slot && at.sequence == sequence
        });
        let mut publishes = self.publishes.iter_mut();
        if required && let Some(publish) = publishes.find(|publish| publish.sequence == sequence) {
            publish.refused = Some(refusal);
        }
    }

    /// The sink in `slot` has accepted what it was handed up to this publish, but for what it has
    /// refused.
    pub fn accepted_by(&mut self, slot: usize, up_to: Sequence) {
        self.end_at_sinks(Outcome::Accepted, |at| {
            at.slot == slot && at.sequence <= up_to
        });
    }

    /// All required sinks have accepted the publishes up to this one, or refused them.
    pub fn accepted(&mut self, up_to: Sequence) {
        let is_answered = |publish: &mut Publish| publish.sequence <= up_to;
        while let Some(publish) = self.publishes.pop_front_if(is_answered) {
            let outcome = publish.refused.map_or(Outcome::Accepted, Outcome::Refused);
            self.end(&publish, outcome);
        }
    }

    fn end(&self, publish: &Publish, outcome: Outcome) {
        if publish.awaited {
            self.tracer.send(publish.span(outcome));
        }
    }

    fn end_at_sinks(&mut self, outcome: Outcome, ends: impl Fn(&AtSink) -> bool) {
        let end = Timestamp::now();
        for at in self.at_sinks.extract_if(.., |at| ends(at)) {
            self.tracer.send(Box::new(Span {
                id: new_id(),
                parent: at.published.id,
                published: at.published,
                start: at.start,
                end,
                part: at.part,
                outcome,
            }));
        }
    }
}

impl Publish {
    /// Its span, which ends now.
    fn span(&self, outcome: Outcome) -> Box<Span> {
        Box::new(Span {
            published: Arc::clone(&self.published),
            id: self.published.id,
            parent: self.parent,
            start: self.start,
            end: Timestamp::now(),
            part: Part::Publish,
            outcome,
        })
    }
}

/// 0 is no id.
fn new_id() -> SpanId {
    fastrand::u64(1..).to_be_bytes()
}

impl Drop for Spans {
    /// The connection is over before the sinks have answered.
    fn drop(&mut self) {
        self.end_at_sinks(Outcome::Unanswered, |_| true);
        while let Some(publish) = self.publishes.pop_front() {
            self.end(&publish, Outcome::Unanswered);
        }
    }
}
