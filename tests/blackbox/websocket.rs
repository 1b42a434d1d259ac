//! MQTT in WebSocket: the upgrade, messages, goodbyes, and peers that do not get it right.

use std::io::{Read as _, Write as _};

use tokio_tungstenite::tungstenite::protocol::frame::{
    Frame,
    coding::{CloseCode, Data, OpCode},
};
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, WebSocket};

use crate::harness::Server;
use crate::harness::documents::{APP, password, user};
use crate::harness::server::Builder;
use crate::harness::wait;
use crate::tools::authority::Authority;
use crate::wire::client::{Duplex, tcp};
use crate::wire::secure::{Tls, websocket, websocket_client};
use crate::wire::{Client, Connect, Publish, Version, kind};

fn builder(keys: &str) -> Builder {
    Server::builder().also_listen("ws", &format!("transport = \"websocket\"\n{keys}"))
}

fn connect(version: Version) -> Connect {
    Connect::new(version, "c", &user("sensor01"), password("sensor01"))
}

fn upgraded(server: &Server) -> WebSocket<Box<dyn Duplex>> {
    let stream = tcp(server.address("ws"));
    websocket(Box::new(stream), "/mqtt", "mqtt", &[]).expect("an upgrade")
}

/// All bytes of binary messages until the goodbye, and its code.
fn rest(socket: &mut WebSocket<Box<dyn Duplex>>) -> (Vec<u8>, Option<u16>) {
    let mut bytes = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Binary(more)) => bytes.extend_from_slice(&more),
            Ok(Message::Close(frame)) => return (bytes, frame.map(|frame| frame.code.into())),
            Ok(_) => {}
            Err(_) => return (bytes, None),
        }
    }
}

#[test]
fn a_device_logs_in_publishes_and_gets_commands() {
    let server = builder("").start_shared();
    for version in Version::ALL {
        let mut client = websocket_client(server.address("ws"), version);
        assert_eq!(client.log_in(&connect(version)).reason(), 0);
        let large = format!("\"{}\"", "x".repeat(40_000));
        assert_eq!(client.publish_1("large", large.as_bytes()).reason(), 0);
        client.disconnect();
    }
    server.wait_published(APP, 3);
}

#[test]
fn packets_may_span_messages_and_share_them() {
    let server = builder("").start_shared();
    let mut bytes = connect(Version::V5).encode();
    for id in 1..=3 {
        bytes.extend(Publish::new("t", b"1").qos(1, id).encode(Version::V5));
    }
    bytes.extend([0xE0, 0]);
    for cut in [1, 7, bytes.len()] {
        let mut socket = upgraded(&server);
        for part in bytes.chunks(cut) {
            socket.write(Message::Binary(part.to_vec().into())).unwrap();
        }
        socket.flush().unwrap();
        let (received, code) = rest(&mut socket);
        assert_eq!(received[0] >> 4, kind::CONNACK);
        assert_eq!(
            code,
            Some(1000),
            "the goodbye to a client that said goodbye"
        );
    }
    server.wait_published(APP, 9);
}

#[test]
fn fragmented_messages_are_put_together() {
    let server = builder("").start_shared();
    let mut socket = upgraded(&server);
    let mut bytes = connect(Version::V5).encode();
    bytes.extend([0xC0, 0, 0xE0, 0]);
    let parts: Vec<_> = bytes.chunks(5).collect();
    for (index, part) in parts.iter().enumerate() {
        let opcode = if index == 0 {
            Data::Binary
        } else {
            Data::Continue
        };
        let frame = Frame::message(
            part.to_vec(),
            OpCode::Data(opcode),
            index + 1 == parts.len(),
        );
        socket.write(Message::Frame(frame)).unwrap();
    }
    socket.flush().unwrap();
    let (received, _) = rest(&mut socket);
    assert!(
        received.ends_with(&[kind::PINGRESP << 4, 0]),
        "{received:?}"
    );
}

#[test]
fn pings_of_the_websocket_are_answered() {
    let server = builder("").start_shared();
    let mut socket = upgraded(&server);
    socket
        .send(Message::Ping(b"there?".to_vec().into()))
        .unwrap();
    assert_eq!(
        socket.read().unwrap(),
        Message::Pong(b"there?".to_vec().into())
    );
    socket
        .send(Message::Binary(connect(Version::V5).encode().into()))
        .unwrap();
    assert!(matches!(socket.read().unwrap(), Message::Binary(_)));
    socket
        .send(Message::Ping(b"still?".to_vec().into()))
        .unwrap();
    assert_eq!(
        socket.read().unwrap(),
        Message::Pong(b"still?".to_vec().into())
    );
}

