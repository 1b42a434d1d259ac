//! What keeps a connection from going on, or is about to end it.

use std::ops::Deref;

use landfall_protocol::session::Time;

/// Commands that are on their way when the server stops may take this many milliseconds to be
/// acknowledged.
const STOP_PATIENCE: Time = 2_000;

/// The troubles of a connection; without memory while it has none, which is most of the time.
#[derive(Default)]
pub(super) struct Troubles(Option<Box<Trouble>>);

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Since when the client takes no output.
    pub(super) unwritten_since: Option<Time>,
    /// Since when a publish cannot be taken, for lack of room in a sink or of a rule's verdict.
    pub(super) no_room_since: Option<Time>,
    /// Since when a publish at QoS 0 waits for the sinks to take those before it.
    pub(super) ahead_since: Option<Time>,
    /// Until when the client is listened to once more, before a time-out counts.
    pub(super) last_look: Option<Time>,
    /// The server stops; since when this connection knows.
    pub(super) stop: Stop,
}

/// How far the end of a connection has come whose server stops.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    /// It does not.
    No,
    /// It does.
    Asked,
    /// Since then the acknowledgements of commands are waited for: it is still read from.
    Since(Time),
    /// What is in flight is finished, nothing more is read.
    Now,
}

impl Trouble {
    const NONE: Self = Self {
        unwritten_since: None,
        no_room_since: None,
        ahead_since: None,
        last_look: None,
        stop: Stop::No,
    };
}

impl Deref for Troubles {
    type Target = Trouble;

    fn deref(&self) -> &Trouble {
        self.0.as_deref().unwrap_or(&Trouble::NONE)
    }
}

impl Troubles {
    /// Notes that one has come or gone.
    pub(super) fn note(&mut self, change: impl FnOnce(&mut Trouble)) {
        let mut trouble = **self;
        change(&mut trouble);
        match &mut self.0 {
            Some(_) if trouble == Trouble::NONE => self.0 = None,
            Some(known) => **known = trouble,
            None if trouble == Trouble::NONE => {}
            None => self.0 = Some(Box::new(trouble)),
        }
    }
}

impl Stop {
    /// What it is now; `settled`: no command is on its way.
    pub(super) fn at(self, now: Time, settled: bool) -> Self {
        match self {
            Self::Asked | Self::Since(_) if settled => Self::Now,
            Self::Asked => Self::Since(now),
            Self::Since(since) if now >= since + STOP_PATIENCE => Self::Now,
            other => other,
        }
    }

    pub(super) fn deadline(self) -> Option<Time> {
        match self {
            Self::Since(since) => Some(since + STOP_PATIENCE),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn troubles_take_memory_only_while_there_are_any() {
        let mut troubles = Troubles::default();
        troubles.note(|trouble| trouble.no_room_since = None);
        assert!(troubles.0.is_none() && troubles.stop == Stop::No);
        troubles.note(|trouble| trouble.unwritten_since = Some(0));
        troubles.note(|trouble| trouble.stop = Stop::Asked);
        assert_eq!(troubles.unwritten_since, Some(0));
        troubles.note(|trouble| trouble.unwritten_since = None);
        assert!(troubles.0.is_some() && troubles.stop == Stop::Asked);
        troubles.note(|trouble| trouble.stop = Stop::No);
        assert!(troubles.0.is_none());
    }
}
