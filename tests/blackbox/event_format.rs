//! The CloudEvents that come out: every attribute of the design's table.

use std::collections::HashSet;

use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::{APP, behind, device, password, user};
use crate::wire::{Client, Connect, Publish, Version};

/// The uid that the registry gave a resource.
fn uid(server: &Server, path: &str) -> Value {
    let answer = server
        .api()
        .get(&format!("/api/registry/v1alpha1/apps/{path}"));
    answer.expect_status(200).json()["metadata"]["uid"].clone()
}

#[test]
fn an_event_has_every_attribute_that_consumers_know() {
    let server = Server::shared();
    let mut gateway = Client::device(&server, Version::V311, "gateway01");
    gateway.publish_1("temp/sensor02", b"{\"value\":1}");

    let event = &server.wait_published(APP, 1)[0];
    assert_eq!(event["specversion"], "1.0");
    assert_eq!(event["type"], "io.drogue.event.v1");
    assert_eq!(event["source"], "drogue://app/sensor02");
    assert_eq!(event["subject"], "temp");
    assert_eq!(event["datacontenttype"], "application/json");
    assert_eq!(event["application"], "app");
    assert_eq!(event["applicationuid"], uid(&server, "app"));
    assert_eq!(event["device"], "sensor02");
    assert_eq!(event["deviceuid"], uid(&server, "app/devices/sensor02"));
    assert_eq!(event["sender"], "gateway01");
    assert_eq!(event["senderuid"], uid(&server, "app/devices/gateway01"));
    assert_eq!(event["instance"], "blackbox");
    assert_eq!(event["partitionkey"], "app/gateway01");
    assert_eq!(event["data"], json!({ "value": 1 }));
    assert!(event.get("data_base64").is_none());
}

#[test]
fn ids_are_unique_and_times_are_utc_to_the_millisecond_and_both_grow() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    for _ in 0..50 {
        sensor.publish_1("temp", b"1");
    }
    let events = server.wait_published(APP, 50);
    let texts = |name: &str| -> Vec<String> {
        events
            .iter()
            .map(|event| event[name].as_str().unwrap().to_owned())
            .collect()
    };

    let ids = texts("id");
    let distinct: HashSet<&String> = ids.iter().collect();
    assert_eq!(distinct.len(), ids.len());
    // The first 48 bits are the milliseconds.
    assert!(ids.iter().map(|id| &id[..13]).is_sorted(), "{ids:#?}");
    // UUID version 7: the version is the first digit of the third group.
    assert!(
        ids.iter()
            .all(|id| id.len() == 36 && id.as_bytes()[14] == b'7'),
        "{ids:#?}"
    );

    let times = texts("time");
    assert!(times.is_sorted(), "{times:#?}");
    for time in times {
        let fraction = time.split_once('.').expect("a fraction").1;
        let digits = fraction.strip_suffix('Z').expect("UTC");
        assert!(
            digits.len() >= 3 && digits.bytes().all(|digit| digit.is_ascii_digit()),
            "{time}"
        );
    }
}

#[test]
fn names_are_percent_encoded_where_consumers_expect_it() {
    const APPLICATION: &str = "my_app.1~x";
    let server = Server::builder().start_with(APPLICATION, &[]);
    for (name, gateway) in [("dev-1.ü", "gate_way"), ("gate_way", "gate_way")] {
        let mut document = device(name, password("sensor01"));
        document["metadata"]["application"] = APPLICATION.into();
        document["spec"]["gatewaySelector"] = json!({ "matchNames": [gateway] });
        server
            .create_device(APPLICATION, &document)
            .expect_status(201);
    }
    let user = format!("gate_way@{APPLICATION}");
    let connect = Connect::new(Version::V5, "c", &user, password("sensor01"));
    let mut gateway = Client::accepted(&server, &connect);
    assert_eq!(gateway.publish_1("temp/dev-1.ü", b"1").reason(), 0);

    let event = &server.wait_published(APPLICATION, 1)[0];
    // In the device all but ASCII letters and digits, in the application all but RFC 3986's
    // unreserved characters.
    assert_eq!(event["source"], "drogue://my_app.1~x/dev%2D1%2E%C3%BC");
    assert_eq!(event["device"], "dev-1.ü");
    assert_eq!(event["application"], APPLICATION);
    assert_eq!(event["sender"], "gate_way");
}

