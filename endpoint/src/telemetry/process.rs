//! Metrics of the process itself: what it is, how it does, what its registry remembers.

use std::time::{SystemTime, UNIX_EPOCH};

use landfall_registry::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use tokio::runtime::Handle;

use super::families::{Family, float, known_by};

const BUILD: (&str, &str) = (
    "landfall_build_info",
    "1; its labels say which program this is",
);

/// Shows the figures of the process in `/metrics`.
pub struct ProcessCollector {
    registry: Registry,
    started: SystemTime,
    desc: Desc,
}

impl ProcessCollector {
    /// A collector for a process that starts now.
    ///
    /// # Errors
    ///
    /// A metric's name is not valid: a mistake in this file.
    pub fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        Ok(Self {
            registry: registry.clone(),
            started: SystemTime::now(),
            desc: known_by(BUILD.0, BUILD.1)?,
        })
    }

    fn registry_cache(&self) -> [Family; 3] {
        let mut entries = Family::gauge(
            "landfall_registry_cache_entries",
            "Applications and devices in memory, absent ones included",
        );
        let mut hits = Family::counter(
            "landfall_registry_cache_hits_total",
            "Look-ups answered from memory",
        );
        let mut misses = Family::counter(
            "landfall_registry_cache_misses_total",
            "Look-ups that were not answered from memory",
        );
        let stats = self.registry.cache_stats();
        for (resource, cache) in [
            ("application", stats.applications),
            ("device", stats.devices),
        ] {
            let labels = [("resource", resource)];
            entries.add(&labels, float(cache.entries));
            hits.add(&labels, float(cache.hits));
            misses.add(&labels, float(cache.misses));
        }
        [entries, hits, misses]
    }

    fn process(&self) -> [Family; 3] {
        let mut build = Family::gauge(BUILD.0, BUILD.1);
        let labels = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("target", std::env::consts::ARCH),
        ];
        build.add(&labels, 1.0);
        let mut started = Family::gauge(
            "process_start_time_seconds",
            "When the process was started, since the epoch",
        );
        let since = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        started.add(&[], since.as_secs_f64());
        let mut memory = Family::gauge(
            "process_resident_memory_bytes",
            "Memory of the process that is in use",
        );
        if let Some(bytes) = resident_memory() {
            memory.add(&[], float(bytes));
        }
        [build, started, memory]
    }
}

impl Collector for ProcessCollector {
    fn desc(&self) -> Vec<&Desc> {
        vec![&self.desc]
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.registry_cache()
            .into_iter()
            .chain(self.process())
            .chain(runtime())
            .filter_map(Family::finish)
            .collect()
    }
}

/// Of the runtime that answers the request, which is the server's.
fn runtime() -> [Family; 3] {
    let mut tasks = Family::gauge("landfall_tasks", "Tasks of the runtime that have not ended");
    let mut workers = Family::gauge("landfall_workers", "Threads that work on tasks");
    let mut waiting = Family::gauge(
        "landfall_tasks_waiting",
        "Tasks that could go on and wait for a free thread",
    );
    if let Ok(runtime) = Handle::try_current() {
        let metrics = runtime.metrics();
        tasks.add(&[], float(metrics.num_alive_tasks() as u64));
        workers.add(&[], float(metrics.num_workers() as u64));
        waiting.add(&[], float(metrics.global_queue_depth() as u64));
    }
    [tasks, workers, waiting]
}

/// proc_pid_status(5); in KiB there.
fn resident_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kibibytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_knows_its_memory() {
        assert!(resident_memory().is_some_and(|bytes| bytes > 1 << 20));
    }
}
