//! Edges of a real network: balancers, Unix sockets, IPv6, limits by listener, application and rate,
//! and want of descriptors.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::net::UnixStream;

use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::harness::recovery::Recovery;
use crate::harness::wait;
use crate::tools::authority::Authority;
use crate::wire::client::tcp;
use crate::wire::secure::Tls;
use crate::wire::{Client, Connect, Version, kind};

fn connect(version: Version, client_id: &str) -> Connect {
    Connect::new(version, client_id, &user("sensor01"), password("sensor01"))
}

fn connections(server: &Server) -> String {
    server
        .api()
        .get(&format!("/api/connections/v1alpha1/apps/{APP}"))
        .text()
}

#[test]
fn a_balancer_names_the_devices_address() {
    let server = Server::builder()
        .settings("[limits]\nconnect_timeout = \"1s\"")
        .also_listen("proxied", "proxy_protocol = [\"127.0.0.0/8\"]\n")
        .start_shared();
    let v2 = [
        &b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c"[..],
        &[192, 0, 2, 8, 127, 0, 0, 1, 0xc3, 0x50, 0x07, 0x5b],
    ]
    .concat();
    for (header, address) in [
        (
            &b"PROXY TCP4 192.0.2.7 127.0.0.1 50000 1883\r\n"[..],
            "192.0.2.7:50000",
        ),
        (&v2, "192.0.2.8:50000"),
    ] {
        let mut client = Client::open(server.address("proxied"), Version::V5);
        // Header and CONNECT in one segment.
        let bytes = [header, &connect(Version::V5, "c").encode()].concat();
        client.send(&bytes);
        assert_eq!(client.expect(kind::CONNACK).reason(), 0);
        let listed = connections(&server);
        assert!(listed.contains(address), "{listed}");
        client.disconnect();
    }
    // The balancer's own health checks have no client.
    let mut client = Client::open(server.address("proxied"), Version::V5);
    client.send(b"PROXY UNKNOWN\r\n");
    assert_eq!(client.log_in(&connect(Version::V5, "c")).reason(), 0);

    let mark = server.log().mark();
    let mut direct = Client::open(server.address("proxied"), Version::V5);
    direct.send(&connect(Version::V5, "c").encode());
    direct.expect_closed();
    server
        .log()
        .wait_for(mark, &["handshake failed", "no PROXY header"]);
    // Nobody else is believed.
    let mut stranger = Client::open(server.mqtt(), Version::V5);
    stranger.send(b"PROXY TCP4 192.0.2.7 127.0.0.1 50000 1883\r\n");
    stranger.expect_closed();
    server
        .log()
        .wait_for(mark, &["connect refused", "PROXY header from a peer"]);
}

#[test]
fn the_header_of_a_balancer_stands_before_tls() {
    let authority = Authority::root("root");
    let issued = authority.server(&["localhost"]);
    let server = Server::builder()
        .file("server.pem", &issued.chain)
        .file("server.key", &issued.key)
        .also_listen(
            "tls",
            "proxy_protocol = [\"127.0.0.1\"]\n[listeners.tls]\ncertificate = \"server.pem\"\n\
             key = \"server.key\"\n",
        )
        .start_shared();
    let stream = tcp(server.address("tls"));
    (&stream)
        .write_all(b"PROXY TCP6 2001:db8::7 ::1 50000 8883\r\n")
        .unwrap();
    let mut client = Tls::trusting(&authority.pem)
        .over(stream, "localhost")
        .unwrap()
        .client(Version::V5);
    assert_eq!(client.log_in(&connect(Version::V5, "c")).reason(), 0);
    let listed = connections(&server);
    assert!(listed.contains("[2001:db8::7]:50000"), "{listed}");
}

