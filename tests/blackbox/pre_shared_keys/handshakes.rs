//! What is agreed on in handshakes by pre-shared key, and what is not.

use std::io::Read as _;

use super::{CONNECT, KEY, builder, hex, publish, s_client, session, start};
use crate::harness::Server;
use crate::harness::documents::APP;
use crate::tools::authority::Authority;
use crate::tools::openssl;
use crate::wire::fragment::fragmenting;
use crate::wire::secure::Tls;
use crate::wire::{Client, Version};
#[test]
fn a_listener_without_a_certificate_serves_keys_alone() {
    let server = start(Server::builder().also_listen("tls", "[listeners.tls]\npsk = true\n"));
    for version in ["tlsv1.2", "tlsv1.3"] {
        publish(&server, "psk01@app", &KEY, &["--tls-version", version]).success();
    }
    let authority = Authority::root("root");
    assert!(
        Tls::trusting(&authority.pem)
            .connect(server.address("tls"), "localhost")
            .is_err()
    );
}

#[test]
fn short_tags_are_served_only_if_they_are_named() {
    let authority = Authority::root("root");
    let short = ["-tls1_2", "-cipher", "PSK-AES128-CCM8:@SECLEVEL=0"];
    let server = start(builder(&authority));
    let said = s_client(&server, "psk01@app", &KEY, &short);
    assert!(said.contains("Cipher is (NONE)"), "{said}");

    // Nothing else than keys can be agreed on, certificate or not.
    let issued = authority.server(&["localhost"]);
    let suites = "psk = true\ncipher_suites = [\"TLS_PSK_WITH_AES_128_CCM_8\"]\n";
    let files = "certificate = \"server.pem\"\nkey = \"server.key\"\n";
    for files in ["", files] {
        let server = start(
            Server::builder()
                .file("server.pem", &issued.chain)
                .file("server.key", &issued.key)
                .also_listen("tls", &format!("[listeners.tls]\n{files}{suites}")),
        );
        let said = s_client(&server, "psk01@app", &KEY, &short);
        assert!(said.contains("Cipher is PSK-AES128-CCM8"), "{said}");
        // A client that would rather have TLS 1.3 agrees to 1.2.
        let any = ["-cipher", "PSK-AES128-CCM8:@SECLEVEL=0"];
        let said = s_client(&server, "psk01@app", &KEY, &any);
        assert!(said.contains("Cipher is PSK-AES128-CCM8"), "{said}");
        let mark = server.log().mark();
        let refused = Tls::trusting(&authority.pem).connect(server.address("tls"), "localhost");
        assert!(refused.is_err());
        server.log().wait_for(mark, &["handshake failed", "tls"]);
    }
}

#[test]
fn the_protocol_is_agreed_no_ticket_is_given_and_nothing_is_renegotiated() {
    let server = start(builder(&Authority::root("root")));
    for version in [&["-tls1_2", "-cipher", "PSK"][..], &["-tls1_3"]] {
        let asking = |protocols: &str| {
            let arguments = [version, &["-alpn", protocols]].concat();
            s_client(&server, "psk01@app", &KEY, &arguments)
        };
        let said = asking("other,mqtt");
        assert!(said.contains("ALPN protocol: mqtt"), "{said}");
        assert!(asking("x-amzn-mqtt-ca").contains("ALPN protocol: x-amzn-mqtt-ca"));
        // RFC 7301, 3.2: no_application_protocol
        let said = asking("h2");
        assert!(said.contains("SSL alert number 120"), "{said}");
    }
    let mut session = session(&server, "psk01@app", &KEY, &["-tls1_3"]);
    session.log().wait_for(0, &["Reused, TLSv1.3"]);
    session.type_in(CONNECT);
    // Logged in: a ticket would have come.
    server.wait_connection_events(APP, "psk01", &[true]);
    let said = session.leave();
    assert!(!said.contains("New Session Ticket"), "{said}");

    let mut session = super::session(&server, "psk01@app", &KEY, &["-tls1_2", "-cipher", "PSK"]);
    session.log().wait_for(0, &["New, TLSv1.2"]);
    session.type_in(b"R\n");
    let said = session.rest();
    assert!(said.contains("no renegotiation"), "{said}");
}

#[test]
fn handshakes_in_records_of_one_byte_are_served() {
    let server = start(builder(&Authority::root("root")));
    let through = fragmenting(server.address("tls"));
    let key = hex(&KEY);
    for (version, agreed) in [
        (
            &["-tls1_2", "-cipher", "DHE-PSK-AES128-GCM-SHA256"][..],
            "Cipher is DHE-PSK-AES128-GCM-SHA256",
        ),
        (&["-tls1_3"], "Reused, TLSv1.3"),
    ] {
        let identity = ["-psk_identity", "psk01@app", "-psk", &key];
        let said = openssl::s_client(through, &[&identity, version].concat());
        assert!(said.contains(agreed), "{said}");
        assert!(!said.contains("alert"), "{said}");
    }
}

#[test]
fn a_key_exchange_that_never_ends_is_closed_in_time() {
    let server =
        start(builder(&Authority::root("root")).settings("[limits]\nhandshake_timeout = \"1s\""));
    let mark = server.log().mark();
    let mut client = Client::open(server.address("tls"), Version::V311);
    let peer = client.local().to_string();
    client.send(&psk_client_hello());
    let mut stream = client.stream();
    // The server has answered: a ClientKeyExchange of 16 bytes is due, of which four come.
    stream.read_exact(&mut [0; 5]).unwrap();
    client.send(&[22, 3, 3, 0, 20, 16, 0, 0, 16]);
    let _ = stream.read_to_end(&mut Vec::new());
    server.log().wait_for(mark, &[&peer, "handshake_timeout"]);
}

/// TLS 1.2 with `PSK_WITH_AES_128_GCM_SHA256`, and nothing else.
fn psk_client_hello() -> Vec<u8> {
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0, 0xa8, 1, 0]].concat();
    let length = u8::try_from(body.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &body].concat()
}
