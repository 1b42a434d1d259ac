//! Commands over HTTP to `mosquitto_sub`.

use serde_json::json;

use crate::harness::Server;
use crate::tools::mosquitto::{Subscriber, publish};
use crate::wire::Version;

#[test]
fn a_device_takes_its_commands_by_every_filter_that_names_it() {
    let server = Server::shared();
    for version in Version::ALL {
        for (filter, topic) in [
            ("command/inbox//#", "command/inbox//set-temp"),
            (
                "command/inbox/sensor01/#",
                "command/inbox/sensor01/set-temp",
            ),
            ("command/inbox/#", "command/inbox//set-temp"),
            ("command/inbox/+/#", "command/inbox//set-temp"),
        ] {
            let mut subscriber =
                Subscriber::start(&server, version, "sensor01", filter, &["-q", "1"]);
            server
                .command("sensor01", "set-temp", b"{\"target\":21}")
                .expect_status(200);
            assert_eq!(
                subscriber.message(),
                format!("{topic} 1 {{\"target\":21}}"),
                "{filter}"
            );
            subscriber.stop();
        }
    }
}

#[test]
fn a_gateway_takes_the_commands_of_the_devices_that_select_it() {
    let server = Server::shared();
    for version in Version::ALL {
        for filter in [
            "command/inbox/sensor02/#",
            "command/inbox/#",
            "command/inbox/+/#",
        ] {
            let mut subscriber =
                Subscriber::start(&server, version, "gateway01", filter, &["-q", "1"]);
            server
                .command("sensor02", "reboot", b"now")
                .expect_status(200);
            assert_eq!(
                subscriber.message(),
                "command/inbox/sensor02/reboot 1 now",
                "{filter}"
            );
            subscriber.stop();
        }
    }
}

#[test]
fn a_gateway_gets_nothing_of_a_device_that_does_not_select_it() {
    let server = Server::shared();
    let mut gateway = Subscriber::start(
        &server,
        Version::V5,
        "gateway01",
        "command/inbox/#",
        &["-q", "1"],
    );
    server.command("sensor03", "reboot", b"").expect_status(404);
    server.command("sensor01", "reboot", b"").expect_status(404);
    server.command("gateway01", "last", b"").expect_status(200);
    assert_eq!(gateway.message(), "command/inbox//last 1 ");
    gateway.stop();
}

#[test]
fn the_sender_learns_what_became_of_a_command() {
    let server = Server::shared();
    for (qos, outcome) in [("0", "sent"), ("1", "acknowledged"), ("2", "acknowledged")] {
        let arguments = ["-q", qos];
        let subscriber = Subscriber::start(
            &server,
            Version::V5,
            "sensor01",
            "command/inbox//#",
            &arguments,
        );
        let answer = server
            .command("sensor01", "blink", b"")
            .expect_status(200)
            .json();
        assert_eq!(answer["outcome"], outcome, "{answer:#}");
        let delivery = &answer["deliveries"][0];
        assert_eq!(delivery["device"], "sensor01", "{answer:#}");
        assert_eq!(delivery["instance"], "blackbox", "{answer:#}");
        assert_eq!(delivery["qos"], json!(u8::from(qos != "0")), "{answer:#}");
        subscriber.stop();
    }
}

#[test]
fn a_command_for_nobody_is_answered_404_with_the_reason() {
    let server = Server::shared();
    let reason = |device: &str| {
        let answer = server
            .command(device, "blink", b"")
            .expect_status(404)
            .json();
        answer["error"].as_str().expect("an error name").to_owned()
    };
    let unknown = reason("nobody");
    let not_connected = reason("sensor01");
    assert_ne!(unknown, not_connected);
}

#[test]
fn a_single_command_cannot_be_subscribed_to() {
    let server = Server::shared();
    for filter in [
        "command/inbox//set-temp",
        "command/inbox/sensor01/set-temp",
        "#",
        "temp",
    ] {
        let subscriber =
            Subscriber::start(&server, Version::V311, "sensor01", filter, &["-q", "1"]);
        assert!(
            subscriber.granted().ends_with(": 128"),
            "{filter}: {}",
            subscriber.granted()
        );
    }
}

#[test]
fn publishing_and_subscribing_clients_of_one_device_live_side_by_side() {
    let server = Server::shared();
    let mut subscriber = Subscriber::start(
        &server,
        Version::V311,
        "sensor01",
        "command/inbox/#",
        &["-q", "1"],
    );
    for _ in 0..3 {
        let arguments = ["-t", "temp", "-q", "1", "-m", "1"];
        publish(&server, Version::V311, "sensor01", &arguments).success();
    }
    server
        .command("sensor01", "still-there", b"")
        .expect_status(200);
    assert_eq!(subscriber.message(), "command/inbox//still-there 1 ");
    subscriber.stop();
}

#[test]
fn the_content_type_of_a_command_reaches_an_mqtt_5_device() {
    let server = Server::shared();
    let arguments = ["-q", "1", "-F", "MESSAGE %C|%p"];
    let mut subscriber = Subscriber::start(
        &server,
        Version::V5,
        "sensor01",
        "command/inbox//#",
        &arguments,
    );
    server
        .command_with("sensor01", "show", "", "text/plain", b"hello")
        .expect_status(200);
    assert_eq!(subscriber.message(), "text/plain|hello");
    subscriber.stop();
}
