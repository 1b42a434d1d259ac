//! Metric families that are made when they are asked for, out of figures that others keep.

use std::collections::HashMap;

use prometheus::core::Desc;
use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType,
};

/// The samples of one metric.
pub(super) struct Family {
    name: &'static str,
    help: &'static str,
    kind: MetricType,
    samples: Vec<Metric>,
}

/// Labels of a sample: names and values.
pub(super) type Labels<'a> = &'a [(&'static str, &'a str)];

/// How often something took how long.
pub(super) struct Durations<'a> {
    /// Upper bounds of the buckets but the last, in microseconds.
    pub(super) bounds: &'a [u64],
    /// How many fell into each bucket alone; one more than there are bounds.
    pub(super) counts: &'a [u64],
    /// All of them together, in seconds.
    pub(super) sum: f64,
}

impl Family {
    pub(super) const fn counter(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    pub(super) const fn gauge(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    pub(super) const fn histogram(name: &'static str, help: &'static str) -> Self {
        Self::new(name, help, MetricType::HISTOGRAM)
    }

    const fn new(name: &'static str, help: &'static str, kind: MetricType) -> Self {
        Self {
            name,
            help,
            kind,
            samples: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, labels: Labels<'_>, value: f64) {
        let mut sample = labelled(labels);
        if self.kind == MetricType::COUNTER {
            let mut counter = Counter::default();
            counter.set_value(value);
            sample.set_counter(counter);
        } else {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            sample.set_gauge(gauge);
        }
        self.samples.push(sample);
    }

    pub(super) fn add_durations(&mut self, labels: Labels<'_>, durations: &Durations<'_>) {
        let mut total = 0;
        let mut buckets = Vec::with_capacity(durations.bounds.len());
        for (bound, count) in durations.bounds.iter().zip(durations.counts) {
            total += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(float(*bound) / 1e6);
            bucket.set_cumulative_count(total);
            buckets.push(bucket);
        }
        let mut histogram = Histogram::default();
        histogram.set_sample_count(durations.counts.iter().sum());
        histogram.set_sample_sum(durations.sum);
        histogram.set_bucket(buckets);
        let mut sample = labelled(labels);
        sample.set_histogram(histogram);
        self.samples.push(sample);
    }

    /// `None` without samples: a family must not be empty.
    pub(super) fn finish(self) -> Option<MetricFamily> {
        if self.samples.is_empty() {
            return None;
        }
        let mut family = MetricFamily::default();
        family.set_name(self.name.to_owned());
        family.set_help(self.help.to_owned());
        family.set_field_type(self.kind);
        family.set_metric(self.samples);
        Some(family)
    }
}

fn labelled(labels: Labels<'_>) -> Metric {
    let pair = |(name, value): &(&'static str, &str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    Metric::from_label(labels.iter().map(pair).collect())
}

/// What a collector is known by to the registry: one of its metrics, that no other has.
///
/// # Errors
///
/// The name is not valid: a mistake of its caller.
pub(super) fn known_by(name: &str, help: &str) -> Result<Desc, prometheus::Error> {
    Desc::new(name.to_owned(), help.to_owned(), Vec::new(), HashMap::new())
}

/// Counts beyond 2⁵³ lose their last digits, as all of Prometheus' numbers do.
#[expect(
    clippy::cast_precision_loss,
    reason = "Prometheus has no other numbers"
)]
pub(super) const fn float(count: u64) -> f64 {
    count as f64
}
