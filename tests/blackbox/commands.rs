//! Commands: what the device gets, and what the sender is told.

use std::thread;

use serde_json::json;

use crate::harness::Server;
use crate::harness::api::Answer;
use crate::harness::documents::{APP, SENDER_PASSWORD, behind, password, user};
use crate::wire::encode::{acknowledgement, packet};
use crate::wire::{Client, Connect, Subscribe, Version, kind};

/// A server whose sensor01 is connected and subscribed at QoS 1 to its own inbox.
pub(crate) fn with_sensor(version: Version) -> (Server, Client) {
    let server = Server::shared();
    let mut sensor = Client::device(&server, version, "sensor01");
    assert_eq!(sensor.subscribe("command/inbox//#", 1), 1);
    (server, sensor)
}

/// Hands a command over without waiting for its outcome.
pub(crate) fn hand_over(server: &Server, name: &str) -> Answer {
    server.command_with(
        "sensor01",
        name,
        "&timeout=0",
        "text/plain",
        name.as_bytes(),
    )
}

pub(crate) fn error(answer: Answer, status: u16) -> String {
    let error = answer.expect_status(status).json();
    error["error"].as_str().expect("an error name").to_owned()
}

#[test]
fn a_sender_that_does_not_wait_is_told_accepted() {
    let (server, mut sensor) = with_sensor(Version::V5);
    hand_over(&server, "now").expect_status(202);
    assert_eq!(sensor.take_command().topic, "command/inbox//now");
}

#[test]
fn a_device_that_never_acknowledges_is_a_time_out() {
    for version in [Version::V311, Version::V5] {
        let (server, mut sensor) = with_sensor(version);
        let answer = server.command_with("sensor01", "x", "&timeout=0.2", "text/plain", b"");
        assert_eq!(error(answer, 504), "no_acknowledgement");
        assert_eq!(
            sensor.expect(kind::PUBLISH).delivery(version).topic,
            "command/inbox//x"
        );
    }
}

#[test]
fn a_device_that_refuses_a_command_is_no_success() {
    let (server, mut sensor) = with_sensor(Version::V5);
    thread::scope(|scope| {
        let sender = scope.spawn(|| server.command("sensor01", "x", b""));
        let id = sensor
            .expect(kind::PUBLISH)
            .delivery(Version::V5)
            .id
            .unwrap()
            .to_be_bytes();
        // PUBACK 0x83: implementation specific error.
        sensor.send(&packet(0x40, &[id[0], id[1], 0x83]));
        let answer = sender.join().unwrap();
        assert!(answer.status >= 400, "{}", answer.text());
    });
}

#[test]
fn the_reason_why_nobody_took_it_is_told() {
    let server = Server::shared();
    assert_eq!(
        error(server.command("nobody", "x", b""), 404),
        "unknown_device"
    );
    assert_eq!(
        error(server.command("sensor01", "x", b""), 404),
        "not_connected"
    );
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    assert_eq!(
        error(server.command("sensor01", "x", b""), 404),
        "not_subscribed"
    );
    assert_eq!(sensor.subscribe("command/inbox//#", 1), 1);
    hand_over(&server, "x").expect_status(202);
    let path = "/api/command/v1alpha1/apps/nobody/devices/x?command=x";
    let answer = server.api().send("POST", path, &[], Some(b""));
    assert_eq!(error(answer, 404), "unknown_application");
}

#[test]
fn an_unsubscribed_device_gets_no_more() {
    for version in Version::ALL {
        let (server, mut sensor) = with_sensor(version);
        let mut body = vec![0, 11];
        if version.is_5() {
            body.push(0);
        }
        body.extend([0, 16]);
        body.extend(b"command/inbox//#");
        sensor.send(&packet(0xA2, &body));
        sensor.expect(11);
        assert_eq!(
            error(server.command("sensor01", "x", b""), 404),
            "not_subscribed"
        );
    }
}

#[test]
fn names_that_cannot_be_a_topic_level_are_refused() {
    let (server, mut sensor) = with_sensor(Version::V5);
    for name in ["", "a%2Fb", "%2B", "%23", "a%00b", &"x".repeat(20_000)] {
        let answer = server.command("sensor01", name, b"");
        assert!(
            (400..=414).contains(&answer.status),
            "{}: {}",
            answer.status,
            answer.text()
        );
        assert_ne!(answer.status, 404);
    }
    sensor.ping();
}

