//! kill -9 during a load of 100,000 QoS 1 publishes: nothing acknowledged is missing.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::thread;

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::harness::recovery::Recovery;
use crate::wire::load::{Id, WINDOW, publish_all};
use crate::wire::{Client, Version};

const CONNECTIONS: usize = 4;
const PER_CONNECTION: u16 = 25_000;
const TOTAL: usize = CONNECTIONS * PER_CONNECTION as usize;

/// The server is killed when this many of all publishes have been acknowledged.
const KILLS: [usize; 3] = [15_000, 45_000, 75_000];

/// All that is not yet acknowledged, by connection, and all that is.
struct Progress {
    open: Vec<Vec<u16>>,
    acknowledged: HashSet<Id>,
}

#[test]
fn every_acknowledged_publish_survives_three_kills() {
    let mut server = Server::shared();
    let mut progress = Progress {
        open: vec![(1..=PER_CONNECTION).collect(); CONNECTIONS],
        acknowledged: HashSet::new(),
    };
    let mut last_offset = 0;
    for stop_at in KILLS.into_iter().map(Some).chain([None]) {
        run_until(&mut server, &mut progress, stop_at);
        if stop_at.is_some() {
            let recovery = Recovery::begin();
            server.start_again();
            let mut first = Client::device(&server, Version::V5, "sensor01");
            assert_eq!(first.publish_1("first", b"1").reason(), 0);
            recovery.end("a kill under load");
        }
        last_offset = check_log(&server, &progress.acknowledged, last_offset);
    }
    assert_eq!(progress.acknowledged.len(), TOTAL);
}

/// Publishes what is open on all connections, until `stop_at` publishes are acknowledged and the
/// server is killed in the middle of it, or until all are.
fn run_until(server: &mut Server, progress: &mut Progress, stop_at: Option<usize>) {
    let versions = [Version::V5, Version::V311];
    let clients: Vec<Client> = (0..CONNECTIONS)
        .map(|number| {
            Client::device_as(
                server,
                versions[number % versions.len()],
                "sensor01",
                number,
            )
        })
        .collect();
    let before = progress.acknowledged.len();
    let acknowledged = Mutex::new(HashSet::new());
    let killer = Mutex::new(server);
    thread::scope(|scope| {
        for (connection, client) in clients.into_iter().enumerate() {
            let open = &progress.open[connection];
            let (acknowledged, killer) = (&acknowledged, &killer);
            scope.spawn(move || {
                publish_all(client, connection, open, |id| {
                    let mut all = acknowledged.lock().unwrap();
                    assert!(all.insert(id), "{id:?} was acknowledged twice");
                    if stop_at == Some(before + all.len()) {
                        drop(all);
                        killer.lock().unwrap().kill();
                    }
                });
            });
        }
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    for (connection, open) in progress.open.iter_mut().enumerate() {
        open.retain(|number| !acknowledged.contains(&(connection, *number)));
    }
    progress.acknowledged.extend(acknowledged);
}

/// Reads the whole log: every acknowledged publish is in it, what was not sent is not, and the
/// offsets have gone on. Returns the last offset.
fn check_log(server: &Server, acknowledged: &HashSet<Id>, last_offset: u64) -> u64 {
    let mut stored: HashMap<Id, usize> = HashMap::new();
    let mut first_of_connection = HashMap::new();
    let (mut after, mut offset) = (None::<String>, 0);
    loop {
        let page = server.page(APP, after.as_deref(), 1_000);
        if page.events.is_empty() {
            break;
        }
        for event in page
            .events
            .iter()
            .filter(|event| event["subject"] == "load")
        {
            let id: Id = serde_json::from_value(event["data"].clone()).expect("a pair of numbers");
            let times = stored.entry(id).or_default();
            *times += 1;
            // The first of each comes in order within its connection.
            if *times == 1 {
                let previous = first_of_connection.insert(id.0, id.1).unwrap_or(0);
                assert!(previous < id.1, "{id:?} was stored behind {previous}");
            }
        }
        let next: u64 = page.next.parse().expect("an offset");
        assert!(next > offset, "offsets grow");
        offset = next;
        after = Some(page.next);
    }
    let missing = acknowledged
        .iter()
        .filter(|id| !stored.contains_key(id))
        .count();
    assert_eq!(
        missing,
        0,
        "of {} acknowledged publishes",
        acknowledged.len()
    );
    assert!(offset > last_offset, "offsets go on after a restart");

    let twice: usize = stored.values().map(|times| times - 1).sum();
    // Only what was under way at a kill can have been sent again.
    assert!(
        twice <= KILLS.len() * CONNECTIONS * WINDOW,
        "{twice} duplicates"
    );
    println!(
        "{} acknowledged, {} stored, {twice} of them twice, last offset {offset}",
        acknowledged.len(),
        stored.len()
    );
    offset
}
