//! Clients as Octopus' MQTT options make them: paho-mqtt in MQTT 3.1 and 3.1.1, by every scheme, on
//! plain topics. What each scenario does is in `tests/clients/octopus.py`.

use serde_json::{Value, json};

use crate::harness::Server;
use crate::harness::documents::{APP, shared_devices};
use crate::harness::wait::until;
use crate::tools::authority::Authority;
use crate::tools::paho::run_with;

const SOCKET: &str = "octopus.sock";

fn start(mqtt: Value) -> Server {
    let server = Server::shared();
    server.edit_app(|document| document["spec"]["mqtt"] = mqtt);
    server
}

fn plain() -> Value {
    json!({ "dialect": { "type": "plainTopic" } })
}

#[track_caller]
fn run(server: &Server, scenario: &str) {
    run_with(server, "octopus", scenario, &[]);
}

#[test]
fn clients_connect_by_every_scheme_in_3_1_and_3_1_1() {
    let authority = Authority::root("root");
    let issued = authority.server(&["localhost", "127.0.0.1"]);
    let folder = tempfile::TempDir::new().unwrap();
    let socket = folder.path().join(SOCKET);
    let tls = "[listeners.tls]\ncertificate = \"server.pem\"\nkey = \"server.key\"\n";
    let unix = format!("[[listeners]]\nbind = \"unix:{}\"\n", socket.display());
    let server = Server::builder()
        .file("ca.pem", &authority.pem)
        .file("server.pem", &issued.chain)
        .file("server.key", &issued.key)
        .also_listen("tls", tls)
        .also_listen("ws", "transport = \"websocket\"\n")
        .also_listen("wss", &format!("transport = \"websocket\"\n{tls}"))
        .settings(&unix)
        .start_with(APP, &shared_devices());
    server.edit_app(|document| document["spec"]["mqtt"] = plain());
    let port = |name: &str| server.port(name).to_string();
    let settings = [
        ("CA", server.folder().join("ca.pem").display().to_string()),
        ("UNIX_SOCKET", socket.display().to_string()),
        ("TLS_PORT", port("tls")),
        ("WS_PORT", port("ws")),
        ("WSS_PORT", port("wss")),
    ];
    let settings: Vec<(&str, &str)> = settings.iter().map(|(n, v)| (*n, v.as_str())).collect();
    run_with(&server, "octopus", "every_scheme_and_version", &settings);
    let events = server.wait_published(APP, 10);
    let first = &events[0];
    assert_eq!(first["subject"], "octopus/default/living-room-fan/tcp");
}

#[test]
fn client_ids_may_be_longer_than_3_1_allows() {
    run(&start(plain()), "client_ids");
}

#[test]
fn sessions_that_are_not_clean_are_refused() {
    run(&start(plain()), "clean_session_only");
}

#[test]
fn topics_of_both_forms_are_channels_at_every_level_of_service() {
    let server = start(plain());
    run(&server, "topics_and_levels_of_service");
    let events = server.wait_published(APP, 7);
    let uid = "octopus/835aea2e-5f80-4d14-88f5-40c4bda41aa3";
    let subjects: Vec<&str> = events
        .iter()
        .map(|e| e["subject"].as_str().unwrap())
        .collect();
    assert_eq!(
        subjects.iter().filter(|subject| **subject == uid).count(),
        3
    );
    assert_eq!(events[6]["mqttretain"], true);
    assert!(events[0].get("mqttretain").is_none());
}

#[test]
fn messages_keep_their_order_within_each_level_of_service() {
    let server = start(plain());
    run(&server, "messages_keep_their_order");
    let events = server.wait_published(APP, 200);
    let data: Vec<u64> = events.iter().map(|e| e["data"].as_u64().unwrap()).collect();
    // Within each level of service: the client holds more of those that are acknowledged back.
    for qos in 0..3 {
        let of_level = data.iter().copied().filter(|n| n % 3 == qos);
        assert!(of_level.is_sorted(), "QoS {qos}");
    }
}

#[test]
fn wills_have_static_and_suffixed_topics() {
    let server = start(plain());
    run(&server, "wills");
    let events = until("three wills", || {
        let events = server.published(APP);
        (events.len() == 3).then_some(events)
    });
    let mut subjects: Vec<&str> = events
        .iter()
        .map(|e| e["subject"].as_str().unwrap())
        .collect();
    subjects.sort_unstable();
    let expected = [
        "octopus/835aea2e-5f80-4d14-88f5-40c4bda41aa3/$will",
        "octopus/default/living-room-fan/$will",
        "octopus/gone",
    ];
    assert_eq!(subjects, expected);
    let retained: Vec<_> = events.iter().filter(|e| e["mqttretain"] == true).collect();
    assert_eq!(retained.len(), 1);
}

#[test]
fn payloads_in_base64_are_decoded_and_commands_encoded() {
    let mut mqtt = plain();
    mqtt["payloadEncoding"] = "base64".into();
    let server = start(mqtt);
    run(&server, "payloads_in_base64");
    let events = until("two events and a will", || {
        let events = server.published(APP);
        (events.len() == 3).then_some(events)
    });
    assert_eq!(events[0]["data"], json!({ "on": true }));
    assert_eq!(events[1]["data_base64"], "/wA=");
    assert_eq!(events[2]["data"], json!({ "gone": true }));
}
