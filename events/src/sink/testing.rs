//! What the sinks' tests share: a connection that remembers what it was told, and events for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::queue::Queue;
use super::{Completion, Handover, OpenBatch, Refusal, Sequence, Sink};
use crate::content::judge;
use crate::event::{Draft, EventType, Origin, OriginParts, Timestamp, next_id};

/// A test that waits this long has failed; none waits that long to pass.
const PATIENCE: Duration = Duration::from_secs(60);

/// Remembers what sinks report.
#[derive(Default)]
pub(crate) struct Recorder {
    told: Mutex<Told>,
    changed: Condvar,
}

#[derive(Default)]
pub(crate) struct Told {
    pub(crate) accepted: Vec<(usize, Sequence)>,
    pub(crate) refused: Vec<(usize, Sequence, Refusal)>,
    pub(crate) rooms: Vec<usize>,
}

impl Told {
    pub(crate) fn up_to(&self) -> Sequence {
        self.accepted.last().map_or(0, |(_, up_to)| *up_to)
    }
}

impl Recorder {
    pub(crate) fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap()
    }

    /// Waits until the condition holds of what was reported.
    pub(crate) fn wait_until(&self, mut condition: impl FnMut(&Told) -> bool) {
        let waited = self
            .changed
            .wait_timeout_while(self.told(), PATIENCE, |told| !condition(told));
        assert!(!waited.unwrap().1.timed_out(), "the report never came");
    }

    pub(crate) fn wait_accepted(&self, sequence: Sequence) {
        self.wait_until(|told| told.up_to() >= sequence);
    }

    pub(crate) fn wait_room(&self) {
        self.wait_until(|told| !told.rooms.is_empty());
    }

    fn tell(&self, tell: impl FnOnce(&mut Told)) {
        tell(&mut self.told());
        self.changed.notify_all();
    }
}

impl Completion for Recorder {
    fn accepted(&self, slot: usize, up_to: Sequence) {
        self.tell(|told| {
            let earlier = told.accepted.iter().rfind(|(other, _)| *other == slot);
            assert!(
                earlier.is_none_or(|(_, before)| *before < up_to),
                "reports of a slot rise"
            );
            told.accepted.push((slot, up_to));
        });
    }

    fn refused(&self, slot: usize, sequence: Sequence, refusal: Refusal) {
        self.tell(|told| told.refused.push((slot, sequence, refusal)));
    }

    fn room(&self, slot: usize) {
        self.tell(|told| told.rooms.push(slot));
    }
}

/// One connection: publishes to a sink and remembers the outcomes.
pub(crate) struct Connection {
    pub(crate) application: Arc<str>,
    pub(crate) recorder: Arc<Recorder>,
    completion: Arc<dyn Completion>,
    origin: Arc<Origin>,
    batch: OpenBatch,
    sequence: Sequence,
    /// What the device says of its payloads.
    pub(crate) content_type: Option<&'static str>,
}

impl Connection {
    pub(crate) fn new(application: &str, device: &str) -> Self {
        let recorder = Arc::new(Recorder::default());
        Self {
            application: application.into(),
            completion: recorder.clone(),
            recorder,
            origin: Origin::new(OriginParts {
                instance: "test",
                application: (application, "app-uid"),
                device: (device, "dev-uid"),
                sender: (device, "dev-uid"),
            }),
            batch: OpenBatch::new(),
            sequence: 0,
            content_type: None,
        }
    }

    /// Whose order is kept.
    #[cfg(feature = "kafka")]
    pub(crate) fn partition_key(&self) -> &str {
        let mut attributes = self.origin.attributes();
        let key = attributes.find(|(name, _)| *name == "partitionkey");
        key.unwrap().1
    }

    /// Encodes an event with the channel and payload, without handing it over.
    pub(crate) fn encode(&mut self, sink: &dyn Sink, channel: &str, payload: &[u8]) -> Sequence {
        let (data_content_type, data) = judge(self.content_type, payload).unwrap();
        let time = Timestamp::now();
        let draft = Draft {
            origin: &self.origin,
            event_type: EventType::Event,
            id: next_id(time),
            time,
            subject: channel,
            data_content_type,
            data_schema: None,
            trace_parent: None,
            trace_state: None,
            retain: false,
            extensions: &[],
            data,
        };
        self.sequence += 1;
        sink.encode(&draft, self.sequence, &mut self.batch);
        self.sequence
    }

    pub(crate) fn hand_over(&mut self, sink: &dyn Sink) {
        self.hand_over_with(|handover| sink.hand_over(handover));
    }

    pub(crate) fn hand_over_with(&mut self, take: impl FnOnce(Handover<'_>)) {
        take(Handover {
            application: &self.application,
            batch: &mut self.batch,
            completion: &self.completion,
            slot: 0,
        });
        assert!(self.batch.is_empty());
    }

    /// One event, handed over.
    pub(crate) fn publish(&mut self, sink: &dyn Sink, channel: &str, payload: &[u8]) -> Sequence {
        let sequence = self.encode(sink, channel, payload);
        self.hand_over(sink);
        sequence
    }

    pub(crate) fn ask_for_room(&self, sink: &dyn Sink) {
        sink.notify_room(&self.application, 0, &self.completion);
    }

    pub(crate) fn ask_for_room_of(&self, queue: &Queue) {
        queue.notify_room(0, &self.completion);
    }

    /// The last number given to an event.
    pub(crate) fn last(&self) -> Sequence {
        self.sequence
    }
}
