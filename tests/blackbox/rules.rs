//! `spec.publish.rules` of an application: what becomes of events before they go to the sinks.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::harness::documents::{APP, RECEIVER_TOKEN, password, shared_devices, user};
use crate::harness::{Server, ports, wait};
use crate::wire::{Client, Connect, Publish, Received, Version, Will};

const REGISTRY: &str = "/api/registry/v1alpha1/apps";

/// Gives the application these rules, and waits until a session's next publish is under them.
pub(crate) fn set_rules(server: &Server, rules: &Value) {
    let path = format!("{REGISTRY}/{APP}");
    let mut document = server.api().get(&path).json();
    document["spec"]["publish"] = json!({ "rules": rules });
    server.api().put_json(&path, &document).expect_status(200);
}

fn server(rules: &Value) -> Server {
    let server = Server::builder().start();
    let application = json!({
        "metadata": { "name": APP },
        "spec": { "publish": { "rules": rules } },
    });
    server.create_app(&application).expect_status(201);
    for device in shared_devices() {
        server.create_device(APP, &device).expect_status(201);
    }
    server
}

fn sensor(server: &Server, version: Version) -> Client {
    Client::device(server, version, "sensor01")
}

/// An endpoint of the test's own.
pub(crate) struct Endpoint {
    url: String,
    asked: Asked,
    runtime: Option<Runtime>,
}

type Asked = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

impl Endpoint {
    fn start(answer: fn(&HeaderMap, &Bytes) -> Response) -> Self {
        Self::start_at(ports::free(), answer)
    }

