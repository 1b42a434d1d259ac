//! The sliding window of one publishing connection.

use std::time::{Duration, Instant};

use crate::error::{Result, ServerFault};
use crate::mqtt::Ack;

/// Publishes in flight on one connection: at most `len`, numbered without a gap.
///
/// Message number m has packet id `m % len + 1`. The window slides when its oldest message is
/// acknowledged, so an id is used again only when it is free, in whatever order the server
/// acknowledges. Orders other than the one sent, which MQTT forbids [MQTT-4.6.0-2], are counted.
pub(crate) struct Window {
    slots: Vec<Slot>,
    /// Oldest message that is not acknowledged.
    oldest: u64,
    /// Next message to be sent.
    next: u64,
    out_of_order: u64,
}

#[derive(Clone, Copy)]
struct Slot {
    since: Instant,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Free,
    /// Sent; PUBACK or PUBREC is due.
    Published,
    /// QoS 2, PUBREL sent; PUBCOMP is due.
    Released,
}

/// What an acknowledgement asks of the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Settled {
    /// The message is done, and took this long.
    Done(Duration),
    /// Send PUBREL.
    Release,
}

impl Window {
    /// `len` is 1 to 65,535.
    pub(crate) fn new(len: u16, now: Instant) -> Self {
        let slot = Slot {
            since: now,
            state: State::Free,
        };
        Self {
            slots: vec![slot; usize::from(len)],
            oldest: 0,
            next: 0,
            out_of_order: 0,
        }
    }

    /// How many messages may be sent now.
    pub(crate) fn room(&self) -> usize {
        self.slots.len() - self.in_flight()
    }

    pub(crate) fn in_flight(&self) -> usize {
        usize::try_from(self.next - self.oldest).unwrap_or(usize::MAX)
    }

    /// Acknowledgements that came before one of an earlier message.
    pub(crate) fn out_of_order(&self) -> u64 {
        self.out_of_order
    }

    /// Notes that the next `count` messages are sent (or due) `now`, and returns the first one's number.
    ///
    /// `count` is at most [`Self::room`].
    pub(crate) fn open(&mut self, count: usize, now: Instant) -> u64 {
        let first = self.next;
        for number in first..first + count as u64 {
            if let Some(slot) = self.slot(number) {
                *slot = Slot {
                    since: now,
                    state: State::Published,
                };
            }
        }
        self.next += count as u64;
        first
    }

    /// Takes an acknowledgement that came `now`.
    ///
    /// # Errors
    /// `RefusedPublish` for a reason of 0x80 or above; `UnexpectedAcknowledgement` for an id that is
    /// not in flight, or not at this step.
    pub(crate) fn settle(
        &mut self,
        ack: Ack,
        id: u16,
        reason: u8,
        now: Instant,
    ) -> Result<Settled> {
        if reason >= 0x80 {
            return Err(ServerFault::RefusedPublish { id, reason }.into());
        }
        let unexpected = ServerFault::UnexpectedAcknowledgement { id };
        let index = usize::from(id).wrapping_sub(1);
        let Some(slot) = self.slots.get_mut(index) else {
            return Err(unexpected.into());
        };
        match (ack, slot.state) {
            (Ack::PubRec, State::Published) => {
                slot.state = State::Released;
                Ok(Settled::Release)
            }
            (Ack::PubAck, State::Published) | (Ack::PubComp, State::Released) => {
                slot.state = State::Free;
                let took = now.saturating_duration_since(slot.since);
                self.slide(index);
                Ok(Settled::Done(took))
            }
            _ => Err(unexpected.into()),
        }
    }

    fn slide(&mut self, done: usize) {
        if self.oldest % self.slots.len() as u64 != done as u64 {
            self.out_of_order += 1;
            return;
        }
        self.oldest += 1;
        while self.oldest < self.next
            && self
                .slot(self.oldest)
                .is_some_and(|slot| slot.state == State::Free)
        {
            self.oldest += 1;
        }
    }

    fn slot(&mut self, number: u64) -> Option<&mut Slot> {
        let index = number % self.slots.len() as u64;
        self.slots.get_mut(usize::try_from(index).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    fn ack(window: &mut Window, id: u16, now: Instant) -> Result<Settled> {
        window.settle(Ack::PubAck, id, 0, now)
    }

    #[test]
    fn a_full_window_has_no_room_until_its_oldest_message_is_done() {
        let now = Instant::now();
        let mut window = Window::new(3, now);
        assert_eq!(window.open(3, now), 0);
        assert_eq!(window.room(), 0);
        ack(&mut window, 2, now).unwrap();
        assert_eq!(window.room(), 0);
        ack(&mut window, 1, now).unwrap();
        assert_eq!(window.room(), 2);
        assert_eq!(window.open(2, now), 3);
        assert_eq!(window.out_of_order(), 1);
    }

    #[test]
    fn acknowledgements_in_order_are_not_counted_as_out_of_order() {
        let now = Instant::now();
        let mut window = Window::new(3, now);
        for round in 0..10 {
            assert_eq!(window.open(3, now), round * 3);
            for id in 1..=3 {
                ack(&mut window, id, now).unwrap();
            }
        }
        assert_eq!((window.in_flight(), window.out_of_order()), (0, 0));
    }

    #[test]
    fn latency_runs_from_sending_to_the_final_acknowledgement() {
        let sent = Instant::now();
        let later = |micros| sent + Duration::from_micros(micros);
        let mut window = Window::new(2, sent);
        window.open(2, sent);
        assert_eq!(
            ack(&mut window, 1, later(7)).unwrap(),
            Settled::Done(Duration::from_micros(7))
        );
        assert_eq!(
            window.settle(Ack::PubRec, 2, 0, later(8)).unwrap(),
            Settled::Release
        );
        assert_eq!(
            window.settle(Ack::PubComp, 2, 0, later(9)).unwrap(),
            Settled::Done(Duration::from_micros(9))
        );
    }

    #[test]
    fn acknowledgements_of_what_is_not_in_flight_are_the_servers_fault() {
        let now = Instant::now();
        let mut window = Window::new(2, now);
        window.open(1, now);
        for (step, id) in [
            (Ack::PubAck, 0),
            (Ack::PubAck, 2),
            (Ack::PubAck, 3),
            (Ack::PubComp, 1),
        ] {
            let result = window.settle(step, id, 0, now);
            assert!(
                matches!(
                    result,
                    Err(Error::Server(ServerFault::UnexpectedAcknowledgement { .. }))
                ),
                "{step:?} {id}"
            );
        }
        ack(&mut window, 1, now).unwrap();
        assert!(ack(&mut window, 1, now).is_err(), "acknowledged twice");
    }

    #[test]
    fn a_refusal_ends_the_run_but_no_matching_subscribers_does_not() {
        let now = Instant::now();
        let mut window = Window::new(2, now);
        window.open(2, now);
        assert!(window.settle(Ack::PubAck, 1, 0x10, now).is_ok());
        assert!(matches!(
            window.settle(Ack::PubAck, 2, 0x87, now),
            Err(Error::Server(ServerFault::RefusedPublish {
                id: 2,
                reason: 0x87
            }))
        ));
    }
}
