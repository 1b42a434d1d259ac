//! What clients get who do it right.

use super::{builder, connect, s_client};
use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::tools::authority::Authority;
use crate::tools::mosquitto;
use crate::wire::Version;
use crate::wire::secure::Tls;

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
fn mosquitto_publishes_and_takes_commands_with_the_authority_in_a_file() {
    let authority = Authority::root("root");
    let server = builder(&authority, "").start_shared();
    let file = server.folder().join("ca.pem");
    let port = server.port("tls").to_string();
    let (user, password) = (user("sensor01"), password("sensor01"));
    let usual = ["-p", &port, "--cafile", file.to_str().unwrap()];
    let log_in = ["-u", &user, "-P", password, "-q", "1"];
    for version in Version::ALL {
        let filter = ["-i", "s", "-t", "command/inbox/#"];
        let subscribe = [&usual[..], &log_in, &filter].concat();
        let mut subscriber = mosquitto::Subscriber::start_as_told(&server, version, &subscribe);
        let message = ["-i", "p", "-t", "temp", "-m", "1"];
        let publish = [&usual[..], &log_in, &message].concat();
        mosquitto::publish_as_told(&server, version, &publish).success();
        assert_eq!(server.command("sensor01", "go", b"7").status, 200);
        assert_eq!(subscriber.message(), "command/inbox//go 1 7");
        subscriber.stop();
    }
    server.wait_published(APP, 3);
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
    for tls in [
        Tls::trusting(&authority.pem),
        Tls::trusting_in_1_2(&authority.pem),
    ] {
        let resumed: Vec<bool> = (0..2)
            .map(|_| {
                let secure = tls.connect(server.address("tls"), "localhost").unwrap();
                let resumed = secure.resumed();
                // In TLS 1.3 the ticket comes behind the handshake.
                let mut client = secure.client(Version::V5);
                assert_eq!(client.log_in(&connect(Version::V5)).reason(), 0);
                client.disconnect();
                resumed
            })
            .collect();
        assert_eq!(resumed, [false, true]);
    }
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

    // Of what both have, SHA-256; but whoever likes ChaCha20 best has it.
    let suites = "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
    let chosen = s_client(&server, &["-tls1_3", "-ciphersuites", suites]);
    assert!(chosen.contains("TLS_AES_128_GCM_SHA256"), "{chosen}");
    let suites = "TLS_CHACHA20_POLY1305_SHA256:TLS_AES_128_GCM_SHA256";
    let chosen = s_client(&server, &["-tls1_3", "-ciphersuites", suites]);
    assert!(chosen.contains("TLS_CHACHA20_POLY1305_SHA256"), "{chosen}");

    let one = "cipher_suites = [\"TLS_CHACHA20_POLY1305_SHA256\"]\nminimum_version = \"1.3\"\n";
    let server = builder(&authority, one).start_shared();
    assert!(s_client(&server, &["-tls1_3"]).contains("TLS_CHACHA20_POLY1305_SHA256"));
}
