//! Many connections at once: silent ones delay nobody, and cost little.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::harness::server::Builder;
use crate::tools::authority::Authority;
use crate::wire::client::tcp;
use crate::wire::secure::{Tls, websocket_client};
use crate::wire::{Client, Connect, Version};

/// Connections of one kind whose memory is looked at.
const SILENT: usize = 2_000;
/// Round trips of one window.
const ROUNDS: usize = 100;
/// Windows of one look. Silent peers that delay somebody do so in each of them.
const WINDOWS: usize = 5;
/// Below this no device notices anything.
const NOISE: Duration = Duration::from_millis(3);

/// The 99th percentiles of the time from a publish to its acknowledgement, in some windows, the least
/// first.
fn windows(sensor: &mut Client) -> [Duration; WINDOWS] {
    let mut p99s = [(); WINDOWS].map(|()| {
        let mut times = [(); ROUNDS].map(|()| {
            let start = Instant::now();
            assert_eq!(sensor.publish_1("t", b"1").reason(), 0);
            start.elapsed()
        });
        times.sort_unstable();
        times[ROUNDS * 99 / 100]
    });
    p99s.sort_unstable();
    p99s
}

/// The ways in, each of which has a door of its own.
const DOORS: [&str; 4] = ["tcp", "tls", "ws", "wss"];

/// A server with all ways in, and patience of this many seconds before log-in.
fn with_all_doors(authority: &Authority, patience: u32) -> Server {
    let issued = authority.server(&["localhost"]);
    let files = "[listeners.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";
    let websocket = "transport = \"websocket\"\n";
    let doors = ["", files, websocket, &format!("{websocket}{files}")];
    let limits = format!(
        "[limits]\nhandshake_timeout = \"{patience}s\"\nconnect_timeout = \"{patience}s\"\n\
         [log]\nlevel = \"warn\""
    );
    let mut builder: Builder = Server::builder()
        .settings(&limits)
        .file("server.pem", &issued.chain)
        .file("server.key", &issued.key);
    for (name, keys) in DOORS.iter().zip(doors) {
        builder = builder.also_listen(name, keys);
    }
    builder.start_shared()
}

/// Lets this process open many sockets.
fn raise_descriptor_limit(wanted: u64) {
    let allowed = rlimit::increase_nofile_limit(wanted).expect("a limit that can be raised");
    assert!(allowed >= wanted, "ulimit -Hn: {allowed} of {wanted}");
}

