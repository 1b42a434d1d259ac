//! Topics and filters: what each publish, subscription and command passes through.

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use landfall::dialect::{Inbox, Outgoing, Own, of};
use landfall_protocol::QoS;
use landfall_registry::DialectSpec;

const OWN: Own<'_> = Own {
    application: "app",
    device: "gateway01",
};

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
        (
            "watson_gateway",
            DialectSpec::WatsonIot {
                auto_register: None,
            },
            "iot-2/type/pump/id/p7/evt/status/fmt/json",
        ),
        (
            "azure",
            DialectSpec::AzureIotHub,
            "devices/gateway01/messages/events/%24.ct=application%2Fjson&a=1",
        ),
        ("hono", DialectSpec::Hono, "telemetry/app/sensor02"),
    ] {
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            topic,
            |bencher, topic| {
                let dialect = of(black_box(&dialect));
                bencher.iter(|| black_box(dialect.destination(black_box(topic), OWN).unwrap()));
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
                bencher
                    .iter(|| black_box(of(&DialectSpec::DrogueV1).inbox(black_box(filter), OWN)));
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
            let filter = of(&DialectSpec::DrogueV1).inbox(filter, OWN).unwrap();
            inbox.subscribe(filter, QoS::AtLeastOnce, None);
        }
        let device = if name == "own" {
            "gateway01"
        } else {
            "sensor02"
        };
        let command = Outgoing {
            own: OWN,
            device,
            name: "set-temp",
            content_type: None,
            payload: b"21.5",
        };
        assert!(inbox.covers(&command));
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            &inbox,
            |bencher, inbox| {
                bencher.iter(|| black_box(inbox.deliveries(black_box(&command))));
            },
        );
    }
}

criterion_group!(benches, publish, subscribe, command);
criterion_main!(benches);