#[test]
fn a_device_whose_name_no_topic_can_have_is_reached_itself_but_by_no_gateway() {
    let server = Server::shared();
    for name in ["a+b", "a#b"] {
        let mut document = behind(name, "gateway01");
        document["spec"]["authentication"] =
            json!({ "credentials": [{ "pass": SENDER_PASSWORD }] });
        server.create_device(APP, &document).expect_status(201);
        let percent = name.replace('+', "%2B").replace('#', "%23");
        let mut gateway = Client::device(&server, Version::V5, "gateway01");
        assert_eq!(gateway.subscribe("command/inbox/#", 1), 1);
        let refused = server.command(&percent, "x", b"");
        assert_eq!(error(refused, 400), "bad_command_name");
        gateway.ping();
        gateway.disconnect();

        let connect = Connect::new(Version::V5, "c", &user(&percent), SENDER_PASSWORD);
        let mut itself = Client::accepted(&server, &connect);
        assert_eq!(itself.subscribe("command/inbox//#", 1), 1);
        thread::scope(|scope| {
            let sender = scope.spawn(|| server.command(&percent, "x", b""));
            assert_eq!(itself.take_command().topic, "command/inbox//x");
            sender.join().unwrap().expect_status(200);
        });
    }
}

#[test]
fn a_command_above_what_the_device_takes_is_not_sent() {
    let server = Server::shared();
    let connect = Connect::new(Version::V5, "c", &user("sensor01"), password("sensor01"));
    // Maximum Packet Size of 100 bytes.
    let connect = Connect {
        properties: vec![0x27, 0, 0, 0, 100],
        ..connect
    };
    let mut sensor = Client::accepted(&server, &connect);
    assert_eq!(sensor.subscribe("command/inbox//#", 1), 1);
    assert_eq!(
        error(server.command("sensor01", "big", &[b'x'; 100]), 413),
        "too_large"
    );
    hand_over(&server, "small").expect_status(202);
    assert_eq!(sensor.take_command().topic, "command/inbox//small");
}

#[test]
fn of_a_command_that_goes_on_several_topics_all_or_none_is_sent() {
    let server = Server::shared();
    let connect = Connect::new(Version::V5, "c", &user("sensor01"), password("sensor01"));
    // Maximum Packet Size of 100 bytes: the shorter topic leaves room for the payload.
    let connect = Connect {
        properties: vec![0x27, 0, 0, 0, 100],
        ..connect
    };
    let mut sensor = Client::accepted(&server, &connect);
    for filter in ["command/inbox//#", "command/inbox/sensor01/#"] {
        assert_eq!(sensor.subscribe(filter, 1), 1);
    }
    let answer = server.command_with("sensor01", "big", "", "text/plain", &[b'x'; 58]);
    assert_eq!(error(answer, 413), "too_large");
    hand_over(&server, "small").expect_status(202);
    for topic in ["command/inbox//small", "command/inbox/sensor01/small"] {
        assert_eq!(sensor.take_command().topic, topic);
    }
}

#[test]
fn overlapping_filters_give_one_message_for_each_topic_at_the_highest_qos() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    for (filter, qos) in [
        ("command/inbox/#", 0),
        ("command/inbox/+/#", 1),
        ("command/inbox//#", 0),
        ("command/inbox/sensor01/#", 0),
    ] {
        assert_eq!(sensor.subscribe(filter, qos), qos);
    }
    hand_over(&server, "one").expect_status(202);
    hand_over(&server, "two").expect_status(202);
    let mut got: Vec<_> = (0..4)
        .map(|_| sensor.take_command())
        .map(|delivery| (delivery.topic, delivery.qos))
        .collect();
    got.sort();
    let expected = [
        ("command/inbox//one", 1),
        ("command/inbox//two", 1),
        ("command/inbox/sensor01/one", 0),
        ("command/inbox/sensor01/two", 0),
    ];
    assert_eq!(got, expected.map(|(topic, qos)| (topic.to_owned(), qos)));
}

#[test]
fn the_device_and_its_gateways_all_get_it_and_the_answer_names_them() {
    let server = Server::shared();
    let mut clients: Vec<Client> = [1, 2]
        .map(|tag| Client::device_as(&server, Version::V5, "gateway01", tag))
        .into();
    for client in &mut clients {
        assert_eq!(client.subscribe("command/inbox/sensor02/#", 1), 1);
    }
    thread::scope(|scope| {
        let sender = scope.spawn(|| server.command("sensor02", "x", b"").expect_status(200));
        for client in &mut clients {
            assert_eq!(client.take_command().topic, "command/inbox/sensor02/x");
        }
        let answer = sender.join().unwrap().json();
        assert_eq!(answer["outcome"], "acknowledged", "{answer:#}");
        let deliveries = answer["deliveries"].as_array().unwrap();
        assert!(!deliveries.is_empty());
        for delivery in deliveries {
            assert_eq!(delivery["device"], "sensor02");
            assert_eq!(delivery["via"], "gateway01");
            assert!(delivery["latencyMs"].as_f64().unwrap() >= 0.0);
        }
    });
}

