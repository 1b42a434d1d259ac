//! Commands that are held for devices: while they are handed in, and while they are delivered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde_json::Value;

use super::Moment;
use crate::harness::Server;
use crate::harness::api::Http;
use crate::harness::chance::chance;
use crate::harness::documents::{APP, SENDER_PASSWORD, device, user};
use crate::harness::recovery::Recovery;
use crate::harness::wait;
use crate::wire::encode::acknowledgement;
use crate::wire::{Client, Connect, Received, Subscribe, Version, kind};

const DEVICES: usize = 4;
/// While they are handed in, and again while they are delivered.
const KILLS: usize = 3;
/// Handed in from one kill to the next, at most.
const COMMANDS: usize = 200;

/// What was handed in for a device, and what came of it.
#[derive(Default)]
struct Story {
    last: u32,
    accepted: BTreeSet<u32>,
    /// Neither accepted nor refused: the server was killed.
    open: BTreeSet<u32>,
    delivered: BTreeMap<u32, usize>,
}

fn name(number: usize) -> String {
    format!("holder{number}")
}

fn path(device: &str) -> String {
    format!("/api/command/v1alpha1/apps/{APP}/devices/{device}")
}

#[test]
fn every_accepted_command_survives_kills_at_random_moments_and_is_delivered() {
    let mut chance = chance();
    let devices: Vec<Value> = (0..DEVICES)
        .map(|number| device(&name(number), SENDER_PASSWORD))
        .collect();
    let mut server = Server::builder()
        .settings("[limits]\nheld_commands = 10000")
        .start_with(APP, &devices);
    let mut stories: Vec<Story> = (0..DEVICES).map(|_| Story::default()).collect();
    for _ in 0..KILLS {
        let moment = Moment::new(&mut chance, 1..COMMANDS);
        under_load(
            &mut server,
            &mut stories,
            Some(moment),
            |api, number, story, count| {
                while hand_in(api, &name(number), story) {
                    count.fetch_add(1, Ordering::Relaxed);
                }
            },
        );
        start_again(&mut server, "a kill while commands were handed in");
        for (number, story) in stories.iter().enumerate() {
            check_held(&server, &name(number), story);
        }
    }
    let accepted: usize = stories.iter().map(|story| story.accepted.len()).sum();
    let moments = Moment::several(&mut chance, KILLS, accepted * 3 / 4);
    for moment in moments.into_iter().map(Some).chain([None]) {
        let mqtt = server.mqtt();
        let before = delivered(&stories);
        let moment = moment.map(|moment| Moment {
            at: moment.at.saturating_sub(before),
            ..moment
        });
        under_load(
            &mut server,
            &mut stories,
            moment,
            |api, number, story, count| {
                let connect = Connect::new(Version::V5, "c", &user(&name(number)), SENDER_PASSWORD);
                if let Some(client) = Client::try_accepted(mqtt, &connect) {
                    take_all(client, api, &name(number), story, count);
                }
            },
        );
        if moment.is_some() {
            start_again(&mut server, "a kill while held commands were delivered");
        }
    }
    for story in &stories {
        check_delivered(story);
    }
}

/// Works for all devices side by side until they are done, or the server is killed under them.
fn under_load(
    server: &mut Server,
    stories: &mut [Story],
    moment: Option<Moment>,
    work: impl Fn(&Http, usize, &mut Story, &AtomicUsize) + Sync,
) {
    let count = AtomicUsize::new(0);
    thread::scope(|scope| {
        for (number, story) in stories.iter_mut().enumerate() {
            let (api, work, count) = (server.api().clone(), &work, &count);
            scope.spawn(move || work(&api, number, story, count));
        }
        if let Some(moment) = moment {
            moment.wait(|| count.load(Ordering::Relaxed));
            server.kill();
        }
    });
}

fn start_again(server: &mut Server, fault: &str) {
    let recovery = Recovery::begin();
    server.start_again();
    server
        .api()
        .get(&format!("{}/held", path(&name(0))))
        .expect_status(200);
    recovery.end(fault);
}

