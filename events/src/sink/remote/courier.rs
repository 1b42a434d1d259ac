//! What a remote sink has to provide: one way to deliver events, and what can become of them.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedSender;

use crate::sink::Refusal;

/// Delivers events to one remote system. Runs on the sink's own thread, inside its runtime.
pub(crate) trait Courier {
    /// Into how many lanes the events of one application are spread, by sender. Lanes wait for
    /// nothing but themselves; within a lane, and so of each sender, order is kept.
    fn lanes(&self) -> u16;

    /// Deliveries of one lane that may be under way at once. More than one is for systems that take
    /// what comes over one connection in its order.
    fn window(&self) -> usize;

    /// Events that one delivery may carry, and their bytes.
    fn most(&self) -> (usize, usize);

    /// Rises when the courier has begun anew, and may deliver out of order what was under way before
    /// and what is sent from now on: a lane starts nothing more before the former has come back.
    fn generation(&mut self) -> u64 {
        0
    }

    /// Whether an event is likely to be refused, so that it is better not in the company of others.
    fn goes_alone(&self, _event: &Bytes) -> bool {
        false
    }

    /// Whether what was sent last must have come back before more of its lane is sent. Asked once,
    /// after each delivery that was started.
    fn holds(&mut self) -> bool {
        false
    }

    /// Looks whether the remote system is there, before there is anything to deliver.
    ///
    /// The error is for log and readiness, and shows no secret.
    fn probe(&mut self) -> impl Future<Output = Result<(), String>>;

    /// Starts a delivery of encoded events of one application, in order. The ticket may be answered
    /// at any time, from any thread; returning early lets other deliveries start.
    fn send(
        &mut self,
        application: &str,
        events: Vec<Bytes>,
        ticket: Ticket,
    ) -> impl Future<Output = ()>;
}

/// What became of a delivery.
#[cfg_attr(
    not(feature = "kafka"),
    allow(dead_code, reason = "Kafka's brokers alone judge deliveries together")
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// The remote system has taken all of its events.
    Accepted,
    /// It will never take the delivery. Of several events, each is then delivered by itself.
    Refused(Refusal, String),
    /// It was refused together with other deliveries, and may not be the one that is at fault: each
    /// of its events goes again with nothing else of its lane under way.
    Doubted(String),
    /// It was given up for the sake of another one: it goes again at once, in its order. A lane of
    /// which nothing else is heard takes it for [`Outcome::Retry`] in the end.
    Again(String),
    /// It does not take the delivery now.
    Retry {
        /// For log and readiness, without secrets.
        reason: String,
        /// How long it asks to be left alone.
        after: Option<Duration>,
    },
}

impl Outcome {
    /// For an event that cannot be read back: sent again, it would hold up its lane for good.
    pub(crate) fn unreadable() -> Self {
        Self::Refused(
            Refusal::Rejected,
            "the event cannot be read back".to_owned(),
        )
    }

    pub(crate) fn retry(reason: impl std::fmt::Display) -> Self {
        Self::Retry {
            reason: reason.to_string(),
            after: None,
        }
    }
}

/// The right to say once what became of a delivery. Dropped unanswered, it asks for another try.
pub(crate) struct Ticket {
    lane: u64,
    delivery: u64,
    is_alone: bool,
    /// `None`: it is answered.
    inbox: Option<UnboundedSender<Answer>>,
}

/// What became of which delivery.
pub(crate) struct Answer {
    pub(super) lane: u64,
    pub(super) delivery: u64,
    pub(super) outcome: Outcome,
}

impl Ticket {
    pub(super) fn new(
        lane: u64,
        delivery: u64,
        is_alone: bool,
        inbox: &UnboundedSender<Answer>,
    ) -> Self {
        Self {
            lane,
            delivery,
            is_alone,
            inbox: Some(inbox.clone()),
        }
    }

    /// Whether nothing else of its lane is under way, nor will be until it is answered.
    #[cfg_attr(
        not(feature = "kafka"),
        allow(dead_code, reason = "the other systems refuse each delivery by itself")
    )]
    pub(crate) fn is_alone(&self) -> bool {
        self.is_alone
    }

    /// Says what became of the delivery.
    pub(crate) fn answer(mut self, outcome: Outcome) {
        self.say(outcome);
    }

    fn say(&mut self, outcome: Outcome) {
        if let Some(inbox) = self.inbox.take() {
            // Without a receiver the sink is closed, and nobody waits for an answer.
            let _closed = inbox.send(Answer {
                lane: self.lane,
                delivery: self.delivery,
                outcome,
            });
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.inbox.is_some() {
            self.say(Outcome::retry("the delivery broke off"));
        }
    }
}