#[test]
fn sidecars_connect_through_a_unix_socket() {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("mqtt.sock");
    let settings = format!(
        "[[listeners]]\nbind = \"unix:{}\"\nanonymous_device = \"sensor01@app\"\n",
        path.display()
    );
    let mut server = Server::builder().settings(&settings).start_shared();
    let anonymous = Connect {
        user: None,
        password: None,
        ..connect(Version::V5, "c")
    };
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(wait::DEADLINE)).unwrap();
    stream.write_all(&anonymous.encode()).unwrap();
    let mut connack = [0; 4];
    stream.read_exact(&mut connack).unwrap();
    assert_eq!((connack[0] >> 4, connack[3]), (kind::CONNACK, 0));
    let listed = connections(&server);
    assert!(listed.contains("\"unix\""), "{listed}");
    server.terminate();
    server.wait();
    assert!(!path.exists(), "the file goes with the socket");
}

#[test]
fn a_listener_has_a_limit_of_its_own() {
    let server = Server::builder()
        .also_listen("few", "connections = 2\n")
        .start_shared();
    let open = |id: &str, version| {
        let mut client = Client::open(server.address("few"), version);
        let reason = client.log_in(&connect(version, id)).reason();
        (client, reason)
    };
    let (first, reason) = open("1", Version::V5);
    assert_eq!(reason, 0);
    let (_second, reason) = open("2", Version::V311);
    assert_eq!(reason, 0);
    assert_eq!(open("3", Version::V5).1, 0x97);
    assert_eq!(open("3", Version::V311).1, 3);
    // Others are not concerned.
    Client::accepted(&server, &connect(Version::V5, "other")).disconnect();
    first.disconnect();
    wait::until("room for another connection", || {
        (open("3", Version::V5).1 == 0).then_some(())
    });
}

#[test]
fn an_application_has_a_limit_of_its_own() {
    let settings = "[limits]\nconnections_per_application = 2\n";
    let server = Server::builder().settings(settings).start_shared();
    let _first = Client::accepted(&server, &connect(Version::V5, "1"));
    let second = Client::accepted(&server, &connect(Version::V311, "2"));
    let (_, connack) = Client::connect(&server, &connect(Version::V5, "3"));
    assert_eq!(connack.reason(), 0x97);
    second.disconnect();
    wait::until("room for another connection", || {
        let (_, connack) = Client::connect(&server, &connect(Version::V5, "3"));
        (connack.reason() == 0).then_some(())
    });
}

#[test]
fn an_address_that_connects_too_often_is_told_and_then_closed() {
    let server = Server::builder()
        .also_listen(
            "rated",
            "connection_rate = 1\nproxy_protocol = [\"127.0.0.1\"]\n",
        )
        .start_shared();
    let from = |address: &str, version| {
        let mut client = Client::open(server.address("rated"), version);
        client.send(format!("PROXY TCP4 {address} 127.0.0.1 1 1\r\n").as_bytes());
        client.send(&connect(version, "c").encode());
        client
    };
    let mut first = from("192.0.2.1", Version::V5);
    assert_eq!(first.expect(kind::CONNACK).reason(), 0);
    let mark = server.log().mark();
    let mut told = from("192.0.2.1", Version::V5);
    assert_eq!(told.expect(kind::CONNACK).reason(), 0x9F);
    server.log().wait_for(
        mark,
        &["connect refused", "too many connections from this address"],
    );
    // Another address is not concerned.
    let mut other = from("192.0.2.2", Version::V311);
    assert_eq!(other.expect(kind::CONNACK).reason(), 0);
    wait::until("a connection that is closed at once", || {
        let mut client = from("192.0.2.1", Version::V5);
        matches!(client.receive(), crate::wire::Received::Closed).then_some(())
    });
    server.log().wait_for(
        mark,
        &["handshake failed", "too many connections from this address"],
    );
}

#[test]
fn accept_loops_side_by_side_serve_all() {
    let server = Server::builder()
        .also_listen("wide", "accept_loops = 4\n")
        .start_shared();
    let clients: Vec<Client> = (0..40)
        .map(|n| {
            let mut client = Client::open(server.address("wide"), Version::V5);
            let connack = client.log_in(&connect(Version::V5, &format!("c{}", n % 4)));
            assert_eq!(connack.reason(), 0);
            client
        })
        .collect();
    drop(clients);
}

