//! Limits: what a connection, and all of them together, may take.

use std::time::{Duration, Instant};

use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::harness::wait::until;
use crate::tools::authority::Authority;
use crate::wire::encode::packet;
use crate::wire::secure::{Tls, websocket_client};
use crate::wire::{Client, Connect, Publish, Subscribe, Version, kind};

fn connect(version: Version, client_id: &str) -> Connect {
    Connect::new(version, client_id, &user("sensor01"), password("sensor01"))
}

#[test]
fn a_connection_beyond_the_limit_is_told_and_room_comes_back() {
    let settings = "[limits]\nconnections = 2\n";
    let server = Server::builder().settings(settings).start_shared();
    let first = Client::accepted(&server, &connect(Version::V5, "1"));
    let mut second = Client::accepted(&server, &connect(Version::V311, "2"));
    for (version, code) in [(Version::V31, 3), (Version::V311, 3), (Version::V5, 0x97)] {
        let (mut refused, connack) = Client::connect(&server, &connect(version, "3"));
        assert_eq!(connack.reason(), code, "{version:?}");
        refused.expect_closed();
    }
    second.ping();
    first.disconnect();
    until("room for another connection", || {
        let (_, connack) = Client::connect(&server, &connect(Version::V5, "3"));
        (connack.reason() == 0).then_some(())
    });
}

#[test]
fn a_packet_above_the_maximum_is_refused_by_its_header() {
    let settings = "[limits]\nmaximum_packet_size = \"1KiB\"";
    let server = Server::builder().settings(settings).start_shared();
    for version in Version::ALL {
        // Exactly the maximum: 1,024 bytes with fixed header, topic and packet id.
        let overhead = if version.is_5() {
            3 + 3 + 2 + 1
        } else {
            3 + 3 + 2
        };
        let mut sensor = Client::accepted(&server, &connect(version, "c"));
        let puback = sensor.publish_1("t", &vec![b'a'; 1_024 - overhead]);
        assert_eq!(puback.reason(), 0);

        // A header alone: the body never comes.
        sensor.send(&[0x32, 0xFE, 0x07]);
        sensor.expect_end(0x95);
    }
    let mut unknown = Client::open(server.mqtt(), Version::V5);
    unknown.send(&[0x10, 0xFE, 0x07]);
    unknown.expect_closed();
    server.wait_published(APP, 3);
}

#[test]
fn a_header_that_promises_a_quarter_gigabyte_is_refused_at_once() {
    let server = Server::shared();
    for version in Version::ALL {
        let mut sensor = Client::accepted(&server, &connect(version, "c"));
        sensor.send(&[0x30, 0xFF, 0xFF, 0xFF, 0x7F]);
        sensor.expect_end(0x95);
    }
}

#[test]
fn the_default_maximum_is_64_kib_and_announced() {
    let server = Server::shared();
    let (mut sensor, connack) = Client::connect(&server, &connect(Version::V5, "c"));
    let properties = connack.properties();
    let maximum = properties
        .iter()
        .find(|(id, _)| *id == 0x27)
        .expect("Maximum Packet Size");
    assert_eq!(maximum.1, 65_536_u32.to_be_bytes());
    // Fixed header of 4, topic of 3, packet id of 2, no properties.
    assert_eq!(sensor.publish_1("t", &vec![b'a'; 65_536 - 10]).reason(), 0);
    sensor.publish(&Publish::new("t", &vec![b'a'; 65_536 - 9]).qos(1, 1));
    sensor.expect_end(0x95);
}

#[test]
fn the_in_flight_window_is_announced_and_3_x_may_send_far_beyond_it() {
    let settings = "[limits]\nreceive_maximum = 5";
    let server = Server::builder().settings(settings).start_shared();
    let (_sensor, connack) = Client::connect(&server, &connect(Version::V5, "5"));
    let properties = connack.properties();
    let maximum = properties
        .iter()
        .find(|(id, _)| *id == 0x21)
        .expect("Receive Maximum");
    assert_eq!(maximum.1, [0, 5]);

    // 3.x has no such word: reading pauses, nothing is lost, and the order stays.
    let mut sensor = Client::accepted(&server, &connect(Version::V311, "4"));
    let mut bytes = Vec::new();
    for id in 1..=500 {
        bytes.extend(Publish::new("t", b"1").qos(1, id).encode(Version::V311));
    }
    sensor.send(&bytes);
    for id in 1..=500 {
        assert_eq!(sensor.expect(kind::PUBACK).id(), id);
    }
    server.wait_published(APP, 500);
}

