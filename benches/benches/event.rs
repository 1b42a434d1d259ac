//! From a payload to the encoded event: content type, id, attributes, structured JSON.

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use landfall_events::content::judge;
use landfall_events::encode::{write_batch_json, write_structured_json};
use landfall_events::event::{Data, Draft, EventType, IdSource, Origin, OriginParts, Timestamp};
use landfall_events::json::is_json;
use landfall_events::sink::OpenBatch;

const READING: &[u8] = br#"{"temperature":21.37,"humidity":48.2,"seq":100007,"pad":"xxxxx"}"#;

fn origin() -> Arc<Origin> {
    Origin::new(OriginParts {
        instance: "landfall",
        application: ("demo", "0191d5a8-7c2e-7b3a-9f64-0c5e1a2b3c4d"),
        device: ("sensor01", "0191d5a8-7c2e-7b3a-9f64-1c5e1a2b3c4d"),
        sender: ("sensor01", "0191d5a8-7c2e-7b3a-9f64-1c5e1a2b3c4d"),
    })
}

/// Payloads by name: small and large JSON, and bytes that are none.
fn payloads() -> Vec<(&'static str, Vec<u8>)> {
    let list = |count| {
        [
            b"[".to_vec(),
            vec![READING; count].join(&b","[..]),
            b"]".to_vec(),
        ]
        .concat()
    };
    vec![
        ("json_64", READING.to_vec()),
        ("json_1k", list(15)),
        ("json_16k", list(250)),
        ("binary_64", vec![0xA5; 64]),
        ("binary_1k", vec![0xA5; 1024]),
    ]
}

/// The event of one publish, as a connection makes it.
fn draft<'a>(
    origin: &'a Origin,
    ids: &mut IdSource,
    time: Timestamp,
    payload: &'a [u8],
) -> Draft<'a> {
    let (data_content_type, data) = judge(None, payload).unwrap();
    Draft {
        origin,
        event_type: EventType::Event,
        id: ids.next(time),
        time,
        subject: "telemetry",
        data_content_type,
        data_schema: None,
        trace_parent: None,
        trace_state: None,
        retain: false,
        extensions: &[],
        data,
    }
}

fn content(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("content");
    for (name, payload) in payloads() {
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_with_input(
            BenchmarkId::new("is_json", name),
            &payload,
            |bencher, payload| {
                bencher.iter(|| black_box(is_json(black_box(payload))));
            },
        );
        group.bench_with_input(
            BenchmarkId::new("judge", name),
            &payload,
            |bencher, payload| {
                bencher.iter(|| black_box(judge(None, black_box(payload)).unwrap()));
            },
        );
    }
    let declared = Some("application/senml+json; charset=utf-8");
    group.throughput(Throughput::Elements(1));
    group.bench_function("judge/declared_json", |bencher| {
        bencher.iter(|| black_box(judge(black_box(declared), black_box(READING)).unwrap()));
    });
}

fn build(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("build");
    group.throughput(Throughput::Elements(1));
    // Once per connection.
    group.bench_function("origin", |bencher| bencher.iter(|| black_box(origin())));
    group.bench_function("id", |bencher| {
        let (mut ids, time) = (IdSource::new(), Timestamp::now());
        bencher.iter(|| black_box(ids.next(black_box(time))));
    });
    group.bench_function("draft/json_64", |bencher| {
        let (origin, mut ids, time) = (origin(), IdSource::new(), Timestamp::now());
        bencher.iter(|| {
            black_box(draft(&origin, &mut ids, time, black_box(READING)));
        });
    });
}

fn encode(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("encode_event");
    let (origin, mut ids, time) = (origin(), IdSource::new(), Timestamp::now());
    for (name, payload) in payloads() {
        let draft = draft(&origin, &mut ids, time, &payload);
        group.throughput(Throughput::Bytes(payload.len() as u64));
        group.bench_with_input(
            BenchmarkId::new("structured", name),
            &draft,
            |bencher, draft| {
                let mut out = Vec::with_capacity(64 * 1024);
                bencher.iter(|| {
                    out.clear();
                    write_structured_json(black_box(draft), &mut out);
                    black_box(&out);
                });
            },
        );
    }
    let none = Draft {
        data: Data::None,
        ..draft(&origin, &mut ids, time, b"")
    };
    group.throughput(Throughput::Elements(1));
    group.bench_function("structured/empty", |bencher| {
        let mut out = Vec::with_capacity(4096);
        bencher.iter(|| {
            out.clear();
            write_structured_json(black_box(&none), &mut out);
            black_box(&out);
        });
    });
}

/// The hot path of a publish, from payload to open batch; and a batch as readers get it.
fn batch(criterion: &mut Criterion) {
    const COUNT: u64 = 64;
    let mut group = criterion.benchmark_group("batch");
    group.throughput(Throughput::Elements(COUNT));
    let (origin, mut ids) = (origin(), IdSource::new());
    group.bench_function("payload_to_open_batch", |bencher| {
        let mut batch = OpenBatch::new();
        bencher.iter(|| {
            batch.clear();
            let time = Timestamp::now();
            for sequence in 0..COUNT {
                let draft = draft(&origin, &mut ids, time, black_box(READING));
                batch.push(sequence, |out| write_structured_json(&draft, out));
            }
            black_box(batch.bytes())
        });
    });
    let mut event = Vec::new();
    write_structured_json(
        &draft(&origin, &mut ids, Timestamp::now(), READING),
        &mut event,
    );
    group.bench_function("json_batch", |bencher| {
        let events = vec![event.as_slice(); 64];
        let mut out = Vec::with_capacity(64 * 1024);
        bencher.iter(|| {
            out.clear();
            write_batch_json(black_box(&events).iter().copied(), &mut out);
            black_box(out.len())
        });
    });
}

criterion_group!(benches, content, build, encode, batch);
criterion_main!(benches);
