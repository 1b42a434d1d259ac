//! Too little processor time. (Memory: `memory`, descriptors: `edges`, disk space: `disk`.)

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::harness::process::Process;
use crate::harness::recovery::Recovery;
use crate::wire::{Client, Connect, Publish, Received, Version, kind};

#[test]
fn a_server_that_stood_still_does_not_blame_its_devices() {
    let mut server = Server::shared();
    let mut clients: Vec<Client> = [Version::V311, Version::V5]
        .into_iter()
        .map(|version| {
            let id = format!("{version:?}");
            let connect = Connect::new(version, &id, &user("sensor01"), password("sensor01"));
            Client::accepted(&server, &connect.keep_alive(1))
        })
        .collect();
    // Longer than one and a half times the keep-alive; the devices go on, and say so.
    server.signal(Signal::SIGSTOP);
    let end = Instant::now() + Duration::from_secs(4);
    while Instant::now() < end {
        for client in &mut clients {
            client.send(&[0xC0, 0]);
        }
        thread::park_timeout(Duration::from_millis(200));
    }
    server.signal(Signal::SIGCONT);
    let recovery = Recovery::begin();
    for client in &mut clients {
        client.publish(&Publish::new("t", b"1").qos(1, 1));
        loop {
            match client.receive() {
                Received::Packet(packet) if packet.kind() == kind::PINGRESP => {}
                Received::Packet(packet) if packet.kind() == kind::PUBACK => break,
                other => panic!("{:?} was sent away: {other:?}", client.version()),
            }
        }
    }
    recovery.end("a process that stood still");
    server.wait_published(APP, 2);
}

#[test]
fn with_hardly_any_processor_time_nothing_is_lost_and_nobody_sent_away() {
    let server = Server::shared();
    let pid = server.pid().to_string();
    let run = |program: &str, arguments: &[&str]| {
        let status = Command::new(program)
            .args(arguments)
            .stdout(Stdio::null())
            .status();
        assert!(status.expect(program).success(), "{program} failed");
    };
    // One core, shared with eight that never rest, and the lowest claim to it.
    run("taskset", &["-a", "-p", "-c", "0", &pid]);
    run("renice", &["-n", "19", "-p", &pid]);
    let busy: Vec<Process> = (0..8)
        .map(|_| {
            let script = "while :; do :; done";
            Process::spawn(Command::new("taskset").args(["-c", "0", "/bin/sh", "-c", script]))
        })
        .collect();
    let connect = Connect::new(Version::V5, "slow", &user("sensor01"), password("sensor01"));
    let mut sensor = Client::accepted(&server, &connect.keep_alive(5));
    for round in 0..10 {
        for id in 1..=50 {
            sensor.publish(&Publish::new("t", b"1").qos(1, id));
        }
        for id in 1..=50 {
            assert_eq!(sensor.expect(kind::PUBACK).id(), id, "round {round}");
        }
        sensor.ping();
    }
    drop(busy);
    let recovery = Recovery::begin();
    assert_eq!(sensor.publish_1("t", b"1").reason(), 0);
    recovery.end("want of processor time");
    server.wait_published(APP, 501);
}
