//! Measures a registry of many devices: import, size, memory, log-ins.
//!
//! ```text
//! cargo run --release -p landfall-registry --example scale -- --devices 1000000
//! cargo run --release -p landfall-registry --example scale -- --devices 200000 --url postgres://…
//! ```
//!
//! It writes documents of about 600 bytes through `apply_batch`, with passwords hashed as machine-
//! made secrets, then logs devices in: cold (from the store) and warm (from memory), one at a time
//! for the latencies, and on all cores for the rate. The SQLite file is made in `--folder`
//! (default: a new folder of the system's temporary one, removed at the end).

// A tool for measuring: what goes wrong ends it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use landfall_registry::document::{Address, DeviceDocument, Document, parse_documents};
use landfall_registry::{
    Options, PasswordHash, PostgresOptions, Presented, Registry, StoreOptions,
};
use tokio::task::JoinSet;

const APPLICATION: &str = "fleet";
/// Log-ins one after the other, for each latency.
const LATENCIES: usize = 20_000;
/// Devices that are logged in again and again, from memory.
const WARM: usize = 50_000;
/// How long the rate of warm log-ins is taken.
const RATE: Duration = Duration::from_secs(5);

struct Arguments {
    devices: usize,
    url: Option<String>,
    folder: Option<PathBuf>,
    batch: usize,
}

#[tokio::main]
async fn main() {
    let arguments = arguments();
    let temporary = tempfile::tempdir().unwrap();
    let folder = arguments
        .folder
        .clone()
        .unwrap_or_else(|| temporary.path().to_owned());
    let file = folder.join("registry.db");
    let mut options = Options::new(&file);
    options.password_hash = PasswordHash::Blake2sRandomSecrets;
    if let Some(url) = &arguments.url {
        options.store = StoreOptions::Postgres(PostgresOptions::new(url.parse().unwrap()));
    }
    let bytes = document_text(0).len();
    println!(
        "{} devices, documents of {bytes} bytes, store {:?}",
        arguments.devices, options.store
    );

    let registry = Registry::open(options.clone()).await.unwrap();
    import(&registry, &arguments).await;
    drop(registry);
    let registry = reopen(&options).await;
    if arguments.url.is_none() {
        println!("file: {} MiB", size_of(&file) >> 20);
    }
    println!("resident after a restart: {} MiB", resident() >> 20);

    cold(&registry, arguments.devices).await;
    warm(&registry, arguments.devices).await;
    rate(&registry, arguments.devices).await;
    fill(&registry, arguments.devices).await;
    println!(
        "resident with a full cache of {} entries: {} MiB",
        options.cache_entries,
        resident() >> 20
    );
}

fn arguments() -> Arguments {
    let mut arguments = Arguments {
        devices: 1_000_000,
        url: None,
        folder: None,
        batch: 1000,
    };
    let mut given = std::env::args().skip(1);
    while let Some(name) = given.next() {
        let value = given
            .next()
            .unwrap_or_else(|| panic!("{name} needs a value"));
        match name.as_str() {
            "--devices" => arguments.devices = value.parse().unwrap(),
            "--batch" => arguments.batch = value.parse().unwrap(),
            "--url" => arguments.url = Some(value),
            "--folder" => arguments.folder = Some(value.into()),
            _ => panic!("there are --devices, --batch, --url and --folder, not {name}"),
        }
    }
    arguments
}

fn name(n: usize) -> String {
    format!("device-{n:07}")
}

fn password(n: usize) -> String {
    // As random as the measurement needs it.
    format!(
        "{:032x}",
        (n as u128 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835)
    )
}

fn document_text(n: usize) -> String {
    format!(
        r#"{{"metadata":{{"name":"{}","application":"{APPLICATION}","labels":{{"site":"site-{}","model":"tx-200","region":"north"}},"annotations":{{"example.com/serial":"SN-{n:012}","example.com/installed":"2026-03-01","example.com/note":"{}"}}}},"spec":{{"authentication":{{"credentials":[{{"pass":"{}"}}]}},"gatewaySelector":{{"matchNames":["gateway-{}"]}},"alias":["O=Example GmbH, OU=Sensors, CN={n:08}"]}}}}"#,
        name(n),
        n % 500,
        "x".repeat(120),
        password(n),
        n / 100,
    )
}

