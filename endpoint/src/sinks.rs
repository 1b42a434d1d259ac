//! The configured sinks, and which of them an application's events go to.

use std::sync::Arc;
use std::time::Duration;

use landfall_events::sink::log::LogReader;
use landfall_events::sink::{Health, Sink};
use landfall_registry::Application;
use tokio::task::JoinSet;

/// One sink of the configuration.
#[derive(Clone)]
pub struct Target {
    /// The sink.
    pub sink: Arc<dyn Sink>,
    /// Its type, as the configuration names it.
    pub kind: &'static str,
    /// Its place in the configuration.
    pub index: usize,
    /// Whether an acknowledgement waits for it.
    pub required: bool,
}

/// Where the events of a connection go; its slots are the positions in here.
pub type Route = Arc<[Target]>;

/// All sinks.
pub struct Sinks {
    all: Route,
    reader: Option<LogReader>,
}

impl Sinks {
    /// The sinks in configured order, and the reader of the first log among them.
    pub fn new(all: Vec<Target>, reader: Option<LogReader>) -> Self {
        Self {
            all: all.into(),
            reader,
        }
    }

    /// All of them.
    pub fn all(&self) -> &Route {
        &self.all
    }

    /// The reader of the embedded log, if there is one.
    pub fn log_reader(&self) -> Option<&LogReader> {
        self.reader.as_ref()
    }

    /// The sinks that the application names, else all. Names that are not configured here are
    /// left out with a warning; if none is left, all are used rather than none.
    pub fn route(&self, application: &Application) -> Route {
        let Some(names) = application.sinks() else {
            return Arc::clone(&self.all);
        };
        let named = |target: &&Target| names.iter().any(|name| name == target.sink.name());
        let route: Route = self.all.iter().filter(named).cloned().collect();
        if route.len() < names.len() {
            tracing::warn!(
                application = application.name(),
                sinks = ?names,
                "the application names a sink that is not configured"
            );
        }
        if route.is_empty() {
            Arc::clone(&self.all)
        } else {
            route
        }
    }

    /// What is wrong with required sinks now, one text for each.
    pub fn problems(&self) -> Vec<String> {
        let failing = |target: &Target| match target.sink.health() {
            Health::Failing { reason, .. } if target.required => {
                Some(format!("sink {}: {reason}", target.sink.name()))
            }
            _ => None,
        };
        self.all.iter().filter_map(failing).collect()
    }
    /// Drains and stops all sinks side by side, so that stuck ones take up to about `patience`
    /// together; logs what was not drained.
    pub async fn close(&self, patience: Duration) {
        let mut closing = JoinSet::new();
        for target in self.all.iter() {
            let sink = Arc::clone(&target.sink);
            closing.spawn_blocking(move || {
                if let Err(error) = sink.close(patience) {
                    tracing::error!(sink = sink.name(), %error, "sink not drained");
                }
            });
        }
        while let Some(closed) = closing.join_next().await {
            if closed.is_err() {
                tracing::error!("closing a sink failed");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};

    use landfall_events::event::Draft;
    use landfall_events::sink::blackhole::Blackhole;
    use landfall_events::sink::{Completion, Handover, OpenBatch, Sequence, Stats, Unfinished};

    use super::*;

    /// Sinks that are closed in turn take this long each, and the test fails.
    const PATIENCE: Duration = Duration::from_secs(20);

    const SINKS: usize = 3;

    #[tokio::test]
    async fn stuck_sinks_are_waited_for_at_the_same_time() {
        let closing = Arc::new(Closing::default());
        let stuck = |index| Target {
            sink: Arc::new(Stuck {
                inner: Blackhole::new("stuck"),
                closing: Arc::clone(&closing),
            }),
            kind: "blackhole",
            index,
            required: true,
        };
        let sinks = Sinks::new((0..SINKS).map(stuck).collect(), None);
        sinks.close(PATIENCE).await;
        assert_eq!(*closing.begun.lock().unwrap(), SINKS);
        assert_eq!(*closing.alone.lock().unwrap(), 0);
    }

    /// How many of the sinks are being closed.
    #[derive(Default)]
    struct Closing {
        begun: Mutex<usize>,
        changed: Condvar,
        /// Those whose patience ended before all were being closed.
        alone: Mutex<usize>,
    }

    /// Ends when all sinks are being closed, else only when patience does.
    struct Stuck {
        inner: Blackhole,
        closing: Arc<Closing>,
    }

    impl Sink for Stuck {
        fn close(&self, patience: Duration) -> Result<(), Unfinished> {
            let mut begun = self.closing.begun.lock().unwrap();
            *begun += 1;
            self.closing.changed.notify_all();
            let others = |begun: &mut usize| *begun < SINKS;
            let changed = &self.closing.changed;
            let waited = changed.wait_timeout_while(begun, patience, others);
            if waited.unwrap().1.timed_out() {
                *self.closing.alone.lock().unwrap() += 1;
            }
            self.inner.close(patience)
        }

        fn name(&self) -> &str {
            self.inner.name()
        }

        fn encode(&self, draft: &Draft<'_>, sequence: Sequence, batch: &mut OpenBatch) {
            self.inner.encode(draft, sequence, batch);
        }

        fn hand_over(&self, handover: Handover<'_>) {
            self.inner.hand_over(handover);
        }

        fn has_room(&self, application: &str) -> bool {
            self.inner.has_room(application)
        }

        fn notify_room(&self, application: &str, slot: usize, completion: &Arc<dyn Completion>) {
            self.inner.notify_room(application, slot, completion);
        }

        fn health(&self) -> Health {
            self.inner.health()
        }

        fn stats(&self) -> Stats {
            self.inner.stats()
        }
    }
}
