//! A disk that fails, may only be read, or is slow.

use nix::errno::Errno;

use super::machine::Machine;
use crate::harness::documents::APP;
use crate::harness::recovery::Recovery;
use crate::wire::{Client, Publish, Version, kind};

#[test]
fn a_disk_that_fails_or_may_only_be_read_stops_acknowledgements_until_it_is_well() {
    for error in [Errno::EIO, Errno::EROFS] {
        let machine = Machine::new();
        let limits = "[limits]\nstall_timeout = \"60s\"";
        let mut server = machine.server().settings(limits).start_shared();
        let mut sensor = Client::device(&server, Version::V5, "sensor01");
        assert_eq!(sensor.publish_1("t", b"1").reason(), 0);

        machine.fail_disk(error as i32);
        let mark = server.log().mark();
        sensor.publish(&Publish::new("t", b"2").qos(1, 2));
        server.wait_not_ready("events");
        server
            .log()
            .wait_for(mark, &["the event log takes no events"]);
        // No acknowledgement: the ping behind it is answered first.
        sensor.ping();
        // The registry says so, too, and keeps what it had.
        let document = crate::harness::documents::device("late", "pw-sender-1f0a62c8");
        let refused = server.create_device(APP, &document);
        assert_eq!(refused.status, 503, "{}", refused.text());

        machine.fail_disk(0);
        let recovery = Recovery::begin();
        let acknowledged = sensor.expect(kind::PUBACK);
        recovery.end("a disk that fails");
        assert_eq!((acknowledged.id(), acknowledged.reason()), (2, 0));
        server
            .log()
            .wait_for(mark, &["the event log takes events again"]);
        server.wait_ready();
        server.wait_published(APP, 2);
        server.create_device(APP, &document).expect_status(201);
        server.kill();
        server.start_again();
        server.wait_published(APP, 2);
    }
}

#[test]
fn a_slow_disk_slows_acknowledgements_and_nothing_else() {
    let machine = Machine::new();
    let server = machine.server().start_shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    let mut waiting = Client::device(&server, Version::V311, "gateway01");
    machine.slow_disk(400);
    let mut bytes = Vec::new();
    for id in 1..=50 {
        bytes.extend(Publish::new("t", b"1").qos(1, id).encode(Version::V5));
    }
    bytes.extend([0xC0, 0]);
    sensor.send(&bytes);
    // What needs no disk does not wait for it.
    sensor.expect(kind::PINGRESP);
    waiting.ping();
    assert_eq!(waiting.subscribe("command/inbox/#", 1), 1);
    for id in 1..=50 {
        assert_eq!(sensor.expect(kind::PUBACK).id(), id);
    }
    machine.slow_disk(0);
    let recovery = Recovery::begin();
    assert_eq!(sensor.publish_1("t", b"1").reason(), 0);
    recovery.end("a slow disk");
    server.wait_published(APP, 51);
}
