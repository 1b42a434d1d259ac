//! 100,000 publishes at QoS 1.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use super::Moment;
use crate::harness::Server;
use crate::harness::chance::chance;
use crate::harness::documents::APP;
use crate::harness::recovery::Recovery;
use crate::wire::load::{Id, WINDOW, publish_all};
use crate::wire::{Client, Version};

const CONNECTIONS: usize = 4;
const PER_CONNECTION: u16 = 25_000;
const TOTAL: usize = CONNECTIONS * PER_CONNECTION as usize;

const KILLS: usize = 5;

/// All that is not yet acknowledged, by connection, and all that is.
struct Progress {
    open: Vec<Vec<u16>>,
    acknowledged: HashSet<Id>,
}

#[test]
fn every_acknowledged_publish_survives_kills_at_random_moments() {
    // Behind the last, there is load left.
    let moments = Moment::several(&mut chance(), KILLS, TOTAL / 10 * 9);
    let mut server = Server::shared();
    let mut progress = Progress {
        open: vec![(1..=PER_CONNECTION).collect(); CONNECTIONS],
        acknowledged: HashSet::new(),
    };
    let mut last_offset = 0;
    for moment in moments.into_iter().map(Some).chain([None]) {
        run_until(&mut server, &mut progress, moment);
        if moment.is_some() {
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

/// Publishes what is open on all connections, until the server is killed in the middle of it, or until
/// all are acknowledged.
fn run_until(server: &mut Server, progress: &mut Progress, moment: Option<Moment>) {
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
    let count = AtomicUsize::new(progress.acknowledged.len());
    let acknowledged = Mutex::new(HashSet::new());
    thread::scope(|scope| {
        for (connection, client) in clients.into_iter().enumerate() {
            let open = &progress.open[connection];
            let (acknowledged, count) = (&acknowledged, &count);
            scope.spawn(move || {
                publish_all(client, connection, open, |id| {
                    let is_first = acknowledged.lock().unwrap().insert(id);
                    assert!(is_first, "{id:?} was acknowledged twice");
                    count.fetch_add(1, Ordering::Relaxed);
                });
            });
        }
        if let Some(moment) = moment {
            moment.wait(|| count.load(Ordering::Relaxed));
            server.kill();
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
    assert!(twice <= KILLS * CONNECTIONS * WINDOW, "{twice} duplicates");
    println!(
        "{} acknowledged, {} stored, {twice} of them twice, last offset {offset}",
        acknowledged.len(),
        stored.len()
    );
    offset
}
