//! Documents that are written over the API.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fastrand::Rng;
use serde_json::{Value, json};

use super::Moment;
use crate::harness::Server;
use crate::harness::api::{Answer, Http};
use crate::harness::chance::chance;
use crate::harness::documents::{APP, SENDER_PASSWORD};
use crate::harness::recovery::Recovery;
use crate::wire::{Client, Connect, Version};

const WRITERS: usize = 4;
/// Devices of each writer.
const DEVICES: usize = 6;
const KILLS: usize = 6;
/// Writes from one kill to the next, at most.
const WRITES: usize = 200;

const PATH: &str = "/api/registry/v1alpha1/apps/app/devices";

/// What a device is at: its revision, or that it does not exist.
type State = Option<u32>;

/// What a writer knows of one of its devices.
#[derive(Clone, Copy, Default)]
struct Known {
    acknowledged: State,
    /// Of a write that was not answered.
    under_way: Option<State>,
    /// No revision comes twice.
    last: u32,
}

type Devices = BTreeMap<String, Known>;

#[test]
fn every_acknowledged_write_of_the_registry_survives_kills_at_random_moments() {
    let mut chance = chance();
    let mut server = Server::builder()
        // What log-ins are for here is whose names they are by.
        .settings("[registry]\nhash_passwords = false")
        .settings("[limits]\nlog_in_failures_per_device = 0\nlog_in_failures_per_address = 0")
        .start_with(APP, &[]);
    let names = |writer: usize| (0..DEVICES).map(move |number| format!("w{writer}d{number}"));
    let mut all: Vec<Devices> = (0..WRITERS)
        .map(|writer| names(writer).map(|name| (name, Known::default())).collect())
        .collect();
    let (mut writes, mut kept) = (0, 0);
    for _ in 0..KILLS {
        writes += write_until_killed(&mut server, &mut all, &mut chance);
        let recovery = Recovery::begin();
        server.start_again();
        server.api().get(PATH).expect_status(200);
        recovery.end("a kill while documents were written");
        kept += check(&server, &mut all);
    }
    println!("{writes} acknowledged writes, {kept} that were under way are there");
}

/// Lets all writers write until the server is killed; returns how many writes were acknowledged.
fn write_until_killed(server: &mut Server, all: &mut [Devices], chance: &mut Rng) -> usize {
    let moment = Moment::new(chance, 1..WRITES);
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        for devices in all {
            let (api, count, mut chance) = (server.api().clone(), &count, chance.fork());
            scope.spawn(move || {
                while write(&api, devices, &mut chance) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        moment.wait(|| count.load(Ordering::Relaxed));
        server.kill();
    });
    count.into_inner()
}

/// Writes one document; whether it was answered.
fn write(api: &Http, devices: &mut Devices, chance: &mut Rng) -> bool {
    let index = chance.usize(..devices.len());
    let (name, known) = devices.iter_mut().nth(index).expect("a device");
    let path = format!("{PATH}/{name}");
    let next = known.last + 1;
    let (state, answer) = match known.acknowledged {
        None => (
            Some(next),
            send(api, "POST", PATH, Some(&document(name, next))),
        ),
        Some(_) if chance.u8(..4) == 0 => (None, send(api, "DELETE", &path, None)),
        Some(_) => (
            Some(next),
            send(api, "PUT", &path, Some(&document(name, next))),
        ),
    };
    known.last = next;
    match answer {
        Ok(answer) => {
            assert!((200..300).contains(&answer.status), "{}", answer.text());
            known.acknowledged = state;
            true
        }
        Err(_) => {
            known.under_way = Some(state);
            false
        }
    }
}

fn send(api: &Http, method: &str, path: &str, document: Option<&Value>) -> Result<Answer, String> {
    let body = document.map(Value::to_string);
    let headers = [("content-type", "application/json")];
    api.try_send(method, path, &headers, body.as_deref().map(str::as_bytes))
}

/// A document that has its revision in each of the places where a device is kept.
fn document(name: &str, revision: u32) -> Value {
    json!({
        "metadata": {
            "name": name,
            "application": APP,
            "labels": { "revision": revision.to_string() },
            "annotations": { "revision": revision.to_string() },
        },
        "spec": {
            "alias": [alias(name, revision)],
            "authentication": { "credentials": [{ "pass": SENDER_PASSWORD }] },
        },
    })
}

fn alias(name: &str, revision: u32) -> String {
    format!("{name}r{revision}")
}

/// Each device is as it was acknowledged, or as the write left it that was under way, and all of it
/// is. Returns how many are the latter.
fn check(server: &Server, all: &mut [Devices]) -> usize {
    let mut kept = 0;
    for (name, known) in all.iter_mut().flatten() {
        let path = format!("{PATH}/{name}");
        let answer = server.api().get(&path);
        let state = match answer.status {
            404 => None,
            _ => Some(whole(name, &answer.expect_status(200).json())),
        };
        let under_way = known.under_way.take();
        assert!(
            state == known.acknowledged || Some(state) == under_way,
            "{name} is {state:?}, of {:?} and {under_way:?}",
            known.acknowledged
        );
        kept += usize::from(state != known.acknowledged);
        // The names by which it is found are those of this state, and no other's.
        let states = [Some(known.acknowledged), under_way];
        for other in states.into_iter().flatten().flatten() {
            let expected = if Some(other) == state { 0 } else { 0x86 };
            assert_eq!(log_in(server, &alias(name, other)), expected, "{name}");
        }
        known.acknowledged = state;
    }
    kept
}

/// The revision of a document, which is in all of it.
fn whole(name: &str, document: &Value) -> u32 {
    let revision = &document["metadata"]["labels"]["revision"];
    let revision = revision
        .as_str()
        .expect("a label")
        .parse()
        .expect("a number");
    let expected = self::document(name, revision);
    let of_metadata = |field: &str| {
        assert_eq!(
            document["metadata"][field], expected["metadata"][field],
            "{field}"
        );
    };
    of_metadata("annotations");
    of_metadata("name");
    assert_eq!(document["spec"]["alias"], expected["spec"]["alias"]);
    revision
}

fn log_in(server: &Server, name: &str) -> u8 {
    let user = format!("{name}@{APP}");
    let connect = Connect::new(Version::V5, "c", &user, SENDER_PASSWORD);
    Client::connect(server, &connect).1.reason()
}