#[test]
fn a_header_that_never_ends_is_closed_in_time() {
    let server = Server::builder()
        .settings("[limits]\nhandshake_timeout = \"1s\"")
        .also_listen("proxied", "proxy_protocol = [\"127.0.0.1\"]\n")
        .start_shared();
    let mark = server.log().mark();
    let mut silent = Client::open(server.address("proxied"), Version::V5);
    let mut halfway = Client::open(server.address("proxied"), Version::V5);
    halfway.send(b"PROXY TCP4 192.0.2.7");
    for client in [&mut silent, &mut halfway] {
        let peer = client.local().to_string();
        client.expect_closed();
        server.log().wait_for(mark, &[&peer, "handshake_timeout"]);
    }
    // Bytes that come one by one buy no time.
    let mut trickle = Client::open(server.address("proxied"), Version::V5);
    let mut stream = trickle.stream();
    let feeder = std::thread::spawn(move || {
        // LOCAL, with 2,048 bytes of what is to be ignored.
        let head = b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x08\x00";
        for byte in head.iter().copied().chain(std::iter::repeat_n(0, 2_048)) {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            wait::pause();
        }
    });
    trickle.expect_closed();
    feeder.join().unwrap();
}

#[test]
fn devices_connect_over_ipv6() {
    let settings = "[[listeners]]\nbind = \"[::1]:0\"\n[[listeners]]\nbind = \"[::]:0\"\n";
    let server = Server::builder().settings(settings).start_shared();
    let bound = |start: &str| -> u16 {
        let line = server.log().wait_for(0, &["serving MQTT", start]);
        let (_, rest) = line.split_once(start).unwrap();
        let port: String = rest.chars().take_while(char::is_ascii_digit).collect();
        port.parse().unwrap()
    };
    let (six, both) = (bound("[::1]:"), bound("[::]:"));
    for (address, shown) in [
        (SocketAddr::from((Ipv6Addr::LOCALHOST, six)), "\"[::1]:"),
        (SocketAddr::from((Ipv6Addr::LOCALHOST, both)), "\"[::1]:"),
        // IPv4 that comes through IPv6 is shown as what it is.
        (
            SocketAddr::from((Ipv4Addr::LOCALHOST, both)),
            "\"127.0.0.1:",
        ),
    ] {
        let mut client = Client::open(address, Version::V5);
        assert_eq!(client.log_in(&connect(Version::V5, "c")).reason(), 0);
        let listed = connections(&server);
        assert!(listed.contains(shown), "{listed}");
        client.disconnect();
    }
}

#[test]
fn without_descriptors_accepting_waits_and_goes_on() {
    let server = Server::builder().descriptors(160).start_shared();
    server.log().wait_for(
        0,
        &[
            "too few file descriptors for limits.connections",
            "limit=160",
        ],
    );
    let mark = server.log().mark();
    let mut patient = Client::accepted(&server, &connect(Version::V5, "patient"));
    let crowd: Vec<_> = (0..300).map(|_| tcp(server.mqtt())).collect();
    server
        .log()
        .wait_for(mark, &["cannot accept connections", "trying again"]);
    patient.ping();
    drop(crowd);
    let recovery = Recovery::begin();
    wait::until("room for another connection", || {
        let (_, connack) = Client::connect(&server, &connect(Version::V5, "c"));
        (connack.reason() == 0).then_some(())
    });
    recovery.end("want of descriptors");
    let lines = server.log().lines();
    let said = lines
        .iter()
        .filter(|line| line.contains("cannot accept connections"));
    assert!(said.count() <= 2, "one line in a while: {lines:#?}");
    let metrics = server.ops().get("/metrics").text();
    assert!(
        !metrics.contains("landfall_accepts_failed_total 0\n"),
        "{metrics}"
    );
}
