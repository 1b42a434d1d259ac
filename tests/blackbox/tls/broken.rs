//! Peers that do not get it right, or mean harm: each is closed in time, and named in the log.

use std::io::Write as _;

use super::{builder, connect};
use crate::harness::wait;
use crate::tools::authority::Authority;
use crate::tools::openssl::Session;
use crate::wire::client::tcp;
use crate::wire::fragment::fragmenting;
use crate::wire::secure::Tls;
use crate::wire::{Client, Received, Version, kind};

#[test]
fn renegotiation_is_not_served() {
    let authority = Authority::root("root");
    let server = builder(&authority, "").start_shared();
    let mut session = Session::start(server.address("tls"), &["-tls1_2"]);
    session.log().wait_for(0, &["New, TLSv1.2"]);
    session.type_in(b"R\n");
    // RFC 5246, 7.2.2: the alert no_renegotiation.
    let said = session.rest();
    assert!(said.contains("no renegotiation"), "{said}");
    let mut good = Tls::trusting(&authority.pem).open(server.address("tls"), Version::V5);
    assert_eq!(good.log_in(&connect(Version::V5)).reason(), 0);
}

#[test]
fn a_client_hello_in_many_records_is_served() {
    let authority = Authority::root("root");
    let server = builder(&authority, "").start_shared();
    let through = fragmenting(server.address("tls"));
    for tls in [
        Tls::trusting(&authority.pem),
        Tls::trusting_in_1_2(&authority.pem),
    ] {
        let mut client = tls.open(through, Version::V5);
        assert_eq!(client.log_in(&connect(Version::V5)).reason(), 0);
        client.disconnect();
    }
}

#[test]
fn what_is_spoken_on_the_wrong_port_is_said_in_the_log() {
    let authority = Authority::root("root");
    let server = builder(&authority, "").start_shared();
    let mark = server.log().mark();
    let mut plain = Client::open(server.address("tls"), Version::V5);
    let peer = plain.local().to_string();
    plain.send(&connect(Version::V5).encode());
    plain.expect_closed();
    server
        .log()
        .wait_for(mark, &[&peer, "plain MQTT where TLS is spoken"]);

    let mut http = Client::open(server.address("tls"), Version::V5);
    let peer = http.local().to_string();
    http.send(b"GET /mqtt HTTP/1.1\r\n\r\n");
    http.expect_closed();
    server
        .log()
        .wait_for(mark, &[&peer, "plain HTTP where TLS is spoken"]);

    assert!(
        Tls::trusting(&authority.pem)
            .connect(server.mqtt(), "localhost")
            .is_err()
    );
    server.log().wait_for(mark, &["TLS where none is spoken"]);
}

#[test]
fn a_client_that_does_not_trust_the_server_is_told_apart() {
    let authority = Authority::root("root");
    let server = builder(&authority, "").start_shared();
    let mark = server.log().mark();
    let other = Authority::root("another root");
    assert!(
        Tls::trusting(&other.pem)
            .connect(server.address("tls"), "localhost")
            .is_err()
    );
    server
        .log()
        .wait_for(mark, &["handshake failed", "UnknownCA"]);
}

#[test]
fn handshakes_that_are_never_finished_end_in_time() {
    let authority = Authority::root("root");
    let server = builder(&authority, "")
        .settings("[limits]\nhandshake_timeout = \"1s\"\nconnect_timeout = \"1s\"")
        .start_shared();
    let mark = server.log().mark();
    // The head of a ClientHello of 512 bytes, in records of one byte.
    let split: Vec<u8> = [1, 0, 2, 0, 3, 3]
        .iter()
        .flat_map(|byte| [22, 3, 1, 0, 1, *byte])
        .collect();
    for bytes in [&[][..], &[22], &[22, 3, 1, 2, 0, 1, 0, 1], &split] {
        let mut client = Client::open(server.address("tls"), Version::V5);
        let peer = client.local().to_string();
        client.send(bytes);
        client.expect_closed();
        server.log().wait_for(mark, &[&peer, "handshake_timeout"]);
    }
    // Bytes that come one by one buy no time.
    let mut trickle = Client::open(server.address("tls"), Version::V5);
    let mut stream = trickle.stream();
    let feeder = std::thread::spawn(move || {
        let head = [22, 3, 1, 0x3f, 0, 1, 0, 0x3e, 0xfc];
        for byte in head.into_iter().chain(std::iter::repeat_n(0, 16_000)) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            wait::pause();
        }
        panic!("the server read a ClientHello for minutes");
    });
    trickle.expect_closed();
    feeder.join().unwrap();
    // After the handshake, CONNECT has its own time.
    let mut silent = Tls::trusting(&authority.pem).open(server.address("tls"), Version::V5);
    assert_eq!(silent.receive(), Received::Closed);
}

#[test]
fn a_client_hello_that_cannot_be_is_refused_at_once() {
    let authority = Authority::root("root");
    let server = builder(&authority, "").start_shared();
    let mark = server.log().mark();
    let large: Vec<u8> = [&[22, 3, 1, 0, 4][..], &[1, 0xff, 0xff, 0xff]].concat();
    for (bytes, cause) in [
        (&b"\x16\x03\x01\xff\xff"[..], "malformed TLS record"),
        (&large, "too large"),
        (b"\x17\x03\x03\x00\x10", "not a TLS handshake"),
        (
            b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
            "malformed ClientHello",
        ),
    ] {
        let mut client = Client::open(server.address("tls"), Version::V5);
        let peer = client.local().to_string();
        client.send(bytes);
        client.expect_closed();
        server.log().wait_for(mark, &[&peer, cause]);
    }
    let metrics = server.ops().get("/metrics").text();
    let counted = "landfall_handshakes_failed_total{stage=\"tls\",transport=\"tls\"} 4";
    assert!(metrics.contains(counted), "{metrics}");
}

#[test]
fn a_connection_that_breaks_in_the_handshake_costs_nothing() {
    let authority = Authority::root("root");
    let server = builder(&authority, "").start_shared();
    let mark = server.log().mark();
    for _ in 0..20 {
        let mut stream = tcp(server.address("tls"));
        stream.write_all(&[22, 3, 1, 2, 0, 1]).unwrap();
    }
    server
        .log()
        .wait_for(mark, &["connection lost in the TLS handshake"]);
    let mut good = Tls::trusting(&authority.pem).open(server.address("tls"), Version::V5);
    good.send(&connect(Version::V5).encode());
    assert_eq!(good.expect(kind::CONNACK).reason(), 0);
}