#[test]
fn more_qos_2_in_flight_than_the_receive_maximum_is_a_breach() {
    let settings = "[limits]\nreceive_maximum = 5";
    let server = Server::builder().settings(settings).start_shared();
    let mut sensor = Client::accepted(&server, &connect(Version::V5, "c"));
    // Without PUBREL each of them stays in flight [MQTT-4.9.0-1].
    for id in 1..=5 {
        sensor.publish(&Publish::new("t", b"1").qos(2, id));
        assert_eq!(sensor.expect(kind::PUBREC).id(), id);
    }
    sensor.publish(&Publish::new("t", b"1").qos(2, 6));
    sensor.expect_end(0x93);
}

#[test]
fn a_topic_alias_above_the_maximum_is_refused() {
    let settings = "[limits]\ntopic_alias_maximum = 2";
    let server = Server::builder().settings(settings).start_shared();
    for alias in [0, 3] {
        let mut sensor = Client::accepted(&server, &connect(Version::V5, "c"));
        let publish = Publish::new("t", b"1")
            .qos(1, 1)
            .properties(&[0x23, 0, alias]);
        sensor.publish(&publish);
        sensor.expect_end(0x94);
    }
}

#[test]
fn subscriptions_beyond_the_limit_get_a_failure_code() {
    let settings = "[limits]\nsubscriptions = 2";
    let server = Server::builder().settings(settings).start_shared();
    let mut sensor = Client::accepted(&server, &connect(Version::V5, "c"));
    let filters = [
        ("command/inbox//#", 1),
        ("command/inbox/sensor01/#", 1),
        ("command/inbox/#", 1),
    ];
    sensor.send(
        &Subscribe {
            id: 9,
            filters: &filters,
            properties: &[],
        }
        .encode(Version::V5),
    );
    let suback = sensor.expect(kind::SUBACK);
    let codes = suback.granted(Version::V5);
    assert_eq!(codes[..2], [1, 1]);
    // Quota exceeded.
    assert_eq!(codes[2], 0x97);
    // One of those already there is no further one.
    assert_eq!(sensor.subscribe("command/inbox//#", 0), 0);
}

#[test]
fn an_oversized_packet_of_a_client_not_logged_in_is_not_waited_for() {
    let server = Server::shared();
    let mut stranger = Client::open(server.mqtt(), Version::V311);
    stranger.send(&packet(0x10, &vec![0; 70_000])[..100]);
    stranger.expect_closed();
}

#[test]
fn a_client_that_reads_nothing_is_sent_away_over_every_transport() {
    let authority = Authority::root("root");
    let server = Server::builder()
        .settings("[limits]\nstall_timeout = \"1s\"")
        .with_every_way_in(&authority)
        .start_shared();
    let tls = Tls::trusting(&authority.pem);
    let ways: [&dyn Fn() -> Client; 3] = [
        &|| Client::open(server.mqtt(), Version::V311),
        &|| tls.open(server.address("tls"), Version::V311),
        &|| websocket_client(server.address("ws"), Version::V311),
    ];
    for (number, open) in ways.into_iter().enumerate() {
        let mut client = open();
        let connack = client.log_in(&connect(Version::V311, &number.to_string()));
        assert_eq!(connack.reason(), 0);
        let patience = Some(Duration::from_millis(200));
        client.stream().set_write_timeout(patience).unwrap();
        // Until the server reads no more, or has gone.
        let pings = [0xC0, 0].repeat(10_000);
        while client.try_send(&pings).is_ok() {}
        let path = format!("/api/connections/v1alpha1/apps/{APP}");
        until("the end of the connection", || {
            let connected = server.api().get(&path).json();
            connected.as_array()?.is_empty().then_some(())
        });
    }
}

/// Publishes at QoS 0, and a ping that is answered behind them.
fn flood(server: &Server, publishes: usize) -> Client {
    let mut sensor = Client::accepted(server, &connect(Version::V311, "flood"));
    let publish = Publish::new("t", &[b'1'; 100]).encode(Version::V311);
    for _ in 0..publishes / 1_000 {
        sensor.send(&publish.repeat(1_000));
    }
    sensor.ping();
    sensor
}

fn dropped(server: &Server) -> u64 {
    counted(server, "landfall_publishes_dropped_total ")
}

