//! Slow-loris: connections that say a byte now and then, at every layer where a peer may be waited
//! for. None lives longer than its layer's patience, and good devices notice nothing.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use super::*;
use crate::harness::server::Builder;
use crate::tools::authority::Authority;
use crate::wire::client::tcp;

const PEERS: usize = 300;

/// The longest that any layer here waits.
const PATIENCE: &str = "[limits]\nhandshake_timeout = \"2s\"\nconnect_timeout = \"2s\"\n\
    connections_per_device = 1000";

fn with_doors() -> Server {
    with_doors_and(|builder| builder)
}

fn with_doors_and(more: impl FnOnce(Builder) -> Builder) -> Server {
    let builder = Server::builder()
        .settings("[log]\nlevel = \"error\"")
        .settings(PATIENCE)
        .with_every_way_in(&Authority::root("root"))
        .also_listen("proxy", "proxy_protocol = [\"127.0.0.1/32\"]");
    let server = more(builder).start_shared();
    for name in ["good", "bad"] {
        let document = device(name, SENDER_PASSWORD);
        server
            .create_device(crate::harness::documents::APP, &document)
            .expect_status(201);
    }
    server
}

/// A peer that has begun a sentence, and where in it it is.
struct Peer {
    stream: TcpStream,
    at: usize,
}

/// As [`trickle_behind`], from the first byte on.
fn trickle(gate: &Gate, door: SocketAddr, sentence: &[u8]) {
    trickle_behind(gate, || tcp(door), sentence);
}

/// Keeps this many peers, each of which says one more byte of the sentence when its turn comes; whoever
/// was sent away comes again.
fn trickle_behind(gate: &Gate, door: impl Fn() -> TcpStream, sentence: &[u8]) {
    let open = || Peer {
        stream: door(),
        at: 0,
    };
    let mut peers: Vec<Peer> = Vec::new();
    let mut sent_away = 0;
    let mut turn = 0;
    gate.abuse(|| {
        if peers.is_empty() {
            peers = (0..PEERS).map(|_| open()).collect();
        }
        // One after the other, each some five times a second.
        for _ in 0..5 {
            turn = (turn + 1) % PEERS;
            let peer = &mut peers[turn];
            let byte = sentence.get(peer.at).copied().unwrap_or(b'x');
            peer.at += 1;
            if peer.stream.write_all(&[byte]).is_err() {
                sent_away += 1;
                *peer = open();
            }
        }
        thread::park_timeout(Duration::from_millis(3));
    });
    println!("{sent_away} were sent away while they spoke");
    // None is left: what is still open ends, though each goes on to speak.
    for mut peer in peers {
        let mut sentence = sentence
            .iter()
            .skip(peer.at)
            .chain(std::iter::repeat(&b'x'));
        crate::harness::wait::until("a slow peer to be sent away", || {
            let byte = *sentence.next().unwrap_or(&b'x');
            if peer.stream.write_all(&[byte]).is_err() {
                return Some(());
            }
            peer.stream.set_nonblocking(true).unwrap();
            let ended = match peer.stream.read(&mut [0; 256]) {
                Ok(0) => true,
                Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
                Ok(_) => false,
            };
            peer.stream.set_nonblocking(false).unwrap();
            ended.then_some(())
        });
    }
}

#[test]
fn slow_connects_delay_nobody_and_end() {
    let server = with_doors();
    // A CONNECT of MQTT 5 whose client identifier goes on and on.
    let sentence = b"\x10\xA0\x9C\x01\0\x04MQTT\x05\x02\0\x3C\0\x4E\x00";
    let abuse = |gate: &Gate| trickle(gate, server.mqtt(), sentence);
    good_device_keeps_its_latency(&server, 2.0, &[&abuse]);
}

#[test]
fn slow_tls_handshakes_delay_nobody_and_end() {
    let server = with_doors();
    let abuse = |gate: &Gate| trickle(gate, server.address("tls"), &endless_hello());
    good_device_keeps_its_latency(&server, 2.0, &[&abuse]);
}

