//! The API over TLS: who is served, how, and with which certificate.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;

use nix::sys::signal::Signal;

use crate::cli::{fail, succeed, text};
use crate::harness::Server;
use crate::harness::documents::APP;
use crate::harness::wait;
use crate::tools::authority::Authority;
use crate::wire::client::tcp;
use crate::wire::secure::Tls;

fn address(server: &Server) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, server.api_port()).into()
}

/// Asks for the applications in HTTP/1.1, and returns the answer's first line.
fn ask(server: &Server, tls: &Tls, headers: &str) -> String {
    let mut secure = tls.connect(address(server), "localhost").unwrap();
    let request = format!(
        "GET /api/registry/v1alpha1/apps HTTP/1.1\r\nHost: localhost:{}\r\n\
         Authorization: Bearer {}\r\nConnection: close\r\n{headers}\r\n",
        server.api_port(),
        server.token()
    );
    secure.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    secure.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    answer.lines().next().unwrap().to_owned()
}

#[test]
fn the_api_is_served_over_tls_and_not_in_clear_text() {
    let authority = Authority::root("root");
    let server = Server::builder().api_over_tls(&authority).start_shared();
    let tls = Tls::trusting(&authority.pem);
    assert_eq!(ask(&server, &tls, ""), "HTTP/1.1 200 OK");
    let old = Tls::trusting_in_1_2(&authority.pem);
    assert_eq!(ask(&server, &old, ""), "HTTP/1.1 200 OK");
    for (asked, agreed) in [
        (&["h2", "http/1.1"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&[], None),
    ] {
        let secure = tls.asking_for(asked).connect(address(&server), "localhost");
        assert_eq!(secure.unwrap().protocol().as_deref(), agreed);
    }
    let mqtt = tls
        .asking_for(&["mqtt"])
        .connect(address(&server), "localhost");
    assert!(mqtt.is_err(), "no MQTT here");

    let mut plain = tcp(address(&server));
    let request = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    plain.write_all(request).unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer);
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[test]
fn a_page_of_the_same_host_may_ask_over_tls_and_no_other() {
    let authority = Authority::root("root");
    let server = Server::builder().api_over_tls(&authority).start_shared();
    let tls = Tls::trusting(&authority.pem);
    let port = server.api_port();
    let own = format!("Origin: https://localhost:{port}\r\n");
    assert_eq!(ask(&server, &tls, &own), "HTTP/1.1 200 OK");
    for origin in [
        format!("http://localhost:{port}"),
        "https://localhost:1".to_owned(),
        "https://attacker.example".to_owned(),
    ] {
        let foreign = format!("Origin: {origin}\r\n");
        assert_eq!(
            ask(&server, &tls, &foreign),
            "HTTP/1.1 403 Forbidden",
            "{origin}"
        );
    }
}

#[test]
fn the_command_line_trusts_the_authority_that_it_is_told_and_no_other() {
    let authority = Authority::root("root");
    let server = Server::builder().api_over_tls(&authority).start_shared();
    // Its environment names the authority.
    assert!(succeed(&server, &["get", "app"]).contains(APP));
    let other = Authority::root("other");
    std::fs::write(server.folder().join("other.pem"), other.pem).unwrap();
    assert!(succeed(&server, &["get", "app", "--ca", "api-ca.pem"]).contains(APP));
    let told = fail(&server, &["get", "app", "--ca", "other.pem"]);
    assert!(
        told.contains("https://localhost") && told.contains("invalid peer certificate"),
        "{told}"
    );

    // The system knows the authority no more than another one.
    let mut command = server.cli_command(&["get", "app"]);
    let run = command.env_remove("LANDFALL_CA").output().unwrap();
    let told = text(&run);
    assert_eq!(run.status.code(), Some(1), "{told}");
    for part in ["https://localhost", "UnknownIssuer", "--ca", "LANDFALL_CA"] {
        assert!(told.contains(part), "no {part} in: {told}");
    }

    for (file, part) in [
        ("missing.pem", "No such file"),
        ("api.key", "no certificate"),
    ] {
        let told = fail(&server, &["get", "app", "--ca", file]);
        assert!(told.contains(file) && told.contains(part), "{told}");
    }
}

#[test]
fn slow_tls_handshakes_keep_nobody_from_the_api_and_end() {
    let begun = |server: &Server| -> Vec<TcpStream> {
        let open = |_| {
            let mut stream = tcp(address(server));
            stream.write_all(&[22, 3, 1, 0x3F, 0, 1]).unwrap();
            stream
        };
        (0..200).map(open).collect()
    };
    let authority = Authority::root("root");
    let patient = Server::builder()
        .api_over_tls(&authority)
        .settings("[limits]\nhandshake_timeout = \"5m\"")
        .start_shared();
    let mut slow = begun(&patient);
    let tls = Tls::trusting(&authority.pem);
    assert_eq!(ask(&patient, &tls, ""), "HTTP/1.1 200 OK");
    for stream in &mut slow {
        stream.set_nonblocking(true).unwrap();
        let error = stream.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::WouldBlock);
    }

    let short = Server::builder()
        .api_over_tls(&authority)
        .settings("[limits]\nhandshake_timeout = \"1s\"")
        .start();
    for mut stream in begun(&short) {
        wait::until("the end of a slow handshake", || {
            (!matches!(stream.read(&mut [0]), Ok(1..))).then_some(())
        });
    }
}

#[test]
fn new_clients_of_the_api_are_shown_a_replaced_certificate() {
    let authority = Authority::root("root");
    let mut server = Server::builder().api_over_tls(&authority).start_shared();
    let tls = Tls::trusting(&authority.pem);
    let shown = |server: &Server| {
        let secure = tls.connect(address(server), "localhost");
        secure.unwrap().certificate()
    };
    let replace = |folder: &Path| {
        let issued = authority.server(&["localhost"]);
        std::fs::write(folder.join("api.pem"), issued.chain).unwrap();
        std::fs::write(folder.join("api.key"), issued.key).unwrap();
    };
    let first = shown(&server);
    replace(server.folder());
    let second = wait::until("another certificate", || {
        let now = shown(&server);
        (now != first).then_some(now)
    });

    // A file that cannot be served changes nothing.
    let mark = server.log().mark();
    std::fs::write(server.folder().join("api.key"), "no key").unwrap();
    server
        .log()
        .wait_for(mark, &["not loaded", "api.key", "no private key"]);
    assert_eq!(shown(&server), second);

    replace(server.folder());
    let mark = server.log().mark();
    server.signal(Signal::SIGHUP);
    server
        .log()
        .wait_for(mark, &["certificates and keys loaded again"]);
    wait::until("a third certificate", || {
        (shown(&server) != second).then_some(())
    });
}
