//! Topics and filters: what each publish, subscription and command passes through.

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use landfall::dialect::{Inbox, InboxFilter, destination};
use landfall_protocol::QoS;
use landfall_registry::DialectSpec;

/// Publish topics by dialect.
fn publish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("destination");
    for (name, dialect, topic) in [
        ("drogue_own", DialectSpec::DrogueV1, "telemetry"),
        (
            "drogue_gateway",
            DialectSpec::DrogueV1,
            "telemetry/sensor02",
        ),
        (
            "plain",
            DialectSpec::PlainTopic {
                device_prefix: false,
            },
            "site/7/telemetry",
        ),
        (
            "plain_prefixed",
            DialectSpec::PlainTopic {
                device_prefix: true,
            },
            "sensor02/site/7/telemetry",
        ),
    ] {
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            topic,
            |bencher, topic| {
                bencher.iter(|| black_box(destination(&dialect, black_box(topic)).unwrap()));
            },
        );
    }
}

/// Subscriptions: inboxes, and what is none.
fn subscribe(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("inbox_filter");
    for (name, filter) in [
        ("own", "command/inbox//#"),
        ("device", "command/inbox/sensor02/#"),
        ("all", "command/inbox/#"),
        ("none", "telemetry/#"),
    ] {
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            filter,
            |bencher, filter| {
                bencher.iter(|| black_box(InboxFilter::parse(black_box(filter))));
            },
        );
    }
}

/// The topics that one command is delivered on, by subscriptions of the connection.
fn command(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("deliveries");
    for (name, filters) in [
        ("own", &["command/inbox//#"][..]),
        (
            "overlapping",
            &[
                "command/inbox/#",
                "command/inbox/+/#",
                "command/inbox/sensor02/#",
            ],
        ),
    ] {
        let mut inbox = Inbox::default();
        for filter in filters {
            inbox.subscribe(InboxFilter::parse(filter).unwrap(), QoS::AtLeastOnce, None);
        }
        let device = if name == "own" {
            "gateway01"
        } else {
            "sensor02"
        };
        assert!(inbox.covers(device, "gateway01"));
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            &inbox,
            |bencher, inbox| {
                bencher.iter(|| {
                    black_box(inbox.deliveries(black_box(device), "gateway01", "set-temp"))
                });
            },
        );
    }
}

criterion_group!(benches, publish, subscribe, command);
criterion_main!(benches);
