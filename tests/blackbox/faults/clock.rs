//! A wall clock that jumps: connections, acknowledgements and what is stored do not mind.

use std::collections::HashSet;

use super::machine::Machine;
use crate::harness::documents::APP;
use crate::wire::{Client, Version};

const DAY: i64 = 86_400;

#[test]
fn a_clock_that_jumps_ends_no_connection_and_loses_nothing() {
    let machine = Machine::new();
    let mut server = machine.server().start_shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    let mut published = 0;
    // Ahead, far behind, and back again.
    for ahead in [0, DAY, -365 * DAY, 0] {
        machine.set_clock(ahead);
        for _ in 0..20 {
            assert_eq!(sensor.publish_1("t", b"1").reason(), 0, "{ahead}");
            published += 1;
        }
        sensor.ping();
        Client::device(&server, Version::V311, "gateway01").disconnect();
    }
    let events = server.wait_published(APP, published);
    let ids: HashSet<&str> = events.iter().filter_map(|e| e["id"].as_str()).collect();
    assert_eq!(
        ids.len(),
        published,
        "ids are unique whatever the clock says"
    );
    let year = |index: usize| &events[index]["time"].as_str().unwrap()[..4];
    assert_ne!(year(0), year(published - 30), "the clock has jumped");

    // A start with a clock that went back: who was connected may connect, and its end is told.
    machine.set_clock(-30 * DAY);
    server.kill();
    server.start_again();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    assert_eq!(sensor.publish_1("t", b"1").reason(), 0);
    server.wait_published(APP, published + 1);
    sensor.disconnect();
}
