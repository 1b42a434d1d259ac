//! How long a connection waits: for its client, for room, and for its last bytes to leave.

use landfall_protocol::ReasonCode;
use landfall_protocol::session::Time;

use super::Stream;
use super::live::Live;

/// A closed session's last bytes may take this many milliseconds.
const LINGER: Time = 5_000;
/// How many milliseconds more a client is listened to when its time is over. A process that stood still
/// hears of its timers before it hears of the bytes that came meanwhile.
const LAST_LOOK: Time = 100;

impl<S: Stream> Live<S> {
    /// The client has to wait: its keep-alive stands still, the patience with it does not.
    pub(super) fn waiting(&mut self, now: Time) {
        self.session.set_reading(now, false);
        self.troubles
            .note(|trouble| _ = trouble.no_room_since.get_or_insert(now));
    }

    /// A packet got through: the client is being listened to.
    pub(super) fn listening(&mut self, now: Time) {
        self.troubles.note(|trouble| trouble.no_room_since = None);
        self.session.set_reading(now, true);
    }

    pub(super) fn has_lingered(&self, now: Time) -> bool {
        let since = self.troubles.unwritten_since;
        since.is_some_and(|since| now >= since + LINGER)
    }

    /// When the session or the connection wants to be looked at again.
    fn deadline(&self) -> Option<Time> {
        if self.session.closed().is_some() {
            return self.troubles.unwritten_since.map(|since| since + LINGER);
        }
        [
            self.session.poll_timeout(&self.door.limits),
            self.stuck_deadline(),
            self.troubles.stop.deadline(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When the connection has been stuck, on either side, for too long.
    fn stuck_deadline(&self) -> Option<Time> {
        let unwritten = self.troubles.unwritten_since.into_iter();
        let since = unwritten.chain(self.troubles.no_room_since).min()?;
        Some(since + self.door.limits.stall_timeout)
    }

    /// True: a time-out has come, and the session was told.
    ///
    /// The alarm is not moved with every packet: it rings at the time that was right when it was set,
    /// and is then set anew.
    pub(super) fn look_at_timers(&mut self, now: Time) -> bool {
        let Some(mut deadline) = self.deadline() else {
            return false;
        };
        let last_look = self.troubles.last_look;
        if deadline > now {
            self.note_last_look(None);
        } else {
            deadline = last_look.unwrap_or(now + LAST_LOOK);
            if deadline <= now {
                self.note_last_look(None);
                self.time_out(now);
                return true;
            }
            self.note_last_look(Some(deadline));
        }
        if self.alarm <= now || self.alarm > deadline {
            self.alarm = self.shared.alarms.set(&self.link, deadline);
        }
        false
    }

    fn note_last_look(&mut self, until: Option<Time>) {
        if self.troubles.last_look != until {
            self.troubles.note(|trouble| trouble.last_look = until);
        }
    }

    fn time_out(&mut self, now: Time) {
        if self.session.closed().is_none() && self.stuck_deadline().is_some_and(|at| at <= now) {
            self.session.close(ReasonCode::QUOTA_EXCEEDED);
        }
        self.session.handle_timeout(&self.door.limits, now);
    }
}
