//! Measures the embedded log: events per second, CPU per event, commit times.
//!
//! `cargo run --release -p landfall-events --example measure_log -- [--dir DIR] [--connections 50]
//! [--batch 64] [--bytes 500] [--seconds 5] [--applications 1] [--rate EVENTS_PER_SECOND]`
//!
//! Connections are threadless: one thread plays all of them. Each hands over a batch, and the next
//! one when that is accepted; with `--rate`, batches are due at fixed times instead.

#![allow(clippy::print_stdout, reason = "a program that prints its findings")]

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use landfall_events::event::{Data, Draft, EventType, Origin, OriginParts, Timestamp, next_id};
use landfall_events::sink::log::{LogOptions, LogSink};
use landfall_events::sink::{
    COMMIT_BOUNDS, Completion, Handover, OpenBatch, Refusal, Sequence, Sink,
};

/// Says which connection may go on.
struct Connection {
    index: usize,
    last: AtomicU64,
    turns: mpsc::Sender<usize>,
}

impl Completion for Connection {
    fn accepted(&self, _slot: usize, up_to: Sequence) {
        if up_to == self.last.load(Ordering::Acquire) {
            let _stopped = self.turns.send(self.index);
        }
    }

    fn refused(&self, _slot: usize, _sequence: Sequence, _refusal: Refusal) {}

    fn room(&self, _slot: usize) {}
}

struct Plan {
    dir: PathBuf,
    connections: usize,
    applications: usize,
    batch: u64,
    bytes: usize,
    seconds: u64,
    rate: Option<u64>,
}

