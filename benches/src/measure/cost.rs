//! What the server spends between two moments.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::error::Result;
use crate::process::{CpuTime, process_cpu};

/// Reads the server's CPU clock at the start of a measurement.
pub(super) struct Meter {
    pid: u32,
    start: CpuTime,
    started: Instant,
}

/// The server's CPU time in a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Cost {
    /// User and kernel time of the whole process, in seconds.
    pub cpu_seconds: f64,
    /// Cores kept busy: CPU time over wall time.
    pub cores: f64,
    /// Part spent in the kernel, from ticks of 10 ms; absent if no tick has passed.
    pub kernel_share: Option<f64>,
}

impl Meter {
    /// Starts if there is a process to read.
    pub(super) fn start(pid: Option<u32>) -> Result<Option<Self>> {
        pid.map(|pid| {
            Ok(Self {
                pid,
                start: process_cpu(pid)?,
                started: Instant::now(),
            })
        })
        .transpose()
    }

    pub(super) fn stop(&self) -> Result<Cost> {
        let now = process_cpu(self.pid)?;
        let cpu_seconds = now.since(&self.start).as_secs_f64();
        Ok(Cost {
            cpu_seconds,
            cores: ratio(cpu_seconds, self.started.elapsed().as_secs_f64()),
            kernel_share: now.kernel_share_since(&self.start),
        })
    }
}

impl Cost {
    /// Microseconds of CPU for each of `count` messages (or connects).
    pub(crate) fn micros_per(&self, count: u64) -> f64 {
        ratio(self.cpu_seconds * 1e6, count as f64)
    }
}

/// CPU time of a client thread for each of `count` messages, in microseconds.
pub(super) fn micros_per(cpu: Duration, count: u64) -> f64 {
    ratio(cpu.as_secs_f64() * 1e6, count as f64)
}

/// `part / whole`, and 0 of nothing.
pub(super) fn ratio(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { part / whole }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_is_shared_out_over_the_messages() {
        let cost = Cost {
            cpu_seconds: 2.0,
            cores: 1.0,
            kernel_share: None,
        };
        assert!((cost.micros_per(4_000_000) - 0.5).abs() < 1e-12);
        assert!(cost.micros_per(0).abs() < f64::EPSILON);
    }

    #[test]
    fn without_a_process_nothing_is_metered() {
        assert!(Meter::start(None).unwrap().is_none());
    }
}