fn counted(server: &Server, counter: &str) -> u64 {
    let metrics = server.ops().get("/metrics").text();
    let mut lines = metrics.lines();
    let count = lines.find_map(|line| line.strip_prefix(counter));
    count.unwrap().parse().unwrap()
}

#[test]
fn a_client_publishes_no_faster_than_it_may_and_nothing_of_it_is_lost() {
    let server = Server::builder()
        .settings("[limits]\npublish_rate = 100")
        .start_shared();
    for (version, qos) in [
        (Version::V311, 0),
        (Version::V311, 1),
        (Version::V5, 0),
        (Version::V5, 1),
    ] {
        let mut client = Client::accepted(&server, &connect(version, "fast"));
        let before = server.published(APP).len();
        let start = Instant::now();
        for id in 1..=250 {
            client.send(&Publish::new("t", b"1").qos(qos, id).encode(version));
            // The window of MQTT 5 is 100.
            if qos == 1 && (id == 100 || id == 200) {
                (0..100).for_each(|_| assert_eq!(client.expect(kind::PUBACK).reason(), 0));
            }
        }
        if qos == 1 {
            (0..50).for_each(|_| assert_eq!(client.expect(kind::PUBACK).reason(), 0));
        }
        client.ping();
        // A second's worth at once, and the rest at the rate.
        let took = start.elapsed();
        assert!(
            took >= Duration::from_millis(1_450),
            "{version:?}, {qos}: {took:?}"
        );
        assert_eq!(
            server.published(APP).len() - before,
            250,
            "{version:?}, {qos}"
        );
        client.disconnect();
    }
    assert!(counted(&server, "landfall_publish_rate_waits_total ") >= 4);
    let line = "a client publishes faster than limits.publish_rate";
    let lines = server.log().lines();
    assert_eq!(
        lines.iter().filter(|logged| logged.contains(line)).count(),
        4
    );
}

#[test]
fn a_client_publishes_no_more_bytes_than_it_may_and_packets_of_any_size() {
    let server = Server::builder()
        .settings("[limits]\npublish_byte_rate = \"10KiB\"")
        .start_shared();
    let mut client = Client::accepted(&server, &connect(Version::V5, "fast"));
    let start = Instant::now();
    // The third waits until what the first two took is less than a second's, the fourth as long again.
    for _ in 0..3 {
        client.send(&Publish::new("t", &[b'1'; 8 << 10]).encode(Version::V5));
    }
    client.send(&Publish::new("t", &[b'1'; 40 << 10]).encode(Version::V5));
    client.ping();
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(1_350), "{took:?}");
    assert_eq!(server.published(APP).len(), 4);
}

#[test]
fn a_client_that_is_held_back_is_not_taken_for_silent() {
    let server = Server::builder()
        .settings("[limits]\npublish_rate = 10")
        .start_shared();
    let log_in = connect(Version::V5, "fast").keep_alive(1);
    let mut client = Client::accepted(&server, &log_in);
    client.send(&Publish::new("t", b"1").encode(Version::V5).repeat(40));
    // Behind three seconds of them.
    client.ping();
    client.disconnect();
}

#[test]
fn a_flood_at_qos_0_is_read_as_fast_as_its_sink_takes_it() {
    let settings = "[[sinks]]\nname = \"events\"\ntype = \"log\"\nqueue_bytes = \"1MiB\"";
    let server = Server::builder()
        .without_log_sink()
        .settings(settings)
        .start_shared();
    // Many times as much as the queue holds.
    flood(&server, 50_000);
    assert_eq!(dropped(&server), 0);
}

#[test]
fn a_flood_at_qos_0_into_a_sink_that_stands_still_is_dropped_and_its_client_listened_to() {
    let settings = "[[sinks]]\nname = \"away\"\ntype = \"http\"\nurl = \"http://127.0.0.1:1/in\"\n\
         queue_bytes = \"1MiB\"\n[limits]\nstall_timeout = \"2s\"";
    let server = Server::builder()
        .without_log_sink()
        .settings(settings)
        .unready()
        .start_shared();
    let mut sensor = flood(&server, 5_000);
    let first = dropped(&server);
    assert!(first > 1_000, "{first} dropped");
    // The queue is full: nothing is waited for.
    sensor.send(&Publish::new("t", b"1").encode(Version::V311));
    sensor.ping();
    assert_eq!(dropped(&server), first + 1);
}