#[test]
fn the_goodbye_of_a_client_is_answered() {
    let server = builder("").start_shared();
    for logged_in in [false, true] {
        let mut socket = upgraded(&server);
        if logged_in {
            let bytes = connect(Version::V5).encode();
            socket.send(Message::Binary(bytes.into())).unwrap();
            assert!(matches!(socket.read().unwrap(), Message::Binary(_)));
        }
        let goodbye = CloseFrame {
            code: CloseCode::Away,
            reason: "".into(),
        };
        socket.close(Some(goodbye)).unwrap();
        assert_eq!(rest(&mut socket).1, Some(1001), "RFC 6455, 5.5.1");
    }
    // It is no DISCONNECT, and still the end.
    server.wait_connection_events(APP, "sensor01", &[true, false]);
}

#[test]
fn a_text_message_ends_the_connection() {
    // [MQTT-6.0.0-1]
    let server = builder("").start_shared();
    let mark = server.log().mark();
    for first in [true, false] {
        let mut socket = upgraded(&server);
        if !first {
            socket
                .send(Message::Binary(connect(Version::V5).encode().into()))
                .unwrap();
        }
        socket.send(Message::text("hello")).unwrap();
        assert_eq!(rest(&mut socket).1, Some(1003));
    }
    server.log().wait_for(mark, &["text message", "1003"]);
    // What came right before it counts.
    server.wait_connection_events(APP, "sensor01", &[true, false]);
}

#[test]
fn messages_that_are_too_large_or_not_masked_end_the_connection() {
    let server = builder("").start_shared();
    let mut socket = upgraded(&server);
    // A frame's head that promises a gigabyte.
    socket
        .get_mut()
        .write_all(&[0x82, 0xFF, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4])
        .unwrap();
    assert_eq!(rest(&mut socket).1, Some(1009));
    let mut socket = upgraded(&server);
    socket.get_mut().write_all(&[0x82, 0x02, 0xC0, 0]).unwrap();
    assert_eq!(rest(&mut socket).1, Some(1002));
    // A reserved bit.
    let mut socket = upgraded(&server);
    socket
        .get_mut()
        .write_all(&[0xC2, 0x80, 0, 0, 0, 0])
        .unwrap();
    assert_eq!(rest(&mut socket).1, Some(1002));
    // Fragments that add up.
    let config = WebSocketConfig::default().max_write_buffer_size(1 << 24);
    let mut socket = upgraded(&server);
    socket.set_config(|old| *old = config);
    for _ in 0..4 {
        let frame = Frame::message(vec![0; 30_000], OpCode::Data(Data::Binary), false);
        let _ = socket.get_mut().flush();
        let first = socket.write(Message::Frame(frame));
        if first.is_err() {
            break;
        }
    }
    let _ = socket.flush();
    assert!(matches!(rest(&mut socket).1, Some(1002 | 1009)));
}

#[test]
fn the_goodbye_of_a_stopping_server_says_so() {
    let mut server = builder("").start_shared();
    let mut socket = upgraded(&server);
    socket
        .send(Message::Binary(connect(Version::V5).encode().into()))
        .unwrap();
    assert!(matches!(socket.read().unwrap(), Message::Binary(_)));
    server.terminate();
    let (bytes, code) = rest(&mut socket);
    assert_eq!(bytes, [0xE0, 1, 0x8B]);
    assert_eq!(code, Some(1001), "going away");
    server.wait();
}

#[test]
fn the_subprotocol_is_demanded_and_agreed() {
    let server = builder("").start_shared();
    let offer = |protocols: &str| {
        let stream = tcp(server.address("ws"));
        websocket(Box::new(stream), "/mqtt", protocols, &[]).map(drop)
    };
    for protocols in ["mqtt", "mqttv3.1", "other, mqtt"] {
        // The client's own check of what was agreed is the assertion.
        assert_eq!(offer(protocols), Ok(()), "{protocols}");
    }
    // [MQTT-6.0.0-3]
    assert_eq!(offer("wamp"), Err(400));
    assert_eq!(offer(""), Err(400));
}

#[test]
fn path_and_origins_can_be_chosen() {
    let server =
        builder("path = \"/devices\"\norigins = [\"https://app.example\"]\n").start_shared();
    let ask = |path: &str, headers: &[(&str, &str)]| {
        let stream = tcp(server.address("ws"));
        websocket(Box::new(stream), path, "mqtt", headers).map(drop)
    };
    assert_eq!(ask("/devices", &[]), Ok(()));
    assert_eq!(ask("/mqtt", &[]), Err(404));
    assert_eq!(
        ask("/devices", &[("Origin", "https://app.example")]),
        Ok(())
    );
    assert_eq!(
        ask("/devices", &[("Origin", "https://evil.example")]),
        Err(403)
    );
}

