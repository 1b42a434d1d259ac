//! Stock clients in WebSocket: MQTT.js in Node and in a browser, paho-mqtt; plain and over TLS.

use crate::harness::Server;
use crate::harness::documents::{APP, SENSOR_PASSWORD};
use crate::harness::log::Log;
use crate::tools::authority::{Authority, Issued};
use crate::tools::browser::{Page, serve_page};
use crate::tools::node::Script;
use crate::tools::paho;

/// A server with the listeners `ws` and `wss`, which have these further keys.
fn start(issued: &Issued, authority: &Authority, keys: &str) -> Server {
    let websocket = format!("transport = \"websocket\"\n{keys}");
    Server::builder()
        .file("ca.pem", &authority.pem)
        .file("server.pem", &issued.chain)
        .file("server.key", &issued.key)
        .also_listen("ws", &websocket)
        .also_listen(
            "wss",
            &format!(
                "{websocket}[listeners.tls]\ncertificate = \"server.pem\"\n\
                 key = \"server.key\"\n"
            ),
        )
        .start_shared()
}

fn start_plainly() -> Server {
    let authority = Authority::root("root");
    let issued = authority.server(&["localhost", "127.0.0.1"]);
    start(&issued, &authority, "")
}

/// Sends the commands that a client of MQTT.js waits for, in both versions, and follows it to its
/// end.
#[track_caller]
fn accompany(server: &Server, log: &Log) {
    for version in ["4", "5"] {
        log.wait_for(0, &[&format!("subscribed {version} 1")]);
        let command = server.command("sensor01", &format!("go-{version}"), b"7");
        assert_eq!(command.status, 200);
        log.wait_for(0, &[&format!("command command/inbox//go-{version} 7")]);
        log.wait_for(0, &[&format!("ended {version}")]);
    }
}

/// What two runs of a client of MQTT.js publish.
fn all_was_published_twice(server: &Server) {
    let events = server.wait_published(APP, 12);
    let of = |subject: &str| {
        events
            .iter()
            .filter(|event| event["subject"] == subject)
            .count()
    };
    assert_eq!((of("small"), of("large"), of("unasked")), (4, 4, 4));
}

#[test]
fn mqtt_js_publishes_and_takes_commands() {
    let server = start_plainly();
    let ca = server.folder().join("ca.pem");
    for (url, ca) in [
        (format!("ws://127.0.0.1:{}/mqtt", server.port("ws")), ""),
        (
            format!("wss://localhost:{}/mqtt", server.port("wss")),
            ca.to_str().unwrap(),
        ),
    ] {
        let script = Script::start("device.mjs", &[&url, ca]);
        accompany(&server, &script.log);
        script.success();
    }
    all_was_published_twice(&server);
}

#[test]
fn a_page_in_a_browser_publishes_and_takes_commands() {
    let authority = Authority::root("root");
    let issued = authority.server(&["localhost"]);
    let port = serve_page();
    let origins = format!("origins = [\"http://127.0.0.1:{port}\"]\n");
    let server = start(&issued, &authority, &origins);
    for url in [
        format!("ws://127.0.0.1:{}/mqtt", server.port("ws")),
        format!("wss://localhost:{}/mqtt", server.port("wss")),
    ] {
        let settings = format!("url={url}&password={SENSOR_PASSWORD}");
        let page = format!("http://127.0.0.1:{port}/page.html?{settings}");
        let page = Page::open(&page, &[&issued]);
        accompany(&server, &page.log);
        page.log.wait_for(0, &["websocket closed cleanly"]);
        let lines = page.log.lines();
        assert!(
            !lines.iter().any(|line| line.contains("closed abnormally")),
            "{lines:#?}"
        );
    }
    all_was_published_twice(&server);
}

#[test]
fn a_page_of_another_origin_is_kept_out() {
    let authority = Authority::root("root");
    let issued = authority.server(&["localhost"]);
    let port = serve_page();
    let origins = format!("origins = [\"http://127.0.0.1:{port}\"]\n");
    let server = start(&issued, &authority, &origins);
    let mark = server.log().mark();
    let url = format!("ws://127.0.0.1:{}/mqtt", server.port("ws"));
    // The same page by another name.
    let page = format!("http://localhost:{port}/page.html?url={url}&password={SENSOR_PASSWORD}");
    let page = Page::open(&page, &[]);
    page.log.wait_for(0, &["websocket closed abnormally 1006"]);
    server
        .log()
        .wait_for(mark, &["handshake failed", "scripts of this origin"]);
}

#[test]
fn paho_publishes_and_takes_commands() {
    let server = start_plainly();
    let ca = server.folder().join("ca.pem");
    let (ws, wss) = (
        server.port("ws").to_string(),
        server.port("wss").to_string(),
    );
    let settings = [
        ("WS_PORT", &*ws),
        ("WSS_PORT", &*wss),
        ("CA", ca.to_str().unwrap()),
    ];
    paho::run_with(
        &server,
        "websocket",
        "publishes_and_takes_commands",
        &settings,
    );
    server.wait_published(APP, 8);
}
