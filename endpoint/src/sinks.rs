//! The configured sinks, and which of them an application's events go to.

use std::sync::Arc;

use landfall_events::sink::log::LogReader;
use landfall_events::sink::{Health, Sink};
use landfall_registry::Application;

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
}
