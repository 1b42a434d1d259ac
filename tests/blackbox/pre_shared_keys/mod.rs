//! Log-ins by TLS-PSK.

mod handshakes;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::{APP, password, shared_devices, user};
use crate::harness::server::Builder;
use crate::tools::authority::Authority;
use crate::tools::mosquitto::{self, Ended};
use crate::tools::openssl;
use crate::wire::secure::Tls;
use crate::wire::{Connect, Version};

const KEY: [u8; 32] = [0x5a; 32];
const OTHER_KEY: [u8; 16] = [0x21; 16];

fn hex(key: &[u8]) -> String {
    key.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn builder(authority: &Authority) -> Builder {
    let issued = authority.server(&["localhost"]);
    Server::builder()
        .file("server.pem", &issued.chain)
        .file("server.key", &issued.key)
        .also_listen(
            "tls",
            "[listeners.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n\
             client_certificates = true\npsk = true\n",
        )
}

fn device(name: &str, keys: &[Value]) -> Value {
    json!({
        "metadata": { "name": name, "application": APP },
        "spec": { "authentication": { "credentials": keys } },
    })
}

fn key(bytes: &[u8]) -> Value {
    json!({ "psk": { "key": BASE64_STANDARD.encode(bytes) } })
}

fn start(builder: Builder) -> Server {
    let mut devices = shared_devices();
    devices.push(device("psk01", &[key(&KEY)]));
    builder.start_with(APP, &devices)
}

/// `mosquitto_pub` with an identity and a key, and further arguments.
fn publish(server: &Server, identity: &str, key: &[u8], more: &[&str]) -> Ended {
    let (port, key) = (server.port("tls").to_string(), hex(key));
    let usual = [
        "-p",
        &port,
        "--psk-identity",
        identity,
        "--psk",
        &key,
        "-i",
        "m",
        "-q",
        "1",
        "-t",
        "temp",
        "-m",
        "1",
    ];
    let arguments: Vec<&str> = usual.iter().chain(more).copied().collect();
    mosquitto::publish_as_told(server, Version::V5, &arguments)
}

#[test]
fn mosquitto_logs_in_by_key_over_both_versions_of_tls() {
    let server = start(builder(&Authority::root("root")));
    for version in ["tlsv1.2", "tlsv1.3"] {
        publish(&server, "psk01@app", &KEY, &["--tls-version", version]).success();
    }
    let events = server.wait_published(APP, 2);
    assert!(events.iter().all(|event| event["device"] == "psk01"));
}

#[test]
fn openssl_agrees_on_every_kind_of_key_exchange() {
    let server = start(builder(&Authority::root("root")));
    for (arguments, expected) in [
        (
            &["-tls1_2", "-cipher", "PSK-AES128-GCM-SHA256"][..],
            "PSK-AES128-GCM-SHA256",
        ),
        (
            &["-tls1_2", "-cipher", "PSK-AES128-CBC-SHA256"],
            "PSK-AES128-CBC-SHA256",
        ),
        (
            &["-tls1_2", "-cipher", "DHE-PSK-AES128-GCM-SHA256"],
            "DHE-PSK-AES128-GCM-SHA256",
        ),
        (
            &["-tls1_2", "-cipher", "ECDHE-PSK-CHACHA20-POLY1305"],
            "ECDHE-PSK-CHACHA20-POLY1305",
        ),
        (&["-tls1_3"], "Reused, TLSv1.3"),
        // The first key share is refused, and a second ClientHello comes.
        (&["-tls1_3", "-groups", "X448:P-256"], "TLSv1.3"),
    ] {
        let said = s_client(&server, "psk01@app", &KEY, arguments);
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains("alert"), "{arguments:?}: {said}");
    }
}

#[test]
fn a_wrong_key_and_an_unknown_identity_look_the_same_from_outside() {
    let server = start(builder(&Authority::root("root")));
    let mark = server.log().mark();
    for version in [&["-tls1_2", "-cipher", "PSK"][..], &["-tls1_3"]] {
        let alerts: Vec<_> = ["psk01@app", "nobody@app", "psk01@elsewhere", "sensor01@app"]
            .iter()
            .map(|identity| {
                let said = s_client(&server, identity, &OTHER_KEY, version);
                let alert = said.split("SSL alert number ").nth(1);
                alert.map(|rest| rest.split_whitespace().next().unwrap().to_owned())
            })
            .collect();
        assert!(alerts[0].is_some(), "{version:?}");
        assert!(
            alerts.iter().all(|alert| *alert == alerts[0]),
            "{version:?}: {alerts:?}"
        );
    }
    server
        .log()
        .wait_for(mark, &["handshake failed", "(identity psk01@app)"]);
    server.log().wait_for(
        mark,
        &["handshake failed", "unknown identity", "nobody@app"],
    );
}

