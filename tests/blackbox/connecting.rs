//! The door: who is let in, and what CONNACK says to the others.

use std::thread;

use crate::harness::Server;
use crate::harness::documents::{WRONG_PASSWORD, password, user};
use crate::harness::wait;
use crate::wire::{Client, Connect, Version};

fn connect(version: Version, client_id: &str) -> Connect {
    Connect::new(version, client_id, &user("sensor01"), password("sensor01"))
}

/// The reason of CONNACK, behind which a refused client is closed.
fn reason(server: &Server, connect: &Connect) -> u8 {
    let (mut client, connack) = Client::connect(server, connect);
    if connack.reason() != 0 {
        client.expect_closed();
    }
    connack.reason()
}

#[test]
fn a_session_that_is_not_clean_is_refused() {
    let server = Server::shared();
    for (version, code) in [(Version::V31, 3), (Version::V311, 3), (Version::V5, 0x83)] {
        let lasting = Connect {
            clean: false,
            ..connect(version, "c")
        };
        assert_eq!(reason(&server, &lasting), code, "{version:?}");
    }
    let nameless = Connect {
        clean: false,
        ..connect(Version::V311, "")
    };
    assert_eq!(reason(&server, &nameless), 2);
}

#[test]
fn an_empty_client_id_is_refused_by_3_1_alone() {
    let server = Server::shared();
    for (version, code) in [(Version::V31, 2), (Version::V311, 0), (Version::V5, 0)] {
        assert_eq!(reason(&server, &connect(version, "")), code, "{version:?}");
    }
}

#[test]
fn missing_and_wrong_credentials_are_refused_alike() {
    let server = Server::shared();
    for (version, code) in [(Version::V31, 4), (Version::V311, 4), (Version::V5, 0x86)] {
        let right = connect(version, "c");
        for (user, password) in [
            (None, None),
            (Some("sensor01@app"), None),
            (Some("sensor01@app"), Some(WRONG_PASSWORD)),
            (Some("sensor01@app"), Some("")),
            (Some("sensor01@nowhere"), Some(password("sensor01"))),
            (Some("nobody@app"), Some(password("sensor01"))),
            (Some("sensor01"), Some(password("sensor01"))),
            (Some("gateway01@app"), Some(password("sensor01"))),
            (Some("sensor02@app"), Some("")),
            (Some("%zz@app"), Some(password("sensor01"))),
        ] {
            let wrong = Connect {
                user: user.map(str::to_owned),
                password: password.map(str::to_owned),
                ..right.clone()
            };
            assert_eq!(reason(&server, &wrong), code, "{version:?} {user:?}");
        }
        assert_eq!(reason(&server, &right), 0);
    }
}

#[test]
fn an_anonymous_listener_lets_in_one_device_without_credentials() {
    let server = Server::builder()
        .listener("anonymous_device = \"sensor01@app\"")
        .start_shared();
    for version in Version::ALL {
        let nobody = Connect {
            user: None,
            password: None,
            ..connect(version, "c")
        };
        let mut sensor = Client::accepted(&server, &nobody);
        assert_eq!(sensor.publish_1("t", b"1").reason(), 0);
        sensor.disconnect();
        // Who hands in credentials is held to them.
        let wrong = Connect {
            password: Some(WRONG_PASSWORD.to_owned()),
            ..connect(version, "c")
        };
        assert_ne!(reason(&server, &wrong), 0);
    }
    for event in server.wait_published("app", 3) {
        assert_eq!(event["device"], "sensor01");
    }
}

#[test]
fn the_server_sets_the_keep_alive_of_mqtt_5_clients() {
    let settings = "[limits]\nmaximum_keep_alive = \"2s\"";
    let server = Server::builder().settings(settings).start_shared();
    for asked in [0, 600] {
        let connect = connect(Version::V5, "c").keep_alive(asked);
        let (mut client, connack) = Client::connect(&server, &connect);
        let properties = connack.properties();
        let given = properties
            .iter()
            .find(|(id, _)| *id == 0x13)
            .expect("Server Keep Alive");
        assert_eq!(given.1, [0, 2]);
        client.expect_end(0x8D);
    }
    let (_, connack) = Client::connect(&server, &connect(Version::V5, "c").keep_alive(1));
    assert!(
        connack.properties().iter().all(|(id, _)| *id != 0x13),
        "its own is short enough"
    );
}

#[test]
fn pings_keep_a_connection_alive() {
    let server = Server::shared();
    let mut pinging = Client::accepted(&server, &connect(Version::V311, "1").keep_alive(1));
    let mut silent = Client::accepted(&server, &connect(Version::V5, "2").keep_alive(3));
    // The silent one ends at four and a half seconds, three times what the other one has.
    let end = thread::spawn(move || silent.expect_end(0x8D));
    while !end.is_finished() {
        pinging.ping();
        wait::pause();
    }
    end.join().unwrap();
    pinging.disconnect();
}

#[test]
fn a_session_never_present_and_never_kept() {
    let server = Server::shared();
    for version in Version::ALL {
        let (client, connack) = Client::connect(&server, &connect(version, "c"));
        // [MQTT-3.2.2-1]: no session present.
        assert_eq!(connack.body[0], 0);
        client.disconnect();
    }
}
