//! Peers that break the rules: each gets the right word or a closed connection, costs nothing,
//! and leaves one line in the log.

use std::io::Write as _;

use crate::harness::Server;
use crate::harness::documents::{APP, WRONG_PASSWORD, password, user};
use crate::harness::wait;
use crate::wire::encode::packet;
use crate::wire::{Client, Connect, Publish, Received, Version, kind};

fn connect(version: Version) -> Connect {
    Connect::new(version, "c", &user("sensor01"), password("sensor01"))
}

#[test]
fn packets_split_at_every_byte_or_glued_together_are_the_same_packets() {
    let server = Server::shared();
    for version in Version::ALL {
        let mut bytes = connect(version).encode();
        bytes.extend(
            Publish::new("split", b"{\"n\":1}")
                .qos(1, 1)
                .encode(version),
        );
        bytes.extend([0xC0, 0]);
        for cut in [usize::MAX, 1] {
            let mut client = Client::open(server.mqtt(), version);
            bytes
                .chunks(cut.min(bytes.len()))
                .for_each(|chunk| client.send(chunk));
            assert_eq!(client.expect(kind::CONNACK).reason(), 0);
            // PUBACK waits for the log and PINGRESP does not, so either may come first.
            let mut answers = [client.receive(), client.receive()].map(|answer| match answer {
                Received::Packet(packet) => packet.first,
                Received::Closed => panic!("closed before all was answered"),
            });
            answers.sort_unstable();
            assert_eq!(answers, [kind::PUBACK << 4, kind::PINGRESP << 4]);
            client.send(&[0xE0, 0]);
            client.expect_closed();
        }
    }
    server.wait_published(APP, 6);
}

#[test]
fn a_publish_right_before_the_goodbye_is_stored() {
    let server = Server::shared();
    for version in Version::ALL {
        for qos in 0..3 {
            let mut bytes = connect(version).encode();
            bytes.extend(Publish::new("last-word", b"1").qos(qos, 1).encode(version));
            bytes.extend([0xE0, 0]);
            let mut client = Client::open(server.mqtt(), version);
            client.send(&bytes);
            assert_eq!(client.expect(kind::CONNACK).reason(), 0);
            while let Received::Packet(_) = client.receive() {}
        }
    }
    server.wait_published(APP, 9);
}

#[test]
fn connections_that_never_say_who_they_are_end_in_time() {
    let settings = "[limits]\nconnect_timeout = \"1s\"";
    let server = Server::builder().settings(settings).start_shared();
    let mut silent = Client::open(server.mqtt(), Version::V5);
    let mut halfway = Client::open(server.mqtt(), Version::V5);
    let bytes = connect(Version::V5).encode();
    halfway.send(&bytes[..bytes.len() / 2]);
    silent.expect_closed();
    halfway.expect_closed();

    // Bytes that come one by one buy no time.
    let mut trickle = Client::open(server.mqtt(), Version::V5);
    let mut stream = trickle.stream();
    let feeder = std::thread::spawn(move || {
        for byte in packet(0x10, &[0; 20_000]) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            wait::pause();
        }
        panic!("the server read a CONNECT for minutes");
    });
    trickle.expect_closed();
    feeder.join().unwrap();
}

#[test]
fn a_client_that_vanishes_in_the_middle_of_a_packet_ends_by_its_keep_alive() {
    let server = Server::shared();
    let mut client = Client::accepted(&server, &connect(Version::V5).keep_alive(1));
    client.send(&[0x32, 40, 0, 1]);
    client.expect_end(0x8D);
}

#[test]
fn a_half_closed_connection_ends() {
    let server = Server::shared();
    let mut client = Client::accepted(&server, &connect(Version::V311));
    client.finish_writing();
    client.expect_closed();
    server.wait_connection_events(APP, "sensor01", &[true, false]);
}

#[test]
fn the_log_names_who_where_and_why_and_no_secret() {
    let server = Server::shared();
    let mark = server.log().mark();
    let wrong = Connect::new(Version::V5, "c", &user("sensor01"), WRONG_PASSWORD);
    let (refused, _) = Client::connect(&server, &wrong);
    let peer = refused.local().to_string();
    server
        .log()
        .wait_for(mark, &["app", "sensor01", &peer, "refused"]);

    let mut broken = Client::accepted(&server, &connect(Version::V5));
    let peer = broken.local().to_string();
    broken.send(&[0x00, 0]);
    broken.expect_end(0x81);
    let line = server.log().wait_for(mark, &["app", "sensor01", &peer]);
    assert!(line.contains("type"), "the cause is missing: {line}");

    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    let peer = gateway.local().to_string();
    assert_eq!(gateway.publish_1("t/sensor03", b"1").reason(), 0x87);
    server.log().wait_for(mark, &["app", "gateway01", &peer]);

    let mut stranger = Client::open(server.mqtt(), Version::V5);
    let peer = stranger.local().to_string();
    stranger.send(&[0xC0, 0]);
    stranger.expect_closed();
    server.log().wait_for(mark, &[&peer]);
}

#[test]
fn a_name_in_the_log_cannot_forge_a_line() {
    let server = Server::shared();
    let mark = server.log().mark();
    let forged = "x\n2026-01-01T00:00:00Z ERROR forged line\u{1b}[2J@app";
    let connect = Connect::new(Version::V5, "c", forged, WRONG_PASSWORD);
    let (client, connack) = Client::connect(&server, &connect);
    assert_eq!(connack.reason(), 0x86);
    server.log().wait_for(mark, &[&client.local().to_string()]);
    for line in &server.log().lines()[mark..] {
        assert!(
            !line.starts_with("2026-01-01T00:00:00Z ERROR forged"),
            "{line}"
        );
        assert!(!line.contains("\u{1b}[2J"), "{line:?}");
    }
}

#[test]
fn the_most_talkative_log_shows_no_secret() {
    let server = Server::builder()
        .settings("[log]\nlevel = \"trace\"")
        .start_shared();
    for version in Version::ALL {
        let mut client = Client::accepted(&server, &connect(version));
        assert_eq!(client.publish_1("t", b"1").reason(), 0);
        client.disconnect();
        let wrong = Connect::new(version, "c", &user("sensor01"), WRONG_PASSWORD);
        let (_, refused) = Client::connect(&server, &wrong);
        assert_ne!(refused.reason(), 0);
    }
    server.edit_device("sensor01", |document| {
        let credentials = &mut document["spec"]["authentication"]["credentials"];
        let more = serde_json::json!({ "user": { "username": "u", "password": WRONG_PASSWORD } });
        credentials.as_array_mut().expect("a list").push(more);
    });
    let token = serde_json::json!({ "name": "reader", "roles": ["events"] });
    let made = server
        .api()
        .post_json("/api/tokens/v1alpha1/tokens", &token);
    let made = made.expect_status(201).json();
    let secret = made["secret"].as_str().expect("the secret").to_owned();
    let path = "/api/events/v1alpha1/apps/app";
    crate::harness::api::Http::new(server.api_port(), Some(secret.clone()))
        .get(path)
        .expect_status(200);
    // It is talkative; the harness looks for the other secrets when the server has ended.
    server.log().wait_for(0, &["TRACE"]);
    assert!(
        server
            .log()
            .lines()
            .iter()
            .all(|line| !line.contains(&secret))
    );
}
