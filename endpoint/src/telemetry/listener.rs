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

/// Times that one accept loop could accept no connection, for want of descriptors or memory.
pub struct AcceptFailures {
    listener: Bound,
    lines: Seldom,
}

impl AcceptFailures {
    /// None so far.
    pub fn of(listener: Bound) -> Self {
        Self {
            listener,
            lines: Seldom::default(),
        }
    }

    /// Counts one, and logs it if it is worth a line.
    pub fn emit(&mut self, error: &io::Error, telemetry: &Telemetry, now: Time) {
        telemetry.accepts_failed.inc();
        if let Some(line) = self.lines.ask(now) {
            tracing::error!(
                listener = %self.listener,
                %error,
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
    use crate::telemetry::tests::logged;

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

    #[test]
    fn failures_of_an_accept_loop_are_all_counted_and_seldom_logged() {
        let telemetry = Telemetry::new().unwrap();
        let address: std::net::SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let bound = Bound(address.into());
        let mut failures = AcceptFailures::of(bound);
        let error = io::Error::other("no descriptors");
        let lines = logged(|| {
            for now in (0..100_000).step_by(100) {
                failures.emit(&error, &telemetry, now);
            }
        });
        assert_eq!(telemetry.accepts_failed.get(), 1_000);
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[1]["fields"]["left_out"], 99);
        assert_eq!(lines[1]["fields"]["listener"], "127.0.0.1:8080");
    }
}