async fn import(registry: &Registry, arguments: &Arguments) {
    let application = parse_documents(&format!("metadata: {{ name: {APPLICATION} }}")).unwrap();
    for (_, document) in application {
        registry.apply(document).await.unwrap();
    }
    let (start, mut shown) = (Instant::now(), Instant::now());
    // Documents are read while the batch before is written.
    let (batches, mut next) = tokio::sync::mpsc::channel(2);
    let (devices, batch) = (arguments.devices, arguments.batch);
    let reader = std::thread::spawn(move || {
        for first in (0..devices).step_by(batch) {
            let numbers = first..devices.min(first + batch);
            batches
                .blocking_send(numbers.map(document).collect::<Vec<_>>())
                .unwrap();
        }
    });
    let mut done = 0;
    while let Some(documents) = next.recv().await {
        done += registry.apply_batch(documents).await.unwrap().len();
        if shown.elapsed() > Duration::from_secs(5) {
            shown = Instant::now();
            let rate = done as f64 / start.elapsed().as_secs_f64();
            eprintln!("  {done} of {devices}, {rate:.0} a second");
        }
    }
    reader.join().unwrap();
    let took = start.elapsed();
    let rate = done as f64 / took.as_secs_f64();
    println!(
        "import: {:.1} s, {rate:.0} devices a second",
        took.as_secs_f64()
    );
}

fn document(n: usize) -> Document {
    Document::Device(DeviceDocument::parse(&document_text(n), Address::default()).unwrap())
}

async fn reopen(options: &Options) -> Registry {
    loop {
        // The store is closed with its last operation.
        match Registry::open(options.clone()).await {
            Ok(registry) => return registry,
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn log_in(registry: &Registry, n: usize) {
    let password = password(n);
    let presented = Presented::Password(password.as_bytes());
    registry
        .log_in(APPLICATION, &name(n), presented)
        .await
        .unwrap();
}

/// Devices in an order that no cache and no page likes.
fn scattered(devices: usize) -> impl Iterator<Item = usize> {
    (0..devices).map(move |n| n.wrapping_mul(7_368_787) % devices)
}

async fn cold(registry: &Registry, devices: usize) {
    let devices = scattered(devices).take(LATENCIES);
    latencies("cold log-in", registry, devices).await;
}

async fn warm(registry: &Registry, devices: usize) {
    let again = scattered(devices).take(LATENCIES);
    latencies("warm log-in", registry, again).await;
}

async fn latencies(what: &str, registry: &Registry, devices: impl Iterator<Item = usize>) {
    let mut took = Vec::with_capacity(LATENCIES);
    for n in devices {
        let start = Instant::now();
        log_in(registry, n).await;
        took.push(start.elapsed());
    }
    took.sort();
    let at = |percent: usize| took[(took.len() - 1) * percent / 100].as_nanos() as f64 / 1000.0;
    println!("{what}: p50 {:.1} µs, p99 {:.1} µs", at(50), at(99));
}

async fn rate(registry: &Registry, devices: usize) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let warm = WARM.min(devices);
    for n in scattered(devices).take(warm) {
        log_in(registry, n).await;
    }
    let mut tasks = JoinSet::new();
    let start = Instant::now();
    for core in 0..cores {
        let registry = registry.clone();
        tasks.spawn(async move {
            let mut count = 0_u64;
            while start.elapsed() < RATE {
                for n in scattered(devices)
                    .take(warm)
                    .skip(core * 97)
                    .step_by(cores)
                    .take(1000)
                {
                    log_in(&registry, n).await;
                    count += 1;
                }
            }
            count
        });
    }
    let count: u64 = tasks.join_all().await.into_iter().sum();
    let rate = count as f64 / start.elapsed().as_secs_f64() / cores as f64;
    println!("warm log-ins: {rate:.0} a second and core, on {cores} cores");
}

/// Fills the cache.
async fn fill(registry: &Registry, devices: usize) {
    for n in scattered(devices).take(150_000) {
        log_in(registry, n).await;
    }
}

fn size_of(file: &Path) -> u64 {
    let wal = file.with_extension("db-wal");
    let size = |path: &Path| std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    size(file) + size(&wal)
}

/// Resident memory of this process, in bytes (Linux).
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or_default() * 1024
}
