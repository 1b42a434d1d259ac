//! Latencies: recorded in nanoseconds with two significant digits or better, reported in microseconds.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::error::{Error, Result};

/// Longest latency that is told apart, in nanoseconds; longer ones count as this.
const HIGHEST: u64 = 60_000_000_000;
/// Significant digits: three keep the error of a quantile under 0.1 %.
const DIGITS: u8 = 3;

/// A histogram of durations with bounded memory, whatever is recorded.
#[derive(Clone)]
pub(crate) struct Latencies(Histogram<u64>);

/// What is reported of a histogram, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub count: u64,
    pub mean_us: f64,
    pub p50_us: f64,
    pub p90_us: f64,
    pub p99_us: f64,
    pub p999_us: f64,
    pub max_us: f64,
}

impl Latencies {
    pub(crate) fn new() -> Result<Self> {
        Histogram::new_with_bounds(1, HIGHEST, DIGITS)
            .map(Self)
            .map_err(|fault| Error::Usage(format!("histogram bounds: {fault}")))
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let nanos = u64::try_from(latency.as_nanos()).unwrap_or(HIGHEST);
        self.0.saturating_record(nanos);
    }

    /// Adds all that `other` has recorded; both have the same bounds, so nothing is lost.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    pub(crate) fn summary(&self) -> Summary {
        let quantile = |q| micros(self.0.value_at_quantile(q));
        Summary {
            count: self.0.len(),
            mean_us: self.0.mean() / 1e3,
            p50_us: quantile(0.5),
            p90_us: quantile(0.9),
            p99_us: quantile(0.99),
            p999_us: quantile(0.999),
            max_us: micros(self.0.max()),
        }
    }
}

/// Nanoseconds as microseconds; exact far beyond `HIGHEST`.
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(micros: impl IntoIterator<Item = u64>) -> Latencies {
        let mut latencies = Latencies::new().unwrap();
        for value in micros {
            latencies.record(Duration::from_micros(value));
        }
        latencies
    }

    fn about(actual: f64, expected: f64) -> bool {
        (actual - expected).abs() <= expected * 0.001
    }

    #[test]
    fn quantiles_are_right_to_three_digits() {
        let summary = recorded(1..=10_000).summary();
        assert_eq!(summary.count, 10_000);
        assert!(about(summary.p50_us, 5_000.0), "{summary:?}");
        assert!(about(summary.p90_us, 9_000.0), "{summary:?}");
        assert!(about(summary.p99_us, 9_900.0), "{summary:?}");
        assert!(about(summary.p999_us, 9_990.0), "{summary:?}");
        assert!(about(summary.max_us, 10_000.0), "{summary:?}");
        assert!(about(summary.mean_us, 5_000.5), "{summary:?}");
    }

    #[test]
    fn merging_is_the_same_as_recording_into_one() {
        let mut merged = recorded(1..=500);
        merged.merge(&recorded(501..=1_000));
        assert_eq!(merged.summary(), recorded(1..=1_000).summary());
    }

    #[test]
    fn what_is_beyond_the_bounds_counts_as_the_bound() {
        let summary = recorded([0, 3_600_000_000]).summary();
        assert_eq!(summary.count, 2);
        assert!(about(summary.max_us, 60_000_000.0), "{summary:?}");
    }

    #[test]
    fn an_empty_histogram_has_a_summary() {
        assert_eq!(recorded([]).summary(), Summary::default());
    }
}