#[test]
fn the_device_part_of_a_user_name_may_be_percent_encoded() {
    let server = Server::builder().start_with(APP, &[device("a@b 1", password("sensor01"))]);
    let connect = Connect::new(Version::V5, "c", "a%40b%201@app", password("sensor01"));
    let mut sensor = Client::accepted(&server, &connect);
    sensor.publish_1("temp", b"1");
    assert_eq!(server.wait_published(APP, 1)[0]["device"], "a@b 1");
}

#[test]
fn any_user_name_logs_in_with_a_client_id_that_names_the_device() {
    let document = json!({
        "metadata": { "name": "meter", "application": APP },
        "spec": { "authentication": { "credentials": [
            { "user": { "username": "field-user", "password": password("sensor01") } },
        ] } },
    });
    let server = Server::builder().start_with(APP, &[document]);
    let connect =
        |user: &str, id: &str| Connect::new(Version::V311, id, user, password("sensor01"));
    Client::accepted(&server, &connect("field-user", "meter@app")).disconnect();
    let (_, connack) = Client::connect(&server, &connect("other-user", "meter@app"));
    assert_eq!(connack.reason(), 4);
    // A `user` credential's password is not the device's password.
    let (_, connack) = Client::connect(&server, &connect("meter@app", "x"));
    assert_eq!(connack.reason(), 4);
}

#[test]
fn the_plain_topic_dialect_takes_the_whole_topic_as_channel() {
    let mut sensor = device("sensor01", password("sensor01"));
    sensor["spec"]["mqtt"] = json!({ "dialect": { "type": "plainTopic" } });
    let server = Server::builder().start_with(APP, &[sensor]);
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    for topic in ["a/b/c", "/leading", "command/inbox//x"] {
        assert_eq!(sensor.publish_1(topic, b"1").reason(), 0, "{topic}");
    }
    let events = server.wait_published(APP, 3);
    let channels: Vec<_> = events.iter().map(|event| &event["subject"]).collect();
    assert_eq!(channels, ["a/b/c", "/leading", "command/inbox//x"]);
}

#[test]
fn the_device_prefix_names_whom_a_gateway_speaks_for() {
    let mut gateway = device("gateway01", password("gateway01"));
    gateway["spec"]["mqtt"] = json!({ "dialect": { "type": "plainTopic", "devicePrefix": true } });
    let server = Server::builder().start_with(APP, &[gateway, behind("sensor02", "gateway01")]);
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    assert_eq!(gateway.publish_1("sensor02/a/b", b"1").reason(), 0);
    assert_eq!(gateway.publish_1("sensor03/a/b", b"1").reason(), 0x87);
    let event = &server.wait_published(APP, 1)[0];
    assert_eq!(event["device"], "sensor02");
    assert_eq!(event["subject"], "a/b");
}

#[test]
fn a_publish_that_comes_twice_within_one_connection_at_qos_2_is_one_event() {
    let server = Server::shared();
    for version in Version::ALL {
        let connect = Connect::new(version, "c", &user("sensor01"), password("sensor01"));
        let mut sensor = Client::accepted(&server, &connect);
        let mut publish = Publish::new(&format!("{version:?}"), b"1").qos(2, 7);
        sensor.publish(&publish);
        sensor.expect(crate::wire::kind::PUBREC);
        publish.dup = true;
        sensor.publish(&publish);
        sensor.expect(crate::wire::kind::PUBREC);
        sensor.send(&crate::wire::encode::acknowledgement(0x62, 7));
        assert_eq!(sensor.expect(crate::wire::kind::PUBCOMP).id(), 7);
    }
    server.wait_published(APP, 3);
}