/// A handshake record of a ClientHello that never ends.
fn endless_hello() -> Vec<u8> {
    [
        &[22, 3, 1, 0x3F, 0, 1, 0, 0x3E, 0xFC, 3, 3][..],
        &[0; 16_000],
    ]
    .concat()
}

#[test]
fn slow_websocket_upgrades_delay_nobody_and_end() {
    let server = with_doors();
    let sentence = b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nCookie: ";
    let abuse = |gate: &Gate| trickle(gate, server.address("ws"), sentence);
    good_device_keeps_its_latency(&server, 2.0, &[&abuse]);
}

#[test]
fn slow_websocket_frames_delay_nobody_and_end() {
    let server = with_doors();
    let upgraded = || {
        let mut stream = tcp(server.address("ws"));
        let request = "GET /mqtt HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
            Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
            Sec-WebSocket-Protocol: mqtt\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            head.extend(byte);
        }
        assert!(head.starts_with(b"HTTP/1.1 101"));
        stream
    };
    // A binary message of 65,000 bytes, masked with zeros, that begins as a CONNECT does.
    let sentence = b"\x82\xFE\xFD\xE8\0\0\0\0\x10\xA0\x9C\x01\0\x04MQTT\x05\x02\0\x3C\0\x4E\x00";
    let abuse = |gate: &Gate| trickle_behind(gate, upgraded, sentence);
    good_device_keeps_its_latency(&server, 2.0, &[&abuse]);
}

#[test]
fn slow_proxy_headers_delay_nobody_and_end() {
    let server = with_doors();
    // Version 2, for TCP over IPv4, with 2,000 bytes.
    let sentence = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x07\xD0\x7F\0\0\x01\x7F\0\0\x01\0\x01\0\x02";
    let abuse = |gate: &Gate| trickle(gate, server.address("proxy"), sentence);
    good_device_keeps_its_latency(&server, 2.0, &[&abuse]);
}

#[test]
fn slow_publishes_delay_nobody_and_end_by_their_keep_alive() {
    let server = with_doors();
    let number = AtomicU64::new(0);
    let logged_in = || {
        let id = format!("slow{}", number.fetch_add(1, Ordering::Relaxed));
        let connect = connect(Version::V311, "bad", &id).keep_alive(2);
        let mut stream = tcp(server.mqtt());
        stream.write_all(&connect.encode()).unwrap();
        let mut connack = [0; 4];
        stream.read_exact(&mut connack).unwrap();
        assert_eq!(connack, [0x20, 2, 0, 0]);
        stream
    };
    // A PUBLISH at QoS 1 of 60,000 bytes: bytes are no packet (3.1.2.10).
    let sentence = b"\x32\xE0\xD4\x03\0\x01t\0\x01";
    let abuse = |gate: &Gate| trickle_behind(gate, logged_in, sentence);
    good_device_keeps_its_latency(&server, 2.0, &[&abuse]);
}

#[test]
fn slow_tls_handshakes_of_the_api_delay_nobody_and_end() {
    let server = with_doors_and(|builder| builder.api_over_tls(&Authority::root("root")));
    let api: SocketAddr = (Ipv4Addr::LOCALHOST, server.api_port()).into();
    let abuse = |gate: &Gate| trickle(gate, api, &endless_hello());
    good_device_keeps_its_latency(&server, 2.0, &[&abuse]);
}

#[test]
fn slow_requests_of_the_api_delay_nobody_and_end() {
    let server = with_doors();
    let api: SocketAddr = (Ipv4Addr::LOCALHOST, server.api_port()).into();
    let sentence = b"GET /api/registry/v1alpha1/apps HTTP/1.1\r\nHost: x\r\nCookie: ";
    let abuse = |gate: &Gate| trickle(gate, api, sentence);
    good_device_keeps_its_latency(&server, 2.0, &[&abuse]);
}
