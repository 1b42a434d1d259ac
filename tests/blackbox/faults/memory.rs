//! A limit of memory, and a load beyond it.

use std::fs;
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};

use super::machine::Machine;
use crate::harness::documents::APP;
use crate::harness::recovery::Recovery;
use crate::harness::{Server, wait};
use crate::wire::{Client, Publish, Version, kind};

/// Private memory of the process, in KiB: stacks of threads and caches included.
const MEMORY: u32 = 200 * 1024;
const CONNECTIONS: usize = 64;
/// As many as a client may have under way.
const PUBLISHES: u16 = 100;
const PAYLOAD: usize = 65_000;
/// All that the connections want to send, in bytes.
const LOAD: usize = CONNECTIONS * PUBLISHES as usize * PAYLOAD;

/// A server whose log takes nothing for a while: all that it is sent has to wait somewhere.
fn server(machine: &Machine) -> Server {
    machine
        .server()
        .memory(MEMORY)
        .without_log_sink()
        .settings("[[sinks]]\nname = \"events\"\ntype = \"log\"\nqueue_bytes = \"8MiB\"")
        .settings("[limits]\nconnections_per_device = 100\nstall_timeout = \"1h\"")
        .settings("[log]\nlevel = \"error\"")
        .start_shared()
}

#[test]
fn within_a_memory_limit_a_load_beyond_it_waits_with_its_devices_and_others_are_served() {
    const { assert!(LOAD > MEMORY as usize * 1024) };
    let machine = Machine::new();
    let mut server = server(&machine);
    let clients: Vec<Client> = (0..CONNECTIONS)
        .map(|number| Client::device_as(&server, Version::V5, "sensor01", number))
        .collect();
    // While the disk fails, no session is begun.
    let mut good = Client::device(&server, Version::V5, "gateway01");
    machine.fail_disk(Errno::EIO as i32);
    let sent = AtomicUsize::new(0);
    thread::scope(|scope| {
        for client in clients {
            scope.spawn(|| publish_all(client, &sent));
        }
        // All that the server's sockets and its queue take, and no more.
        let taken = wait::standing_still(|| sent.load(Ordering::Relaxed)) * PAYLOAD;
        println!("{} MiB of {} MiB were taken", taken >> 20, LOAD >> 20);
        assert!(taken < MEMORY as usize * 1024 / 2, "{taken} bytes");
        serves_others(&server, &mut good);
        println!("{}", private(&server));
        machine.fail_disk(0);
        let recovery = Recovery::begin();
        wait::until("more to be taken", || {
            (sent.load(Ordering::Relaxed) * PAYLOAD > taken).then_some(())
        });
        recovery.end("a load beyond the memory");
    });
    println!("{}", private(&server));
    assert_eq!(good.publish_1("good", b"1").reason(), 0);
    server.kill();
    server.start_again();
    assert_eq!(stored(&server), CONNECTIONS * usize::from(PUBLISHES));
}

/// Publishes all, and waits for each acknowledgement.
fn publish_all(mut client: Client, sent: &AtomicUsize) {
    let mut stream = client.stream();
    setsockopt(&stream, sockopt::SndBuf, &(64 << 10)).unwrap();
    let payload = format!("\"{}\"", "x".repeat(PAYLOAD));
    for id in 1..=PUBLISHES {
        let publish = Publish::new("t", payload.as_bytes()).qos(1, id);
        stream
            .write_all(&publish.encode(Version::V5))
            .expect("a connection that stays");
        sent.fetch_add(1, Ordering::Relaxed);
    }
    for id in 1..=PUBLISHES {
        assert_eq!(client.expect(kind::PUBACK).id(), id);
    }
}

/// Without a place for another event: what needs none is served, and QoS 0 is dropped.
fn serves_others(server: &Server, good: &mut Client) {
    assert_eq!(good.subscribe("command/inbox//#", 0), 0);
    server
        .command_with("gateway01", "on", "&timeout=0", "text/plain", b"")
        .expect_status(202);
    assert_eq!(
        good.expect(kind::PUBLISH).delivery(Version::V5).topic,
        "command/inbox//on"
    );
    let dropped = || {
        let metrics = server.ops().get("/metrics").expect_status(200).text();
        let line = metrics
            .lines()
            .find(|line| line.starts_with("landfall_publishes_dropped_total "));
        let count = line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        count.expect("a count")
    };
    let before = dropped();
    wait::until("a publish to be dropped", || {
        good.publish(&Publish::new("t", &[b'1'; 60_000]));
        (dropped() > before).then_some(())
    });
    good.ping();
}

/// What counts for the limit.
fn private(server: &Server) -> String {
    let status = fs::read_to_string(format!("/proc/{}/status", server.pid())).expect("a process");
    let line = status.lines().find(|line| line.starts_with("VmData"));
    line.unwrap_or_default().to_owned()
}

/// How many of the load's publishes are in the log.
fn stored(server: &Server) -> usize {
    let (mut count, mut after) = (0, None::<String>);
    loop {
        let page = server.page(APP, after.as_deref(), 50);
        if page.events.is_empty() {
            return count;
        }
        let events = page.events.iter();
        count += events.filter(|event| event["subject"] == "t").count();
        after = Some(page.next);
    }
}