    pub(crate) fn start_at(port: u16, answer: fn(&HeaderMap, &Bytes) -> Response) -> Self {
        let runtime = Runtime::new().unwrap();
        let asked = Asked::default();
        let handler = move |State(asked): State<Asked>, headers: HeaderMap, body: Bytes| async move {
            let answer = answer(&headers, &body);
            asked.lock().unwrap().push((headers, body));
            answer
        };
        let router = Router::new()
            .fallback(handler)
            .with_state(Arc::clone(&asked));
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind(("127.0.0.1", port)))
            .unwrap();
        runtime.spawn(async { axum::serve(listener, router).await });
        Self {
            url: format!("http://127.0.0.1:{port}/check"),
            asked,
            runtime: Some(runtime),
        }
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[test]
fn steps_change_drop_and_reject_events() {
    let server = server(&json!([
        { "when": { "isChannel": "noise" }, "then": ["drop"] },
        { "when": { "isChannel": "bad" }, "then": [{ "reject": "not here" }] },
        { "when": { "not": { "isChannel": "plain" } }, "then": [
            { "setExtension": { "name": "site", "value": "north" } },
            { "setAttribute": { "name": "dataschema", "value": "urn:schema:1" } },
        ] },
        { "when": { "isChannel": "typed" }, "then": [
            { "setAttribute": { "name": "type", "value": "org.example.reading" } },
        ] },
    ]));
    for version in Version::ALL {
        let mut sensor = sensor(&server, version);
        assert_eq!(
            sensor.publish_1("noise", b"1").reason(),
            0,
            "accepted and forgotten"
        );
        assert_eq!(sensor.publish_1("typed", b"1").reason(), 0);
        assert_eq!(sensor.publish_1("temp", b"21.5").reason(), 0);
        assert_eq!(sensor.publish_1("plain", b"1").reason(), 0);
        sensor.publish(&Publish::new("bad", b"1").qos(1, 9));
        if version.is_5() {
            let refused = sensor.expect(crate::wire::kind::PUBACK);
            assert_eq!(refused.reason(), 0x83);
            assert_eq!(refused.properties(), [(0x1f, b"not here".to_vec())]);
        } else {
            sensor.expect_closed();
        }
    }
    let events = server.wait_published(APP, 6);
    let of = |subject: &str| {
        let found = events.iter().filter(|event| event["subject"] == subject);
        found.cloned().collect::<Vec<_>>()
    };
    assert!(of("noise").is_empty() && of("bad").is_empty());
    assert_eq!(of("temp").len(), 3);
    for event in of("temp") {
        assert_eq!(event["site"], "north");
        assert_eq!(event["dataschema"], "urn:schema:1");
        assert_eq!(event["data"], 21.5);
    }
    let all = server.all_events(APP);
    let typed = all
        .iter()
        .filter(|event| event["type"] == "org.example.reading");
    assert_eq!(typed.count(), 3);
    assert_eq!(of("plain")[0].get("site"), None);
    let metrics = server.ops().get("/metrics").text();
    assert!(
        metrics.contains("landfall_publishes_dropped_by_rule_total 3"),
        "{metrics}"
    );
}

#[test]
fn changed_rules_act_on_a_live_session() {
    let server = server(&json!([]));
    let mut sensor = sensor(&server, Version::V5);
    assert_eq!(sensor.publish_1("t", b"1").reason(), 0);
    set_rules(
        &server,
        &json!([{ "when": "always", "then": [{ "reject": "no more" }] }]),
    );
    wait::until("a refusal", || {
        (sensor.publish_1("t", b"1").reason() == 0x83).then_some(())
    });
}

#[test]
fn rules_that_cannot_be_are_refused_when_they_are_written() {
    let server = server(&json!([]));
    for (then, part) in [
        (json!([{ "explode": {} }]), "explode"),
        (
            json!([{ "setExtension": { "name": "Bad-Name", "value": "x" } }]),
            "Bad-Name",
        ),
        (
            json!([{ "setExtension": { "name": "application", "value": "x" } }]),
            "application",
        ),
        (
            json!([{ "setAttribute": { "name": "id", "value": "x" } }]),
            "id",
        ),
        (
            json!([{ "setAttribute": { "name": "type", "value": "" } }]),
            "type",
        ),
        (
            json!([{ "setAttribute": { "name": "dataschema", "value": "no uri" } }]),
            "dataschema",
        ),
        (
            json!([{ "validate": { "endpoint": { "url": "ftp://x" } } }]),
            "url",
        ),
    ] {
        let document = json!({
            "metadata": { "name": "other" },
            "spec": { "publish": { "rules": [{ "when": "always", "then": then }] } },
        });
        let answer = server
            .api()
            .post_json(REGISTRY, &document)
            .expect_status(400);
        assert!(answer.text().contains(part), "{part}: {}", answer.text());
    }
}

#[test]
fn an_endpoint_validates_events_with_its_credentials() {
    let endpoint = Endpoint::start(|headers, body| {
        assert_eq!(headers["authorization"], format!("Bearer {RECEIVER_TOKEN}"));
        if body.starts_with(b"9") {
            (
                StatusCode::BAD_REQUEST,
                axum::Json(json!({ "reason": "too hot" })),
            )
                .into_response()
        } else {
            StatusCode::NO_CONTENT.into_response()
        }
    });
    let server = server(
        &json!([{ "when": { "isChannel": "temp" }, "then": { "validate": {
        "endpoint": { "url": endpoint.url, "auth": { "bearer": { "token": RECEIVER_TOKEN } } },
    } } }]),
    );
    let mut sensor = sensor(&server, Version::V5);
    // Several at once: answered in their order.
    let payloads = [&b"1"[..], b"99", b"2", b"98", b"3"];
    for (payload, id) in payloads.iter().zip(1..) {
        sensor.publish(&Publish::new("temp", payload).qos(1, id));
    }
    for (id, reason) in (1..).zip([0, 0x83, 0, 0x83, 0]) {
        let answer = sensor.expect(crate::wire::kind::PUBACK);
        assert_eq!((answer.id(), answer.reason()), (id, reason));
    }
    let events = server.wait_published(APP, 3);
    let data: Vec<_> = events.iter().map(|event| event["data"].clone()).collect();
    assert_eq!(data, [1, 2, 3]);
    assert_eq!(endpoint.asked.lock().unwrap()[0].0["ce-device"], "sensor01");
    // What no rule is about goes past the endpoint.
    let before = endpoint.asked.lock().unwrap().len();
    assert_eq!(sensor.publish_1("other", b"1").reason(), 0);
    assert_eq!(endpoint.asked.lock().unwrap().len(), before);
}

#[test]
fn an_endpoint_enriches_events_and_wills() {
    let endpoint = Endpoint::start(|_, body| {
        let celsius: f64 = std::str::from_utf8(body).unwrap().parse().unwrap();
        axum::Json(json!({ "celsius": celsius, "fahrenheit": celsius * 1.8 + 32.0 }))
            .into_response()
    });
    let server = server(
        &json!([{ "when": { "isChannel": "temp" }, "then": { "enrich": {
        "endpoint": { "url": endpoint.url }, "response": { "type": "raw" },
    } } }]),
    );
    let connect = Connect::new(Version::V5, "c", &user("sensor01"), password("sensor01"))
        .will(Will::new("temp", b"0"));
    let mut sensor = Client::accepted(&server, &connect);
    assert_eq!(sensor.publish_1("temp", b"100").reason(), 0);
    sensor.publish(&Publish::new("temp", b"10"));
    sensor.ping();
    sensor.cut();
    let events = server.wait_published(APP, 3);
    let fahrenheit: Vec<_> = events
        .iter()
        .map(|event| event["data"]["fahrenheit"].clone())
        .collect();
    assert_eq!(fahrenheit, [212.0, 50.0, 32.0]);
}

#[test]
fn events_wait_for_an_endpoint_that_is_away() {
    let port = ports::free();
    let server = server(
        &json!([{ "when": { "isChannel": "temp" }, "then": { "validate": {
        "endpoint": { "url": format!("http://127.0.0.1:{port}/check") },
    } } }]),
    );
    let mut sensor = sensor(&server, Version::V5);
    // Nobody waits for an acknowledgement of this one: it is dropped and counted.
    sensor.publish(&Publish::new("temp", b"0"));
    sensor.publish(&Publish::new("temp", b"1").qos(1, 1));
    sensor.publish(&Publish::new("other", b"2").qos(1, 2));
    server.log().wait_for(
        0,
        &[
            "an endpoint of a rule has no verdict",
            "application=\"app\"",
        ],
    );
    assert!(server.published(APP).is_empty());
    let _endpoint = Endpoint::start_at(port, |_, _| StatusCode::OK.into_response());
    for id in [1, 2] {
        assert_eq!(sensor.expect(crate::wire::kind::PUBACK).id(), id);
    }
    let events = server.wait_published(APP, 2);
    assert_eq!(
        (&events[0]["data"], &events[1]["data"]),
        (&json!(1), &json!(2))
    );
    server
        .log()
        .wait_for(0, &["the endpoints of the rules answer again"]);
    let metrics = server.ops().get("/metrics").text();
    assert!(
        metrics.contains("landfall_publishes_dropped_total 1"),
        "{metrics}"
    );
}

#[test]
fn a_device_that_waits_too_long_for_an_endpoint_is_let_go() {
    let rules = json!([{ "when": "always", "then": { "validate": {
        "endpoint": { "url": "http://127.0.0.1:1/" },
    } } }]);
    let settings = "[limits]\nstall_timeout = \"1s\"";
    let server = Server::builder().settings(settings).start_shared();
    set_rules(&server, &rules);
    let connect = Connect::new(Version::V5, "c", &user("sensor01"), password("sensor01"));
    let mut sensor = Client::accepted(&server, &connect.keep_alive(60));
    sensor.publish(&Publish::new("temp", b"1").qos(1, 1));
    sensor.expect_end(0x97);
    assert!(matches!(sensor.receive(), Received::Closed));
}
