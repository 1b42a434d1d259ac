//! TLS: certificates, versions, protocols, tickets, and peers that do not get it right.

use std::io::Write as _;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::harness::server::Builder;
use crate::harness::wait;
use crate::tools::authority::{Authority, Issued};
use crate::tools::mosquitto;
use crate::wire::client::tcp;
use crate::wire::secure::Tls;
use crate::wire::{Client, Connect, Received, Version, kind};

const FILES: &str = "[listeners.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";

/// A server with a listener `tls` whose section has these further keys.
fn builder(authority: &Authority, keys: &str) -> Builder {
    let issued = authority.server(&["localhost", "127.0.0.1"]);
    Server::builder()
        .file("ca.pem", &authority.pem)
        .file("server.pem", &issued.chain)
        .file("server.key", &issued.key)
        .also_listen("tls", &format!("{FILES}{keys}"))
}

fn connect(version: Version) -> Connect {
    Connect::new(version, "c", &user("sensor01"), password("sensor01"))
}

#[test]
fn a_device_logs_in_by_password_and_publishes() {
    let authority = Authority::root("root");
    let server = builder(&authority, "").start_shared();
    let tls = Tls::trusting(&authority.pem);
    for version in Version::ALL {
        let mut client = tls.open(server.address("tls"), version);
        assert_eq!(client.log_in(&connect(version)).reason(), 0);
        // More than a TLS record, and more than is written at once.
        let large = format!("\"{}\"", "x".repeat(40_000));
        assert_eq!(client.publish_1("large", large.as_bytes()).reason(), 0);
        client.disconnect();
    }
    let events = server.wait_published(APP, 3);
    assert_eq!(events[0]["data"].as_str().map(str::len), Some(40_000));
    let connections = server
        .api()
        .get(&format!("/api/connections/v1alpha1/apps/{APP}"));
    assert_eq!(connections.status, 200);
}

#[test]
fn mosquitto_publishes_with_the_authority_in_a_file() {
    let authority = Authority::root("root");
    let server = builder(&authority, "").start_shared();
    let file = server.folder().join("ca.pem");
    let port = server.port("tls").to_string();
    let arguments = [
        "-p",
        &port,
        "--cafile",
        file.to_str().unwrap(),
        "-u",
        &user("sensor01"),
        "-P",
        password("sensor01"),
        "-i",
        "m",
        "-q",
        "1",
        "-t",
        "temp",
        "-m",
        "1",
    ];
    mosquitto::publish_as_told(&server, Version::V5, &arguments).success();
    server.wait_published(APP, 1);
}

#[test]
fn asks_for_no_protocol_and_agrees_to_those_of_mqtt() {
    let authority = Authority::root("root");
    let server = builder(&authority, "").start_shared();
    let tls = Tls::trusting(&authority.pem);
    let agreed = |protocols: &[&str]| {
        let connected = tls
            .asking_for(protocols)
            .connect(server.address("tls"), "localhost");
        connected.map(|secure| secure.protocol())
    };
    assert_eq!(agreed(&[]).unwrap(), None);
    assert_eq!(agreed(&["mqtt"]).unwrap().as_deref(), Some("mqtt"));
    let amazon = agreed(&["x-amzn-mqtt-ca"]).unwrap();
    assert_eq!(amazon.as_deref(), Some("x-amzn-mqtt-ca"));
    // RFC 7301, 3.2: no_application_protocol
    let error = agreed(&["h2"]).unwrap_err().to_string();
    assert!(error.contains("NoApplicationProtocol"), "{error}");
}

#[test]
fn shows_the_certificate_of_the_host_that_is_asked_for() {
    let authority = Authority::root("root");
    let [one, two] = ["one.example", "two.example"].map(|host| authority.server(&[host]));
    let server = Server::builder()
        .file("1.pem", &one.chain)
        .file("1.key", &one.key)
        .file("2.pem", &two.chain)
        .file("2.key", &two.key)
        .also_listen(
            "tls",
            "[listeners.tls]\ncertificate = \"1.pem\"\nkey = \"1.key\"\n\
             [[listeners.tls.certificates]]\ncertificate = \"2.pem\"\nkey = \"2.key\"\n",
        )
        .start_shared();
    let tls = Tls::trusting(&authority.pem);
    for host in ["one.example", "two.example"] {
        // The client's own check of the name is the assertion.
        tls.connect(server.address("tls"), host).expect(host);
    }
    let error = tls
        .connect(server.address("tls"), "three.example")
        .err()
        .unwrap();
    assert!(
        error.to_string().contains("one.example"),
        "the default: {error}"
    );
}

#[test]
fn ecdsa_and_rsa_certificates_stand_side_by_side() {
    let authority = Authority::root("root");
    let (ecdsa, rsa) = (
        authority.server(&["localhost"]),
        authority.rsa_server(&["localhost"]),
    );
    let server = Server::builder()
        .file("1.pem", &ecdsa.chain)
        .file("1.key", &ecdsa.key)
        .file("2.pem", &rsa.chain)
        .file("2.key", &rsa.key)
        .also_listen(
            "tls",
            "[listeners.tls]\ncertificate = \"1.pem\"\nkey = \"1.key\"\n\
             [[listeners.tls.certificates]]\ncertificate = \"2.pem\"\nkey = \"2.key\"\n",
        )
        .start_shared();
    let offer = |algorithms: &str| s_client(&server, &["-tls1_2", "-sigalgs", algorithms]);
    let said = offer("ECDSA+SHA256");
    assert!(said.contains("ECDHE-ECDSA"), "{said}");
    let said = offer("RSA-PSS+SHA256:RSA+SHA256");
    assert!(said.contains("ECDHE-RSA"), "{said}");
}