#[test]
fn ten_thousand_silent_connections_are_closed_in_time_and_delay_nobody() {
    const CROWD: usize = 10_000;
    raise_descriptor_limit(CROWD as u64 + 500);
    let authority = Authority::root("root");
    let server = with_all_doors(&authority, 20);
    let doors: Vec<SocketAddr> = DOORS.iter().map(|door| server.address(door)).collect();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    windows(&mut sensor);
    let alone = windows(&mut sensor)[WINDOWS / 2];
    let crowd: Vec<TcpStream> = (0..CROWD).map(|n| tcp(doors[n % doors.len()])).collect();
    let among_silent = windows(&mut sensor)[0];
    println!("p99 of a round trip: {alone:?} alone, {among_silent:?} among {CROWD} silent peers");
    // A ratio, so that the machine's speed does not matter.
    assert!(
        among_silent < (alone * 2).max(alone + NOISE),
        "{alone:?} to {among_silent:?}"
    );
    // Nor is one kept out, at whatever door.
    let tls = Tls::trusting(&authority.pem);
    let connect = Connect::new(Version::V5, "good", &user("sensor01"), password("sensor01"));
    for client in [
        &mut Client::open(doors[0], Version::V5),
        &mut tls.open(doors[1], Version::V5),
        &mut websocket_client(doors[2], Version::V5),
    ] {
        assert_eq!(client.log_in(&connect).reason(), 0);
        assert_eq!(client.publish_1("t", b"1").reason(), 0);
    }
    for mut silent in crowd {
        // Closed, with or without a word, and never left open: a read that waits too long fails.
        if let Err(error) = silent.read_to_end(&mut Vec::new()) {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
    }
    server.wait_published(APP, 3 * WINDOWS * ROUNDS + 3);
}

#[test]
fn promises_of_large_packets_take_no_memory() {
    let server = with_all_doors(&Authority::root("root"), 300);
    let upgrade = "GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Protocol: mqtt\r\n\r\n";
    // The largest that is not refused at once is promised, and a few bytes come: of a CONNECT, a
    // TLS record, an HTTP request, a WebSocket message.
    let promises: [(&str, &[u8], &[u8]); 4] = [
        ("tcp", b"", &[0x10, 0xFC, 0xFF, 0x03, 0, 4, b'M', b'Q']),
        ("tls", b"", &[22, 3, 1, 0x40, 0, 1, 0, 0x3F, 0xFC, 3, 3]),
        ("ws", b"", b"GET /mqtt HTTP/1.1\r\nHost: x\r\nCookie: "),
        ("ws", upgrade.as_bytes(), b"\x82\xFE\xFF\xF0\0\0\0\0\x10"),
    ];
    for (door, first, promise) in promises {
        let mut sensor = Client::device(&server, Version::V5, "sensor01");
        let before = resident(server.pid());
        let crowd: Vec<TcpStream> = (0..SILENT)
            .map(|_| {
                let mut stream = tcp(server.address(door));
                stream.write_all(first).unwrap();
                if !first.is_empty() {
                    // 101: what follows is the WebSocket's.
                    assert!(stream.read(&mut [0; 1_024]).unwrap() > 0);
                }
                stream.write_all(promise).unwrap();
                stream
            })
            .collect();
        // All of them have been accepted when a later one is.
        sensor.ping();
        Client::device(&server, Version::V311, "gateway01").disconnect();
        let each = resident(server.pid()).saturating_sub(before) / SILENT;
        println!("{door}: {each} bytes for each connection that promised much");
        assert!(
            each < 16 * 1024,
            "{door}: {each} bytes for each connection that promised much"
        );
        drop(crowd);
    }
}

/// Resident memory of a process, in bytes.
fn resident(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a Linux system");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .expect("its memory");
    let kib: usize = line
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .expect("a number");
    kib * 1024
}

#[test]
fn a_large_message_in_websocket_leaves_no_memory_behind() {
    const DEVICES: usize = 300;
    let server = Server::builder()
        .without_log_sink()
        .settings("[limits]\nconnections_per_device = 1000\n[log]\nlevel = \"warn\"")
        .settings("[[sinks]]\nname = \"none\"\ntype = \"blackhole\"")
        .also_listen("ws", "transport = \"websocket\"\n")
        .start_shared();
    let large = format!("\"{}\"", "x".repeat(60_000));
    let open = |n: usize, payload: &[u8]| {
        let mut client = websocket_client(server.address("ws"), Version::V5);
        let id = format!("c{n}");
        let connect = Connect::new(Version::V5, &id, &user("sensor01"), password("sensor01"));
        assert_eq!(client.log_in(&connect).reason(), 0);
        assert_eq!(client.publish_1("t", payload).reason(), 0);
        client
    };
    // What the process takes once, it takes here.
    let mut crowd: Vec<Client> = (0..DEVICES).map(|n| open(n, b"1")).collect();
    crowd.extend((0..4).map(|n| open(DEVICES + n, large.as_bytes())));
    let before = resident(server.pid());
    let first = DEVICES + 4;
    crowd.extend((first..first + DEVICES).map(|n| open(n, large.as_bytes())));
    let each = resident(server.pid()).saturating_sub(before) / DEVICES;
    println!("{each} bytes for each connection that sent 60 kB");
    assert!(
        each < 30_000,
        "{each} bytes for each connection that sent 60 kB"
    );
}
