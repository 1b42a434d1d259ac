//! Metrics that are read from the sinks when they are asked for.

use std::sync::Arc;

use landfall_events::sink::{Health, Sink, Stats};
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{IntGaugeVec, Opts};

use crate::sinks::Route;

/// Shows the sinks' figures in `/metrics`.
pub struct SinkCollector {
    sinks: Route,
    figures: Vec<(IntGaugeVec, Read)>,
}

/// Reads one figure.
type Read = fn(&dyn Sink, &Stats) -> u64;

impl SinkCollector {
    /// A collector over these sinks.
    ///
    /// # Errors
    ///
    /// A metric's name is not valid: a mistake in this file.
    pub fn new(sinks: &Route) -> Result<Self, prometheus::Error> {
        let figure = |name: &str, help: &str, read: Read| {
            Ok((IntGaugeVec::new(Opts::new(name, help), &["sink"])?, read))
        };
        let figures: Result<Vec<_>, prometheus::Error> = [
            figure(
                "landfall_sink_up",
                "1 while the sink takes events",
                |sink, _| u64::from(sink.health() == Health::Up),
            ),
            figure("landfall_sink_events_accepted", "Events taken", |_, s| {
                s.accepted
            }),
            figure("landfall_sink_events_refused", "Events refused", |_, s| {
                s.refused
            }),
            figure(
                "landfall_sink_bytes_accepted",
                "Encoded bytes taken",
                |_, s| s.accepted_bytes,
            ),
            figure("landfall_sink_queue_bytes", "Bytes that wait", |_, s| {
                s.queued_bytes
            }),
            figure("landfall_sink_queue_events", "Events that wait", |_, s| {
                s.queued
            }),
            figure(
                "landfall_sink_spilled_events",
                "Events that were accepted and wait on disk for their system",
                |_, s| s.spilled,
            ),
            figure("landfall_sink_commits", "Group commits", |_, s| s.commits),
        ]
        .into_iter()
        .collect();
        Ok(Self {
            sinks: Arc::clone(sinks),
            figures: figures?,
        })
    }
}

impl Collector for SinkCollector {
    fn desc(&self) -> Vec<&Desc> {
        self.figures
            .iter()
            .flat_map(|(gauge, _)| gauge.desc())
            .collect()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        for target in self.sinks.iter() {
            let stats = target.sink.stats();
            for (gauge, read) in &self.figures {
                let value = i64::try_from(read(&*target.sink, &stats)).unwrap_or(i64::MAX);
                gauge.with_label_values(&[target.sink.name()]).set(value);
            }
        }
        self.figures
            .iter()
            .flat_map(|(gauge, _)| gauge.collect())
            .collect()
    }
}