impl Plan {
    fn from_arguments() -> Result<Self, Box<dyn Error>> {
        let mut plan = Self {
            dir: std::env::temp_dir().join("landfall-measure-log"),
            connections: 50,
            applications: 1,
            batch: 64,
            bytes: 500,
            seconds: 5,
            rate: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(name) = arguments.next() {
            let value = arguments.next().ok_or("each option has a value")?;
            match name.as_str() {
                "--dir" => plan.dir = value.into(),
                "--connections" => plan.connections = value.parse()?,
                "--applications" => plan.applications = value.parse()?,
                "--batch" => plan.batch = value.parse()?,
                "--bytes" => plan.bytes = value.parse()?,
                "--seconds" => plan.seconds = value.parse()?,
                "--rate" => plan.rate = Some(value.parse()?),
                other => return Err(format!("unknown option {other}").into()),
            }
        }
        Ok(plan)
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let plan = Plan::from_arguments()?;
    fs::create_dir_all(&plan.dir)?;
    for name in ["events.db", "events.db-wal", "events.db-shm"] {
        let _missing = fs::remove_file(plan.dir.join(name));
    }
    let mut options = LogOptions::new(plan.dir.join("events.db"));
    options.retention.bytes = 256 << 20;
    let sink = LogSink::open("events", options)?;

    let started = Instant::now();
    drive(&plan, &sink)?;
    let elapsed = started.elapsed();
    let stats = sink.stats();
    let wal = fs::metadata(plan.dir.join("events.db-wal"))?.len();
    let threads = thread_times()?;
    sink.close(Duration::from_secs(60))?;

    let events = stats.accepted;
    println!(
        "{events} events of {} bytes in {:.2} s: {:.0} per second, {:.1} MB/s, {} commits, {:.0} events each",
        stats.accepted_bytes / events.max(1),
        elapsed.as_secs_f64(),
        per(events, elapsed.as_secs_f64()),
        per(stats.accepted_bytes, elapsed.as_secs_f64()) / 1e6,
        stats.commits,
        per(events, stats.commits.max(1) as f64),
    );
    for (name, seconds) in threads {
        println!(
            "  {name:16} {:.3} µs CPU per event",
            seconds * 1e6 / events.max(1) as f64
        );
    }
    println!(
        "  commit mean {:.2} ms, p50 {}, p99 {}, p99.9 {}, wal {} MiB",
        stats.commit_time.as_secs_f64() * 1e3 / stats.commits.max(1) as f64,
        quantile(&stats.commit_times, 0.5),
        quantile(&stats.commit_times, 0.99),
        quantile(&stats.commit_times, 0.999),
        wal >> 20,
    );
    Ok(())
}

fn drive(plan: &Plan, sink: &LogSink) -> Result<(), Box<dyn Error>> {
    let (turns, due) = mpsc::channel();
    let connections: Vec<Arc<Connection>> = (0..plan.connections)
        .map(|index| {
            Arc::new(Connection {
                index,
                last: AtomicU64::new(0),
                turns: turns.clone(),
            })
        })
        .collect();
    let names: Vec<Arc<str>> = (0..plan.applications.max(1))
        .map(|index| format!("app{index}").into())
        .collect();
    // The attributes take about 440 bytes; the payload is random, as Base64.
    let payload_bytes = plan.bytes.saturating_sub(440) / 4 * 3;
    let payloads: Vec<Vec<u8>> = (0..1_000)
        .map(|_| (0..payload_bytes).map(|_| fastrand::u8(..)).collect())
        .collect();
    let mut batch = OpenBatch::new();
    let mut publish = |index: usize| -> Result<(), Box<dyn Error>> {
        let connection = connections.get(index).ok_or("no such connection")?;
        let application = names
            .get(index % names.len())
            .ok_or("no such application")?;
        let origin = Origin::new(OriginParts {
            instance: "landfall",
            application: (application, "0191d5a8"),
            device: ("sensor01", "0191d5a9"),
            sender: ("sensor01", "0191d5a9"),
        });
        let first = connection.last.load(Ordering::Acquire) + 1;
        let last = first + plan.batch - 1;
        connection.last.store(last, Ordering::Release);
        let time = Timestamp::now();
        for (sequence, payload) in (first..=last).zip(payloads.iter().cycle()) {
            let draft = Draft {
                origin: &origin,
                event_type: EventType::Event,
                id: next_id(time),
                time,
                subject: "telemetry",
                data_content_type: Some("application/octet-stream"),
                data_schema: None,
                trace_parent: None,
                trace_state: None,
                retain: false,
                extensions: &[],
                data: Data::Binary(payload),
            };
            sink.encode(&draft, sequence, &mut batch);
        }
        let completion: Arc<dyn Completion> = connection.clone();
        sink.hand_over(Handover {
            application,
            batch: &mut batch,
            completion: &completion,
            slot: 0,
        });
        Ok(())
    };

    let end = Instant::now() + Duration::from_secs(plan.seconds);
    let Some(rate) = plan.rate else {
        (0..plan.connections).try_for_each(&mut publish)?;
        while Instant::now() < end {
            publish(due.recv()?)?;
        }
        return Ok(());
    };
    // Batches come one by one at fixed times, whatever became of the earlier ones.
    let interval = Duration::from_secs_f64(plan.batch as f64 / rate as f64);
    let mut next = Instant::now();
    for index in (0..plan.connections).cycle() {
        if next >= end {
            return Ok(());
        }
        while Instant::now() < next {
            std::thread::park_timeout(next - Instant::now());
        }
        publish(index)?;
        while due.try_recv().is_ok() {}
        next += interval;
    }
    Ok(())
}

fn per(count: u64, what: f64) -> f64 {
    count as f64 / what
}

/// The upper bound of the bucket that holds the quantile.
fn quantile(buckets: &[u64], quantile: f64) -> String {
    let total: u64 = buckets.iter().sum();
    let mut seen = 0;
    for (index, count) in buckets.iter().enumerate() {
        seen += count;
        if seen as f64 >= quantile * total as f64 {
            return COMMIT_BOUNDS.get(index).map_or("beyond".into(), |micros| {
                format!("≤ {} ms", *micros as f64 / 1e3)
            });
        }
    }
    "none".into()
}

/// CPU seconds of each thread by its name, from `/proc` (scheduler's clock, nanoseconds).
fn thread_times() -> Result<Vec<(String, f64)>, Box<dyn Error>> {
    let mut times = Vec::new();
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        let name = fs::read_to_string(task.join("comm"))?.trim().to_owned();
        let schedstat = fs::read_to_string(task.join("schedstat"))?;
        let nanos: f64 = schedstat.split(' ').next().unwrap_or("0").parse()?;
        times.push((name, nanos / 1e9));
    }
    Ok(times)
}
