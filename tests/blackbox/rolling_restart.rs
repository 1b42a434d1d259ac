//! Three instances are restarted in turn while commands flow: none is lost, none comes twice.
//!
//! The sender does as the documentation says: it sends a command again, to any instance, when it was
//! told that nobody has it (404), or when no instance could be asked. `LANDFALL_TEST_COMMANDS` sets
//! how many commands there are; the default makes a short test.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use crate::cluster::{Fleet, await_other};
use crate::harness::Server;
use crate::harness::api::Http;
use crate::harness::documents::{APP, SENDER_PASSWORD, device, user};
use crate::harness::wait::{self, until, within};
use crate::wire::encode::acknowledgement;
use crate::wire::{Client, Connect, Received, Subscribe, Version, kind};

const DEVICES: usize = 6;
const SENDERS: usize = 4;
const SHORT: usize = 3_000;

/// A command may wait for its device's next connection.
const PATIENCE: Duration = Duration::from_secs(60);

/// A long test may take this long from one restart to the next.
const LONG: Duration = Duration::from_secs(3_600);

/// How often each command came, by its number.
type Counts = Mutex<HashMap<usize, usize>>;

/// Where an instance is, as long as it can be asked.
struct Place {
    mqtt: std::net::SocketAddr,
    api: Http,
}

fn name(number: usize) -> String {
    format!("rolling{number}")
}

#[test]
fn no_command_is_lost_or_doubled_while_three_instances_are_restarted_in_turn() {
    let commands = std::env::var("LANDFALL_TEST_COMMANDS");
    let commands = commands.map_or(SHORT, |text| text.parse().expect("a number"));
    let fleet = Fleet::new();
    let mut servers = vec![
        fleet.first("one"),
        fleet.further("two"),
        fleet.further("three"),
    ];
    for server in &servers {
        await_other(server);
    }
    for number in 0..DEVICES {
        let name = name(number);
        let document = device(&name, SENDER_PASSWORD);
        servers[0].create_device(APP, &document).expect_status(201);
    }
    let places: Vec<_> = servers
        .iter()
        .map(|server| RwLock::new(place(server)))
        .collect();
    let (counts, sent, over) = (
        Counts::default(),
        AtomicUsize::new(0),
        AtomicBool::new(false),
    );
    let (repeated, began) = (AtomicUsize::new(0), Instant::now());
    let connected = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..DEVICES {
            let (places, counts, over, connected) = (&places, &counts, &over, &connected);
            scope.spawn(move || be_device(number, places, counts, over, connected));
        }
        until("the devices", || {
            (connected.load(Ordering::SeqCst) >= DEVICES).then_some(())
        });
        let senders: Vec<_> = (0..SENDERS)
            .map(|sender| {
                let (places, sent, repeated) = (&places, &sent, &repeated);
                scope.spawn(move || {
                    for number in (sender..commands).step_by(SENDERS) {
                        let times = send(number, sender, places);
                        repeated.fetch_add(times - 1, Ordering::SeqCst);
                        sent.fetch_add(1, Ordering::SeqCst);
                    }
                })
            })
            .collect();
        for (turn, server) in servers.iter_mut().enumerate() {
            let due = commands * (turn + 1) / 5;
            within(LONG, "the next turn", || {
                (sent.load(Ordering::SeqCst) >= due).then_some(())
            });
            server.terminate();
            assert!(server.wait().success());
            server.start_again();
            *places[turn].write().unwrap() = place(server);
            await_other(server);
        }
        for sender in senders {
            sender.join().expect("a sender");
        }
        over.store(true, Ordering::SeqCst);
        // Which ends the devices' connections.
        servers.iter_mut().for_each(Server::terminate);
    });
    let counts = counts.into_inner().unwrap();
    let doubled: Vec<_> = counts.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "came twice: {doubled:?}");
    let lost: Vec<_> = (0..commands).filter(|n| !counts.contains_key(n)).collect();
    assert!(lost.is_empty(), "never came: {lost:?}");
    let (repeated, took) = (repeated.into_inner(), began.elapsed());
    println!("{commands} commands, each came once; {repeated} times sent again; {took:.0?}");
}

fn place(server: &Server) -> Place {
    Place {
        mqtt: server.mqtt(),
        api: server.api().clone(),
    }
}

/// Sends one command until some instance says that it was acknowledged; how often that was.
fn send(number: usize, sender: usize, places: &[RwLock<Place>]) -> usize {
    let device = name(number % DEVICES);
    let path = format!("/api/command/v1alpha1/apps/{APP}/devices/{device}?command=c&timeout=30");
    let body = number.to_string();
    let mut turn = sender;
    let mut times = 0;
    within(PATIENCE, "an acknowledged command", || {
        turn += 1;
        times += 1;
        let api = places[turn % places.len()].read().unwrap().api.clone();
        let answer = api.try_send("POST", &path, &[], Some(body.as_bytes()));
        match answer {
            Ok(answer) if answer.status == 200 => Some(times),
            // Nobody has it.
            Ok(answer) if answer.status == 404 => None,
            Ok(answer) => panic!("{}: {}", answer.status, answer.text()),
            // The instance is away; it answers what it has begun before it goes.
            Err(_) => None,
        }
    })
}

/// A device that connects anew, to another instance, whenever its connection ends.
fn be_device(
    number: usize,
    places: &[RwLock<Place>],
    counts: &Counts,
    over: &AtomicBool,
    connected: &AtomicUsize,
) {
    let name = name(number);
    let connect = Connect::new(Version::V5, "c", &user(&name), SENDER_PASSWORD);
    let mut turn = number;
    while !over.load(Ordering::SeqCst) {
        turn += 1;
        let address = places[turn % places.len()].read().unwrap().mqtt;
        let Some(mut client) = Client::try_accepted(address, &connect) else {
            wait::pause();
            continue;
        };
        let subscribe = Subscribe {
            id: 10,
            filters: &[("command/inbox//#", 1)],
            properties: &[],
        };
        client.send(&subscribe.encode(Version::V5));
        while let Received::Packet(packet) = client.receive() {
            match packet.kind() {
                kind::SUBACK => {
                    connected.fetch_add(1, Ordering::SeqCst);
                }
                kind::PUBLISH => {
                    let delivery = packet.delivery(Version::V5);
                    let text = String::from_utf8_lossy(&delivery.payload).into_owned();
                    let command = text.parse().expect("a number");
                    *counts.lock().unwrap().entry(command).or_default() += 1;
                    if let Some(id) = delivery.id {
                        client.send(&acknowledgement(0x40, id));
                    }
                }
                _ => {}
            }
        }
    }
}
