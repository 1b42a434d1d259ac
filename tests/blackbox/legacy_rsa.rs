//! Clients that know no other key exchange than RSA's: two of the four suites that Watson IoT asked
//! its gateways for.

use serde_json::json;

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::harness::server::Builder;
use crate::tools::authority::{Authority, Leaf};
use crate::tools::openssl;
use crate::wire::secure::Tls;

const SUITES: [&str; 2] = ["AES256-GCM-SHA384", "AES128-GCM-SHA256"];

/// MQTT 3.1.1, clean session, no user name, client id `c`.
const CONNECT: &[u8] = b"\x10\x0d\x00\x04MQTT\x04\x02\x00\x3c\x00\x01c";

/// An ECDSA certificate, which RSA key exchange cannot use, and an RSA one.
fn builder(authority: &Authority, keys: &str) -> Builder {
    let (ecdsa, rsa) = (
        authority.server(&["localhost"]),
        authority.rsa_server(&["localhost"]),
    );
    Server::builder()
        .file("1.pem", &ecdsa.chain)
        .file("1.key", &ecdsa.key)
        .file("2.pem", &rsa.chain)
        .file("2.key", &rsa.key)
        .also_listen(
            "tls",
            &format!(
                "[listeners.tls]\ncertificate = \"1.pem\"\nkey = \"1.key\"\n{keys}\
                 [[listeners.tls.certificates]]\ncertificate = \"2.pem\"\nkey = \"2.key\"\n"
            ),
        )
}

fn agreed(server: &Server, suite: &str) -> String {
    let arguments = ["-tls1_2", "-cipher", suite];
    openssl::s_client(server.address("tls"), &arguments)
}

#[test]
fn without_leave_they_are_refused_and_the_log_says_what_would_help() {
    let server = builder(&Authority::root("root"), "").start_shared();
    for suite in SUITES {
        let mark = server.log().mark();
        let said = agreed(&server, suite);
        assert!(said.contains("Cipher is (NONE)"), "{said}");
        server
            .log()
            .wait_for(mark, &["only RSA key exchange", "legacy_rsa = true"]);
    }
}

#[test]
fn with_leave_they_are_served_by_the_rsa_certificate_and_others_as_before() {
    let authority = Authority::root("root");
    let server = builder(&authority, "legacy_rsa = true\n").start_shared();
    for suite in SUITES.into_iter().chain(["AES128-SHA", "AES256-SHA256"]) {
        let said = agreed(&server, suite);
        assert!(said.contains(&format!("Cipher is {suite}")), "{said}");
    }
    // Whoever knows better gets better.
    let said = agreed(&server, "AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256");
    assert!(said.contains("Cipher is ECDHE-RSA"), "{said}");
    let tls = Tls::trusting(&authority.pem);
    assert!(tls.connect(server.address("tls"), "localhost").is_ok());
}

#[test]
fn they_log_in_by_certificate_too() {
    let authority = Authority::root("root");
    let keys = "legacy_rsa = true\nclient_certificates = true\n";
    let server = builder(&authority, keys).start_shared();
    let devices = Authority::root("devices");
    let path = format!("/api/registry/v1alpha1/apps/{APP}");
    let document = json!({
        "metadata": { "name": APP },
        "spec": { "trustAnchors": { "anchors": [{ "certificate": devices.pem }] } },
    });
    assert_eq!(server.api().put_json(&path, &document).status / 100, 2);

    let issued = devices
        .intermediate("plant 7")
        .issue(&Leaf::device("sensor01"));
    let file = |name: &str, text: &str| {
        let path = server.folder().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (chain, key) = (
        file("device.pem", &issued.chain),
        file("device.key", &issued.key),
    );
    let arguments = ["-tls1_2", "-cipher", SUITES[1], "-cert", &chain];
    let shown = ["-cert_chain", &chain, "-key", &key];
    let arguments = [&arguments[..], &shown].concat();
    let mut session = openssl::Session::start(server.address("tls"), &arguments);
    session.log().wait_for(0, &["Cipher is AES128-GCM-SHA256"]);
    session.type_in(CONNECT);
    server.wait_connection_events(APP, "sensor01", &[true]);
    session.leave();
    server.wait_connection_events(APP, "sensor01", &[true, false]);

    // A certificate of RSA's clients is judged like any other's.
    let mark = server.log().mark();
    let stranger = Authority::root("stranger").issue(&Leaf::device("sensor01"));
    let (chain, key) = (
        file("stranger.pem", &stranger.chain),
        file("stranger.key", &stranger.key),
    );
    let arguments = [
        "-tls1_2", "-cipher", SUITES[1], "-cert", &chain, "-key", &key,
    ];
    let mut session = openssl::Session::start(server.address("tls"), &arguments);
    session.log().wait_for(0, &["Cipher is AES128-GCM-SHA256"]);
    session.type_in(CONNECT);
    server
        .log()
        .wait_for(mark, &["connect refused", "CN=sensor01", "unknown issuer"]);
    session.leave();
}
