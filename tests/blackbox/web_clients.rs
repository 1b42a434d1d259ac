//! Stock clients in WebSocket: MQTT.js and paho-mqtt, plain and over TLS.

use crate::harness::Server;
use crate::harness::documents::APP;
use crate::tools::authority::Authority;
use crate::tools::node::Script;
use crate::tools::paho;

/// A server with the listeners `ws` and `wss`.
fn start() -> Server {
    let authority = Authority::root("root");
    let issued = authority.server(&["localhost", "127.0.0.1"]);
    Server::builder()
        .file("ca.pem", &authority.pem)
        .file("server.pem", &issued.chain)
        .file("server.key", &issued.key)
        .also_listen("ws", "transport = \"websocket\"\n")
        .also_listen(
            "wss",
            "transport = \"websocket\"\n[listeners.tls]\ncertificate = \"server.pem\"\n\
             key = \"server.key\"\n",
        )
        .start_shared()
}

#[test]
fn mqtt_js_publishes_and_takes_commands() {
    let server = start();
    let ca = server.folder().join("ca.pem");
    for (url, ca) in [
        (format!("ws://127.0.0.1:{}/mqtt", server.port("ws")), ""),
        (
            format!("wss://localhost:{}/mqtt", server.port("wss")),
            ca.to_str().unwrap(),
        ),
    ] {
        let script = Script::start("device.mjs", &[&url, ca]);
        for version in ["4", "5"] {
            script
                .log
                .wait_for(0, &[&format!("subscribed {version} 1")]);
            assert_eq!(
                server
                    .command("sensor01", &format!("go-{version}"), b"7")
                    .status,
                200
            );
            script
                .log
                .wait_for(0, &[&format!("command command/inbox//go-{version} 7")]);
            script.log.wait_for(0, &[&format!("ended {version}")]);
        }
        script.success();
    }
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
fn paho_publishes_and_takes_commands() {
    let server = start();
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
