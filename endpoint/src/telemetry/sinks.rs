//! Metrics that are read from the sinks when they are asked for.

use std::sync::Arc;

use landfall_events::sink::{COMMIT_BOUNDS, Health, Sink, Stats};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;

use super::families::{Durations, Family, float, known_by};
use crate::sinks::Route;

/// Shows the sinks' figures in `/metrics`.
pub struct SinkCollector {
    sinks: Route,
    desc: Desc,
}

/// Reads one figure.
type Read = fn(&dyn Sink, &Stats) -> u64;

/// Name, help, and where the figure is. Those that end in `_total` only grow.
const FIGURES: [(&str, &str, Read); 9] = [
    (
        "landfall_sink_up",
        "1 while the sink takes events",
        |sink, _| u64::from(sink.health() == Health::Up),
    ),
    (
        "landfall_sink_events_accepted_total",
        "Events taken",
        |_, stats| stats.accepted,
    ),
    (
        "landfall_sink_events_refused_total",
        "Events refused for good",
        |_, stats| stats.refused,
    ),
    (
        "landfall_sink_bytes_accepted_total",
        "Encoded bytes taken",
        |_, stats| stats.accepted_bytes,
    ),
    (
        "landfall_sink_queue_bytes",
        "Encoded bytes that were handed over and wait",
        |_, stats| stats.queued_bytes,
    ),
    (
        "landfall_sink_queue_events",
        "Events that were handed over and wait",
        |_, stats| stats.queued,
    ),
    (
        "landfall_sink_waiting_connections",
        "Connections that wait for room in the queue",
        |_, stats| stats.waiting,
    ),
    (
        "landfall_sink_spilled_events",
        "Events that were accepted and wait on disk for their system",
        |_, stats| stats.spilled,
    ),
    (
        "landfall_sink_retries_total",
        "Commits or writes that failed and are tried again",
        |_, stats| stats.failed_commits,
    ),
];

const COMMITS: (&str, &str) = (
    "landfall_sink_commit_seconds",
    "How long each commit or write that succeeded took",
);

impl SinkCollector {
    /// A collector over these sinks.
    ///
    /// # Errors
    ///
    /// A metric's name is not valid: a mistake in this file.
    pub fn new(sinks: &Route) -> Result<Self, prometheus::Error> {
        Ok(Self {
            sinks: Arc::clone(sinks),
            desc: known_by(COMMITS.0, COMMITS.1)?,
        })
    }
}

impl Collector for SinkCollector {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let mut figures = FIGURES.map(|(name, help, _)| match name.ends_with("_total") {
            true => Family::counter(name, help),
            false => Family::gauge(name, help),
        });
        let mut commits = Family::histogram(COMMITS.0, COMMITS.1);
        for target in self.sinks.iter() {
            let stats = target.sink.stats();
            let labels = [("sink", target.sink.name())];
            for (family, (.., read)) in figures.iter_mut().zip(FIGURES) {
                family.add(&labels, float(read(&*target.sink, &stats)));
            }
            let durations = Durations {
                bounds: &COMMIT_BOUNDS,
                counts: &stats.commit_times,
                sum: stats.commit_time.as_secs_f64(),
            };
            commits.add_durations(&labels, &durations);
        }
        figures
            .into_iter()
            .chain([commits])
            .filter_map(Family::finish)
            .collect()
    }
}
