//! Events of accept loops. They come in crowds, so that most of them are only counted.

use std::io;

use landfall_protocol::session::Time;

use super::Telemetry;
use crate::listener::Bound;

/// Between two lines about the same trouble of a listener, in milliseconds.
const QUIET: Time = 10_000;

/// Lets the first of many like events into the log, and then one in a while.
#[derive(Debug, Default)]
pub struct Seldom {
    last: Option<Time>,
    left_out: u64,
}

/// An event that is worth a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Like events since the last line.
    pub left_out: u64,
}

impl Line {
    /// For the line: the number of those that were left out, if there are any.
    pub(super) fn left_out(&self) -> Option<u64> {
        Some(self.left_out).filter(|count| *count > 0)
    }
}

impl Seldom {
    /// Whether an event at `now` is worth a line.
    pub fn ask(&mut self, now: Time) -> Option<Line> {
        if self.last.is_some_and(|last| now < last + QUIET) {
            self.left_out += 1;
            return None;
        }
        self.last = Some(now);
        let left_out = std::mem::take(&mut self.left_out);
        Some(Line { left_out })
    }
}

/// A connection could not be accepted, for want of descriptors or memory.
pub struct AcceptFailed<'a> {
    /// The listener.
    pub listener: &'a Bound,
    /// The system's error.
    pub error: &'a io::Error,
}

impl AcceptFailed<'_> {
    /// Counts, and logs if it is worth a line.
    pub fn emit(self, telemetry: &Telemetry, line: Option<Line>) {
        telemetry.accepts_failed.inc();
        if let Some(line) = line {
            tracing::error!(
                listener = %self.listener,
                error = %self.error,
                left_out = line.left_out(),
                "cannot accept connections: trying again"
            );
        }
    }
}

/// A connection was closed unserved because all places are taken.
pub struct ConnectionShed<'a> {
    /// The listener.
    pub listener: &'a Bound,
}

impl ConnectionShed<'_> {
    /// Counts, and logs if it is worth a line.
    pub fn emit(self, telemetry: &Telemetry, line: Option<Line>) {
        telemetry.connections_shed.inc();
        if let Some(line) = line {
            tracing::warn!(
                listener = %self.listener,
                left_out = line.left_out(),
                "connections are closed unserved: far more than limits.connections"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_crowd_of_events_the_first_is_logged_and_later_ones_with_their_number() {
        let mut seldom = Seldom::default();
        assert_eq!(seldom.ask(5), Some(Line { left_out: 0 }));
        for now in 6..1_006 {
            assert_eq!(seldom.ask(now), None);
        }
        assert_eq!(seldom.ask(5 + QUIET), Some(Line { left_out: 1_000 }));
        assert_eq!(seldom.ask(6 + QUIET), None);
        assert_eq!(seldom.ask(6 + 3 * QUIET), Some(Line { left_out: 1 }));
    }
}
