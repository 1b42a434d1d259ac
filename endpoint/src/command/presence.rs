//! Whether a command source reaches the system that commands come from: as a metric, and in the log
//! when it changes.

use std::sync::{Mutex, MutexGuard, PoisonError};

use prometheus::IntGauge;

/// Where a command source stands.
pub(super) struct Presence {
    /// The source's name.
    source: String,
    /// 1 while it takes commands.
    up: IntGauge,
    said: Mutex<Said>,
}

/// What the log was told last.
#[derive(Default, PartialEq, Eq)]
enum Said {
    #[default]
    Nothing,
    Here,
    Away(String),
}

impl Presence {
    /// A source that is not there yet.
    pub(super) fn new(source: &str, up: IntGauge) -> Self {
        up.set(0);
        Self {
            source: source.to_owned(),
            up,
            said: Mutex::default(),
        }
    }

    /// It takes commands.
    pub(super) fn here(&self) {
        self.up.set(1);
        if self.changes(Said::Here) {
            tracing::info!(source = self.source, "the command source takes commands");
        }
    }

    /// It does not take commands for now. `cause` is logged when it is another one than before, with
    /// its `details`; neither may show a secret.
    pub(super) fn away(&self, cause: &str, details: &str) {
        self.up.set(0);
        if self.changes(Said::Away(cause.to_owned())) {
            tracing::warn!(
                source = self.source,
                cause,
                details,
                "the command source is away"
            );
        }
    }

    /// It takes no commands for a moment that needs no words.
    pub(super) fn pause(&self) {
        self.up.set(0);
    }

    #[cfg(test)]
    pub(super) fn has_said_nothing(&self) -> bool {
        *self.said() == Said::Nothing
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changes(&self, now: Said) -> bool {
        let mut said = self.said();
        let changes = *said != now;
        *said = now;
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_change_is_said_once() {
        let up = IntGauge::new("up", "up").unwrap();
        let presence = Presence::new("s", up.clone());
        let away = |cause: &str| Said::Away(cause.to_owned());
        assert!(presence.changes(away("refused")));
        assert!(!presence.changes(away("refused")));
        assert!(presence.changes(away("no such host")));
        presence.here();
        assert_eq!(up.get(), 1);
        assert!(!presence.changes(Said::Here));
        presence.away("refused", "");
        assert_eq!(up.get(), 0);
        assert!(presence.changes(Said::Here));
    }
}