#[test]
fn keys_are_rolled_by_their_validity() {
    let server = start(builder(&Authority::root("root")));
    let window = |bytes: &[u8], from: &str, until: &str| {
        json!({ "psk": {
            "key": BASE64_STANDARD.encode(bytes),
            "validity": { "notBefore": from, "notAfter": until },
        } })
    };
    let document = device(
        "psk02",
        &[
            window(&KEY, "2001-01-01T00:00:00Z", "2002-01-01T00:00:00Z"),
            window(&OTHER_KEY, "2003-01-01T00:00:00Z", "2100-01-01T00:00:00Z"),
        ],
    );
    server.create_device(APP, &document).expect_status(201);
    assert_ne!(publish(&server, "psk02@app", &KEY, &[]).code, 0, "expired");
    publish(&server, "psk02@app", &OTHER_KEY, &[]).success();
}

#[test]
fn a_revoked_key_ends_its_connections() {
    let server = start(builder(&Authority::root("root")));
    let port = server.port("tls").to_string();
    let hex = hex(&KEY);
    let mut subscriber = mosquitto::Subscriber::start_as_told(
        &server,
        Version::V5,
        &[
            "-p",
            &port,
            "--psk-identity",
            "psk01@app",
            "--psk",
            &hex,
            "-i",
            "s",
            "-t",
            "command/inbox/#",
        ],
    );
    let command = server.command("psk01", "go", b"1");
    assert_eq!(command.status, 200, "{}", command.text());
    assert!(subscriber.message().contains("command/inbox//go"));
    let path = format!("/api/registry/v1alpha1/apps/{APP}/devices/psk01");
    let status = server
        .api()
        .put_json(&path, &device("psk01", &[key(&OTHER_KEY)]))
        .status;
    assert!((200..300).contains(&status));
    subscriber.log().wait_for(0, &["DISCONNECT (152)"]);
    subscriber.kill();
}

#[test]
fn a_user_name_beside_a_key_must_not_name_another_device() {
    let server = start(builder(&Authority::root("root")));
    let mark = server.log().mark();
    publish(&server, "psk01@app", &KEY, &["-u", "psk01@app"]).success();
    publish(&server, "psk01@app", &KEY, &["-u", "?SDK=C"]).success();
    let other = ["-u", &user("sensor01"), "-P", password("sensor01")];
    assert_eq!(publish(&server, "psk01@app", &KEY, &other).code, 0x86);
    server.log().wait_for(
        mark,
        &[
            "connect refused",
            "names another device than the pre-shared key",
        ],
    );
}

#[test]
fn certificates_and_tickets_are_served_beside_keys_on_one_port() {
    let authority = Authority::root("root");
    let server = start(builder(&authority));
    let tls = Tls::trusting(&authority.pem);
    let connect = Connect::new(Version::V5, "c", &user("sensor01"), password("sensor01"));
    for resumed in [false, true] {
        let secure = tls.connect(server.address("tls"), "localhost").unwrap();
        assert_eq!(secure.resumed(), resumed);
        let mut client = secure.client(Version::V5);
        assert_eq!(client.log_in(&connect).reason(), 0);
        client.disconnect();
    }
    // A client that offers both kinds of suites in TLS 1.2 means to log in by its key.
    let both = [
        "-tls1_2",
        "-cipher",
        "ECDHE-ECDSA-AES128-GCM-SHA256:PSK-AES128-GCM-SHA256",
    ];
    let said = s_client(&server, "psk01@app", &KEY, &both);
    assert!(said.contains("Cipher is PSK-AES128-GCM-SHA256"), "{said}");
}

#[test]
fn a_ticket_of_another_process_leads_to_a_full_handshake() {
    let authority = Authority::root("root");
    let tls = Tls::trusting(&authority.pem);
    let connect = Connect::new(Version::V5, "c", &user("sensor01"), password("sensor01"));
    for _ in 0..2 {
        let server = start(builder(&authority));
        let secure = tls.connect(server.address("tls"), "localhost").unwrap();
        assert!(!secure.resumed());
        let mut client = secure.client(Version::V5);
        assert_eq!(client.log_in(&connect).reason(), 0);
    }
}

#[test]
fn a_key_that_was_not_used_proves_nothing() {
    let server = start(builder(&Authority::root("root")));
    // External keys go with SHA-256: with another hash the server goes on by its certificate.
    let arguments = ["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"];
    let mark = server.log().mark();
    let mut session = session(&server, "psk01@app", &KEY, &arguments);
    session.log().wait_for(0, &["New, TLSv1.3"]);
    session.type_in(CONNECT);
    server
        .log()
        .wait_for(mark, &["connect refused", "no user name"]);
    session.leave();
}

/// MQTT 3.1.1, clean session, no user name, client id `c`.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c";

fn session(server: &Server, identity: &str, key: &[u8], arguments: &[&str]) -> openssl::Session {
    let key = hex(key);
    let identity = ["-psk_identity", identity, "-psk", &key];
    openssl::Session::start(server.address("tls"), &[&identity, arguments].concat())
}

/// What `openssl s_client` says of a handshake.
fn s_client(server: &Server, identity: &str, key: &[u8], arguments: &[&str]) -> String {
    let mut session = session(server, identity, key, arguments);
    session.type_in(b"Q\n");
    session.leave()
}
