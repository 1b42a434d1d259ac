//! The timers of a session, computed from a few stored moments.

use super::{Close, Session, State};
use crate::Version;
use crate::limits::Limits;

/// Milliseconds since an origin of the caller's choice; never falls.
pub type Time = u64;

/// Each of the clocks that can end a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Timer {
    /// No complete CONNECT within the connect timeout.
    Connect,
    /// Silent for one and a half times the keep-alive.
    KeepAlive,
    /// The oldest publish has waited for its acceptance for the stall timeout.
    Stall,
}

/// The moments that the timers are computed from.
#[derive(Debug)]
pub(super) struct Clock {
    /// When the connection began, then when the client's last packet came, or reading was resumed.
    heard: Time,
    /// When a publish was last accepted, or the queue began to fill.
    progressed: Time,
    /// Seconds; 0 is off.
    keep_alive: u16,
    /// The caller does not read for reasons of its own.
    paused: bool,
}

impl Clock {
    pub(super) fn new(now: Time) -> Self {
        Self {
            heard: now,
            progressed: now,
            keep_alive: 0,
            paused: false,
        }
    }

    pub(super) fn packet_arrived(&mut self, now: Time) {
        self.heard = now;
    }

    pub(super) fn progress(&mut self, now: Time) {
        self.progressed = now;
    }

    pub(super) fn set_keep_alive(&mut self, seconds: u16) {
        self.keep_alive = seconds;
    }
}

impl Session {
    /// Tells the session that the caller stopped or resumed reading for reasons of its own.
    ///
    /// Silence is the client's fault only while it is being listened to, so the keep-alive clock
    /// stands meanwhile and starts anew.
    pub fn set_reading(&mut self, now: Time, reading: bool) {
        if reading && self.clock.paused {
            self.clock.heard = now;
        }
        self.clock.paused = !reading;
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    pub fn poll_timeout(&self, limits: &Limits) -> Option<Time> {
        self.next_timer(limits).map(|(at, _)| at)
    }

    /// Ends the session if one of its timers has run out.
    pub fn handle_timeout(&mut self, limits: &Limits, now: Time) {
        match self.next_timer(limits) {
            Some((at, timer)) if at <= now => self.end(Close::Timeout(timer)),
            _ => {}
        }
    }

    fn next_timer(&self, limits: &Limits) -> Option<(Time, Timer)> {
        match self.state {
            // [MQTT-3.1.4-1] (5: 3.1.4): no CONNECT within a reasonable time.
            State::Unconnected => Some((self.clock.heard + limits.connect_timeout, Timer::Connect)),
            State::Connected => {
                let keep_alive = self
                    .keep_alive_deadline(limits)
                    .map(|at| (at, Timer::KeepAlive));
                let stall = self.stall_deadline(limits).map(|at| (at, Timer::Stall));
                [keep_alive, stall]
                    .into_iter()
                    .flatten()
                    .min_by_key(|(at, _)| *at)
            }
            State::Deciding | State::Closed(_) => None,
        }
    }

    /// [MQTT-3.1.2-22] (3.1.1: -24): one and a half times the keep-alive without a packet.
    fn keep_alive_deadline(&self, limits: &Limits) -> Option<Time> {
        let unheard =
            self.clock.paused || (self.version != Version::V5 && self.inbound.is_full(limits));
        if self.clock.keep_alive == 0 || unheard {
            return None;
        }
        Some(self.clock.heard + u64::from(self.clock.keep_alive) * 1_500)
    }

    fn stall_deadline(&self, limits: &Limits) -> Option<Time> {
        self.inbound
            .is_waiting()
            .then_some(self.clock.progressed + limits.stall_timeout)
    }
}
