//! The power goes in the middle of a load: whatever of the writes that were not synced survives, all
//! that was acknowledged is there.

use std::collections::HashSet;
use std::sync::Mutex;
use std::thread;

use super::machine::{Left, Machine};
use crate::harness::Server;
use crate::harness::documents::{APP, SENDER_PASSWORD, device, user};
use crate::harness::recovery::Recovery;
use crate::wire::load::{Id, publish_all};
use crate::wire::{Client, Connect, Version};

const CONNECTIONS: usize = 3;
const PER_CONNECTION: u16 = 3_000;

/// The power goes when this many publishes of a round are acknowledged.
const CUTS: [usize; 2] = [1_500, 4_000];

const IMAGES: [(Left, Left); 4] = [
    (Left::Synced, Left::Synced),
    (Left::Synced, Left::Written),
    (Left::Written, Left::Synced),
    (Left::Written, Left::Written),
];

#[test]
fn everything_acknowledged_survives_a_power_cut_whatever_the_disk_kept_of_the_rest() {
    let machine = Machine::new();
    let mut server = machine.server().start_shared();
    let mut acknowledged = HashSet::new();
    for (round, cut_at) in CUTS.into_iter().enumerate() {
        // An answer of the API is a promise, too.
        let name = format!("added{round}");
        server
            .create_device(APP, &device(&name, SENDER_PASSWORD))
            .expect_status(201);
        acknowledged.extend(publish_until_cut(&mut server, round, cut_at));
        machine.remember();
        let durable = machine.durable();
        assert!(
            durable.iter().any(|(name, _)| name == "events.db-wal"),
            "nothing was synced"
        );
        for (databases, ahead) in IMAGES {
            machine.set_durable(&durable);
            machine.cut_power(databases, ahead);
            let recovery = Recovery::begin();
            server.start_again();
            let mut first = Client::device(&server, Version::V5, "sensor01");
            assert_eq!(first.publish_1("first", b"[9,9]").reason(), 0);
            recovery.end("a power cut");
            let stored = stored(&server);
            let missing = acknowledged.difference(&stored).count();
            assert_eq!(
                missing,
                0,
                "{databases:?} and {ahead:?}: of {}",
                acknowledged.len()
            );
            let connect = Connect::new(Version::V5, "c", &user(&name), SENDER_PASSWORD);
            Client::accepted(&server, &connect).disconnect();
            println!(
                "{databases:?} and {ahead:?}: {} acknowledged, {} stored",
                acknowledged.len(),
                stored.len()
            );
            server.kill();
        }
        server.start_again();
    }
}

/// Loads the server and kills it in the middle; returns what it had acknowledged.
fn publish_until_cut(server: &mut Server, round: usize, cut_at: usize) -> HashSet<Id> {
    let clients: Vec<Client> = (0..CONNECTIONS)
        .map(|number| Client::device_as(server, Version::V5, "sensor01", number))
        .collect();
    let acknowledged = Mutex::new(HashSet::new());
    let killer = Mutex::new(server);
    let numbers: Vec<u16> = (1..=PER_CONNECTION).collect();
    thread::scope(|scope| {
        for (number, client) in clients.into_iter().enumerate() {
            let (acknowledged, killer, numbers) = (&acknowledged, &killer, &numbers);
            scope.spawn(move || {
                publish_all(client, round * CONNECTIONS + number, numbers, |id| {
                    let mut all = acknowledged.lock().unwrap();
                    all.insert(id);
                    if all.len() == cut_at {
                        drop(all);
                        killer.lock().unwrap().kill();
                    }
                });
            });
        }
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() >= cut_at);
    assert!(acknowledged.len() < CONNECTIONS * usize::from(PER_CONNECTION));
    acknowledged
}

fn stored(server: &Server) -> HashSet<Id> {
    let events = server.published(APP);
    events
        .into_iter()
        .map(|event| serde_json::from_value(event["data"].clone()).expect("a pair of numbers"))
        .collect()
}