#[test]
fn what_is_no_upgrade_gets_an_http_answer_and_a_line_in_the_log() {
    let server = builder("").start_shared();
    let mark = server.log().mark();
    let ask = |request: &str| {
        let mut stream = tcp(server.address("ws"));
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    let answer = ask("GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 426 "), "{answer}");
    assert!(
        answer.to_lowercase().contains("upgrade: websocket"),
        "{answer}"
    );
    server
        .log()
        .wait_for(mark, &["handshake failed", "HTTP request refused"]);
    let large = format!(
        "GET /mqtt HTTP/1.1\r\nHost: x\r\nX: {}\r\n\r\n",
        "x".repeat(40_000)
    );
    assert!(ask(&large).starts_with("HTTP/1.1 431 "));
    let many: String = (0..200).map(|n| format!("X-{n}: 1\r\n")).collect();
    let answer = ask(&format!("GET /mqtt HTTP/1.1\r\nHost: x\r\n{many}\r\n"));
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    server.log().wait_for(mark, &["no HTTP upgrade"]);

    let mut plain = Client::open(server.address("ws"), Version::V5);
    plain.send(&connect(Version::V5).encode());
    plain.expect_closed();
    server
        .log()
        .wait_for(mark, &["plain MQTT where WebSocket is spoken"]);
    let authority = Authority::root("root");
    assert!(
        Tls::trusting(&authority.pem)
            .connect(server.address("ws"), "localhost")
            .is_err()
    );
    server.log().wait_for(mark, &["TLS where none is spoken"]);
    let mut http = Client::open(server.mqtt(), Version::V5);
    http.send(b"GET /mqtt HTTP/1.1\r\nHost: x\r\n\r\n");
    http.expect_closed();
    server.log().wait_for(mark, &["HTTP where MQTT is spoken"]);
}

#[test]
fn an_upgrade_that_never_comes_is_ended_in_time() {
    let server = builder("")
        .settings("[limits]\nhandshake_timeout = \"1s\"\nconnect_timeout = \"1s\"")
        .start_shared();
    let mark = server.log().mark();
    for bytes in [&b""[..], b"G", b"GET /mqtt HTTP/1.1\r\nHost: x\r\nX: "] {
        let mut client = Client::open(server.address("ws"), Version::V5);
        let peer = client.local().to_string();
        client.send(bytes);
        let mut stream = client.stream();
        let _ = stream.read_to_end(&mut Vec::new());
        server.log().wait_for(mark, &[&peer]);
    }
    // Bytes that come one by one buy no time.
    let mut trickle = tcp(server.address("ws"));
    let peer = trickle.local_addr().unwrap().to_string();
    let mut stream = trickle.try_clone().unwrap();
    let feeder = std::thread::spawn(move || {
        let head = b"GET /mqtt HTTP/1.1\r\nHost: x\r\nX: ";
        for byte in head
            .iter()
            .copied()
            .chain(std::iter::repeat_n(b'x', 10_000))
        {
            if stream.write_all(&[byte]).is_err() {
                return;
            }
            wait::pause();
        }
        panic!("the server read a request for minutes");
    });
    let _ = trickle.read_to_end(&mut Vec::new());
    feeder.join().unwrap();
    server.log().wait_for(mark, &[&peer, "handshake failed"]);
    // After the upgrade, CONNECT has its own time.
    let (_, code) = rest(&mut upgraded(&server));
    assert!(code.is_some(), "a goodbye");
}

#[test]
fn secure_websocket_is_both() {
    let authority = Authority::root("root");
    let issued = authority.server(&["localhost"]);
    let server = Server::builder()
        .file("server.pem", &issued.chain)
        .file("server.key", &issued.key)
        .also_listen(
            "wss",
            "transport = \"websocket\"\n[listeners.tls]\ncertificate = \"server.pem\"\n\
             key = \"server.key\"\n",
        )
        .start_shared();
    let tls = Tls::trusting(&authority.pem).asking_for(&["http/1.1"]);
    let secure = tls.connect(server.address("wss"), "localhost").unwrap();
    assert_eq!(secure.protocol().as_deref(), Some("http/1.1"));
    let mut socket = websocket(Box::new(secure), "/mqtt", "mqtt", &[]).expect("an upgrade");
    socket
        .send(Message::Binary(connect(Version::V5).encode().into()))
        .unwrap();
    let Message::Binary(connack) = socket.read().unwrap() else {
        panic!("a binary message")
    };
    assert_eq!(connack[0] >> 4, kind::CONNACK);
    let connections = server
        .api()
        .get(&format!("/api/connections/v1alpha1/apps/{APP}"));
    assert!(
        connections.text().contains("\"wss\""),
        "{}",
        connections.text()
    );
}