#[test]
fn mqtt_3_1_grants_what_it_cannot_refuse_and_delivers_nothing() {
    let server = Server::shared();
    let mark = server.log().mark();
    let mut sensor = Client::device(&server, Version::V31, "sensor01");
    for filter in ["temp", "command/inbox//x", "#"] {
        assert!(sensor.subscribe(filter, 1) <= 2, "{filter}");
    }
    server
        .log()
        .wait_for(mark, &["sensor01", "subscription refused"]);
    assert_eq!(
        error(server.command("sensor01", "x", b""), 404),
        "not_subscribed"
    );
    sensor.ping();
}

#[test]
fn one_suback_answers_all_filters_in_their_order() {
    let server = Server::shared();
    let filters = [("command/inbox//#", 1), ("temp", 1), ("command/inbox/#", 0)];
    let subscribe = Subscribe {
        id: 77,
        filters: &filters,
        properties: &[],
    };
    for (version, codes) in [(Version::V311, [1, 0x80, 0]), (Version::V5, [1, 0x8F, 0])] {
        let mut sensor = Client::device(&server, version, "sensor01");
        sensor.send(&subscribe.encode(version));
        let suback = sensor.expect(kind::SUBACK);
        assert_eq!((suback.id(), suback.granted(version)), (77, &codes[..]));
    }
}

#[test]
fn what_an_mqtt_5_device_is_told_beside_the_payload() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    let subscribe = Subscribe {
        id: 10,
        filters: &[("command/inbox//#", 1)],
        // Subscription Identifier 5.
        properties: &[0x0B, 5],
    };
    sensor.send(&subscribe.encode(Version::V5));
    sensor.expect(kind::SUBACK);
    let path = "/api/command/v1alpha1/apps/app/devices/sensor01?command=x&expiry=600&timeout=0";
    let headers = [
        ("content-type", "text/plain"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        ("landfall-user-property", "unit=K"),
    ];
    let answer = server.api().send("POST", path, &headers, Some(b"21"));
    answer.expect_status(202);
    let command = sensor.take_command();
    let text = |id: u8| command.property(id).map(String::from_utf8_lossy);
    assert_eq!(text(0x03).unwrap(), "text/plain");
    let expiry = command.property(0x02).unwrap();
    let expiry = u32::from_be_bytes(expiry.try_into().unwrap());
    assert!((1..=600).contains(&expiry), "{expiry}");
    assert_eq!(command.property(0x0B), Some(&[5][..]));
    let user: Vec<_> = command
        .properties
        .iter()
        .filter(|(id, _)| *id == 0x26)
        .map(|(_, pair)| String::from_utf8_lossy(pair).into_owned())
        .collect();
    assert_eq!(user.len(), 2, "{user:?}");
    assert!(user[0].contains("traceparent") && user[0].contains("00-0af7651916cd43dd"));
    assert!(user[1].contains("unit") && user[1].ends_with('K'));
    // Nobody waits for an answer.
    assert_eq!(command.property(0x08), None);
    assert_eq!(command.property(0x09), None);
}

#[test]
fn a_command_that_is_of_no_use_any_more_is_not_delivered() {
    let settings = "[limits]\nsend_maximum = 1";
    let server = Server::builder().settings(settings).start_shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    assert_eq!(sensor.subscribe("command/inbox//#", 1), 1);
    hand_over(&server, "first").expect_status(202);
    let first = sensor.expect(kind::PUBLISH).delivery(Version::V5);
    // It waits until the first one is acknowledged, which comes after its end.
    thread::scope(|scope| {
        let sender = scope.spawn(|| {
            server.command_with("sensor01", "old", "&expiry=1&timeout=60", "text/plain", b"")
        });
        let ages = std::time::Instant::now();
        crate::harness::wait::until("the end of the command's life", || {
            sensor.ping();
            (ages.elapsed() > std::time::Duration::from_secs(2)).then_some(())
        });
        sensor.send(&acknowledgement(0x40, first.id.unwrap()));
        assert_eq!(error(sender.join().unwrap(), 504), "expired");
    });
    hand_over(&server, "last").expect_status(202);
    assert_eq!(sensor.take_command().topic, "command/inbox//last");
}