/// Hands in the next command; whether it was answered.
fn hand_in(api: &Http, device: &str, story: &mut Story) -> bool {
    story.last += 1;
    let number = story.last;
    let path = format!("{}?command=n{number}&ttl=3600&timeout=0", path(device));
    let headers = [("content-type", "text/plain")];
    match api.try_send("POST", &path, &headers, Some(number.to_string().as_bytes())) {
        Ok(answer) => {
            answer.expect_status(202);
            story.accepted.insert(number)
        }
        Err(_) => {
            story.open.insert(number);
            false
        }
    }
}

/// The numbers of the commands that are held for a device, in their order.
fn waiting(api: &Http, device: &str) -> Option<Vec<u32>> {
    let answer = api
        .try_send("GET", &format!("{}/held", path(device)), &[], None)
        .ok()?;
    let Value::Array(list) = answer.expect_status(200).json() else {
        panic!("no list")
    };
    let number = |held: &Value| held["command"].as_str()?.strip_prefix('n')?.parse().ok();
    list.iter().map(number).collect()
}

/// All that was accepted is held, in order, and nothing that was never handed in.
fn check_held(server: &Server, device: &str, story: &Story) {
    let held = waiting(server.api(), device).expect("a running server");
    assert!(held.is_sorted_by(|one, next| one < next), "{held:?}");
    let held: BTreeSet<u32> = held.into_iter().collect();
    let missing: Vec<&u32> = story.accepted.difference(&held).collect();
    assert!(missing.is_empty(), "{device} has lost {missing:?}");
    for number in held.difference(&story.accepted) {
        assert!(story.open.contains(number), "{number} was never handed in");
    }
}

/// Subscribes, and takes all that is held, unless the server is killed.
fn take_all(mut client: Client, api: &Http, device: &str, story: &mut Story, count: &AtomicUsize) {
    let Some(held) = waiting(api, device) else {
        return;
    };
    let subscribe = Subscribe {
        id: 1,
        filters: &[("command/inbox//#", 1)],
        properties: &[],
    };
    client.send(&subscribe.encode(Version::V5));
    let mut take = |expected| match client.receive() {
        Received::Closed => None,
        Received::Packet(packet) => {
            assert_eq!(packet.kind(), expected);
            let delivery = (expected == kind::PUBLISH).then(|| packet.delivery(Version::V5));
            if let Some(id) = delivery.as_ref().and_then(|delivery| delivery.id) {
                client.send(&acknowledgement(0x40, id));
            }
            Some(delivery)
        }
    };
    if take(kind::SUBACK).is_none() {
        return;
    }
    for expected in held {
        let Some(delivery) = take(kind::PUBLISH) else {
            return;
        };
        let payload = delivery.expect("a command").payload;
        assert_eq!(payload, expected.to_string().as_bytes(), "in order");
        *story.delivered.entry(expected).or_default() += 1;
        count.fetch_add(1, Ordering::Relaxed);
    }
    // None comes again, once the last acknowledgement is written down.
    wait::until("the last held command's end", || {
        waiting(api, device)
            .is_none_or(|held| held.is_empty())
            .then_some(())
    });
    client.send(&[0xC0, 0]);
    if let Received::Packet(packet) = client.receive() {
        assert_eq!(packet.kind(), kind::PINGRESP);
    }
}

fn delivered(stories: &[Story]) -> usize {
    let stories = stories.iter();
    stories
        .map(|story| story.delivered.values().sum::<usize>())
        .sum()
}

fn check_delivered(story: &Story) {
    let missing: Vec<&u32> = story
        .accepted
        .iter()
        .filter(|number| !story.delivered.contains_key(number))
        .collect();
    assert!(missing.is_empty(), "never came: {missing:?}");
    for number in story.delivered.keys() {
        assert!(story.accepted.contains(number) || story.open.contains(number));
    }
    let twice: usize = story.delivered.values().map(|times| times - 1).sum();
    println!(
        "{} accepted, {} delivered, {twice} twice",
        story.accepted.len(),
        story.delivered.len()
    );
    // One at a time is under way to a device.
    assert!(twice <= KILLS, "{twice} came twice");
}