#[test]
fn a_returning_client_resumes_its_session() {
    let authority = Authority::root("root");
    let server = builder(&authority, "").start_shared();
    let tls = Tls::trusting(&authority.pem);
    let resumed: Vec<bool> = (0..2)
        .map(|_| {
            let secure = tls.connect(server.address("tls"), "localhost").unwrap();
            let resumed = secure.resumed();
            // The ticket comes behind the handshake.
            let mut client = secure.client(Version::V5);
            assert_eq!(client.log_in(&connect(Version::V5)).reason(), 0);
            client.disconnect();
            resumed
        })
        .collect();
    assert_eq!(resumed, [false, true]);
}

#[test]
fn the_lowest_version_and_the_suites_can_be_chosen() {
    let authority = Authority::root("root");
    let server = builder(&authority, "").start_shared();
    assert!(s_client(&server, &["-tls1_2"]).contains("New, TLSv1.2"));
    assert!(s_client(&server, &["-tls1_3"]).contains("New, TLSv1.3"));
    assert!(s_client(&server, &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]).contains("(NONE)"));

    let server = builder(&authority, "minimum_version = \"1.3\"\n").start_shared();
    assert!(s_client(&server, &["-tls1_2"]).contains("(NONE)"));
    assert!(s_client(&server, &["-tls1_3"]).contains("New, TLSv1.3"));

    let one = "cipher_suites = [\"TLS_CHACHA20_POLY1305_SHA256\"]\nminimum_version = \"1.3\"\n";
    let server = builder(&authority, one).start_shared();
    assert!(s_client(&server, &["-tls1_3"]).contains("TLS_CHACHA20_POLY1305_SHA256"));
}

#[test]
fn renegotiation_is_not_served() {
    let authority = Authority::root("root");
    let server = builder(&authority, "")
        .settings("[limits]\nconnect_timeout = \"1s\"")
        .start_shared();
    let said = s_client_typing(&server, &["-tls1_2"], b"R\n");
    assert!(
        !said.contains("RENEGOTIATING") || said.contains("error"),
        "{said}"
    );
    let mut good = Tls::trusting(&authority.pem).open(server.address("tls"), Version::V5);
    assert_eq!(good.log_in(&connect(Version::V5)).reason(), 0);
}

#[test]
fn new_files_take_effect_without_ending_a_connection() {
    let authority = Authority::root("root");
    let mut server = builder(&authority, "").start_shared();
    let tls = Tls::trusting(&authority.pem);
    let address = server.address("tls");
    let shown = || tls.connect(address, "localhost").unwrap().certificate();
    let first = shown();
    let mut client = tls.open(address, Version::V5);
    client.log_in(&connect(Version::V5));

    write(&server, &authority.server(&["localhost"]));
    let second = wait::until("the new certificate", || {
        let now = shown();
        (now != first).then_some(now)
    });

    // A reload that fails keeps what was there, and says what is wrong.
    let mark = server.log().mark();
    std::fs::write(server.folder().join("server.key"), "no key").unwrap();
    server.signal(Signal::SIGHUP);
    server
        .log()
        .wait_for(mark, &["not loaded", "server.key", "no private key"]);
    assert_eq!(shown(), second);

    write(&server, &authority.server(&["localhost"]));
    server.signal(Signal::SIGHUP);
    wait::until("the third certificate", || {
        (shown() != second).then_some(())
    });
    client.ping();
}

fn write(server: &Server, issued: &Issued) {
    std::fs::write(server.folder().join("server.pem"), &issued.chain).unwrap();
    std::fs::write(server.folder().join("server.key"), &issued.key).unwrap();
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
fn a_server_with_a_wrong_key_does_not_start_and_says_why() {
    let authority = Authority::root("root");
    let folder = tempfile::TempDir::new().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("server.pem"), authority.server(&["localhost"]).chain).unwrap();
    std::fs::write(path("server.key"), authority.server(&["localhost"]).key).unwrap();
    let config = format!("data_dir = \"data\"\n[[listeners]]\nbind = \"127.0.0.1:0\"\n{FILES}");
    std::fs::write(path("landfall.toml"), config).unwrap();
    for action in [&["serve", "--config"][..], &["check-config"]] {
        let ended = Command::new(env!("CARGO_BIN_EXE_landfall"))
            .args(action)
            .arg(path("landfall.toml"))
            .output()
            .unwrap();
        assert!(!ended.status.success());
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(
            said.contains("server.key") && said.contains("not the key of"),
            "{said}"
        );
    }
}

/// What `openssl s_client` says of a handshake.
fn s_client(server: &Server, arguments: &[&str]) -> String {
    s_client_typing(server, arguments, b"Q\n")
}

fn s_client_typing(server: &Server, arguments: &[&str], typed: &[u8]) -> String {
    let mut client = Command::new("openssl")
        .args(["s_client", "-connect", &server.address("tls").to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl; ./tests/run installs it");
    let mut input = client.stdin.take().unwrap();
    input.write_all(typed).unwrap();
    drop(input);
    let output = client.wait_with_output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
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
