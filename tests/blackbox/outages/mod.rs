//! 100,000 QoS 1 publishes while the system that the events go to is killed, or cut off, three
//! times: every acknowledged event arrives there, and each sender's stay in order.

mod http;
mod kafka;
mod mqtt;
mod nats;
mod silent;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use crate::harness::Server;
use crate::harness::documents::{APP, SENDER_PASSWORD, device};
use crate::harness::recovery::Recovery;
use crate::harness::wait;
use crate::wire::load::{Id, publish_all};
use crate::wire::{Client, Connect, Version};

const CONNECTIONS: usize = 4;
const PER_CONNECTION: u16 = 25_000;
const TOTAL: usize = CONNECTIONS * PER_CONNECTION as usize;

/// The system goes away when this many publishes have been acknowledged.
const OUTAGES: [usize; 3] = [15_000, 45_000, 75_000];

/// A server with one required sink, and a device for each connection.
fn server(sink: &str) -> Server {
    let devices: Vec<Value> = (0..CONNECTIONS)
        .map(|number| device(&format!("sender{number}"), SENDER_PASSWORD))
        .collect();
    let sink = format!("[[sinks]]\nname = \"far\"\n{sink}");
    Server::builder()
        .without_log_sink()
        .settings(&sink)
        .start_with(APP, &devices)
}

/// What the test's system is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outage {
    /// Go away, and wait until the server has noticed.
    Begins,
    /// Come back.
    Ends,
}

/// Publishes all, with an outage at each of [`OUTAGES`]; returns when all is acknowledged.
fn publish_through(server: &Server, outage: impl FnMut(Outage) + Send) {
    let acknowledged = AtomicUsize::new(0);
    let numbers: Vec<u16> = (1..=PER_CONNECTION).collect();
    thread::scope(|scope| {
        for connection in 0..CONNECTIONS {
            let (acknowledged, numbers) = (&acknowledged, &numbers);
            scope.spawn(move || {
                let name = format!("sender{connection}");
                let user = format!("{name}@{APP}");
                let version = [Version::V5, Version::V311][connection % 2];
                let connect = Connect::new(version, &name, &user, SENDER_PASSWORD);
                let client = Client::accepted(server, &connect);
                publish_all(client, connection, numbers, |_| {
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                });
            });
        }
        let mut outage = outage;
        for at in OUTAGES {
            let count = || acknowledged.load(Ordering::Relaxed);
            wait::until("acknowledgements", || (count() >= at).then_some(()));
            outage(Outage::Begins);
            let before = wait::standing_still(count);
            outage(Outage::Ends);
            let recovery = Recovery::begin();
            wait::until("acknowledgements", || (count() > before).then_some(()));
            recovery.end("an outage of the sink");
        }
    });
    assert_eq!(
        acknowledged.into_inner(),
        TOTAL,
        "connections end only when everything is acknowledged"
    );
}

/// What arrived: all that was acknowledged, the first of each in its sender's order.
fn check(arrived: impl IntoIterator<Item = Vec<u8>>, most_twice: usize) {
    let mut times: HashMap<Id, usize> = HashMap::new();
    let mut last: HashMap<usize, u16> = HashMap::new();
    for payload in arrived {
        let id: Id = serde_json::from_slice(&payload).expect("a pair of numbers");
        let count = times.entry(id).or_default();
        *count += 1;
        if *count == 1 {
            let before = last.insert(id.0, id.1).unwrap_or(0);
            assert!(before < id.1, "{id:?} arrived behind {before}");
        }
    }
    assert_eq!(times.len(), TOTAL, "every acknowledged event is there");
    let twice: usize = times.values().map(|count| count - 1).sum();
    println!("{TOTAL} acknowledged and there, {twice} twice");
    assert!(twice <= most_twice, "{twice} duplicates");
}
