use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::Value;

use super::*;
use crate::sink::testing::Connection;
use crate::sink::{Health, Refusal, Sink as _};

const LONG: Duration = Duration::from_secs(60);

/// An endpoint that keeps what it is sent, and answers as the test says; 204 when it says nothing.
#[derive(Clone, Default)]
struct Endpoint(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    answers: VecDeque<(u16, Option<&'static str>)>,
    requests: Vec<Seen>,
}

#[derive(Clone)]
struct Seen {
    path: String,
    headers: HeaderMap,
    body: Vec<u8>,
    status: u16,
}

impl Endpoint {
    /// Serves on a free port until the runtime is dropped.
    fn serve(&self, runtime: &tokio::runtime::Runtime) -> SocketAddr {
        let router = Router::new()
            .route("/{*path}", post(take).put(take))
            .with_state(self.clone());
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async { axum::serve(listener, router).await });
            address
        })
    }

    fn answers(&self, answers: impl IntoIterator<Item = (u16, Option<&'static str>)>) {
        self.0.lock().unwrap().answers.extend(answers);
    }

    fn requests(&self) -> Vec<Seen> {
        self.0.lock().unwrap().requests.clone()
    }
}

async fn take(State(endpoint): State<Endpoint>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 24).await.unwrap();
    let mut inner = endpoint.0.lock().unwrap();
    let (status, after) = inner.answers.pop_front().unwrap_or((204, None));
    inner.requests.push(Seen {
        path: parts.uri.path().to_owned(),
        headers: parts.headers,
        body: body.to_vec(),
        status,
    });
    let status = StatusCode::from_u16(status).unwrap();
    match after {
        Some(after) => (status, [("retry-after", after)]).into_response(),
        None => status.into_response(),
    }
}

struct Setup {
    endpoint: Endpoint,
    sink: Remote,
    connection: Connection,
    _runtime: tokio::runtime::Runtime,
}

fn setup(path: &str, options: impl FnOnce(&mut HttpOptions)) -> Setup {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let endpoint = Endpoint::default();
    let address = endpoint.serve(&runtime);
    let url = HttpUrl::parse(&format!("http://{address}{path}")).unwrap();
    let mut chosen = HttpOptions::new(url);
    options(&mut chosen);
    Setup {
        endpoint,
        sink: start("web", chosen).unwrap(),
        connection: Connection::new("my app", "dévice"),
        _runtime: runtime,
    }
}

fn header<'a>(seen: &'a Seen, name: &str) -> &'a str {
    let value = seen
        .headers
        .get(name)
        .unwrap_or_else(|| panic!("no {name}"));
    value.to_str().unwrap()
}

#[test]
fn binary_mode_has_attributes_in_headers_and_the_payload_as_it_came() {
    let mut setup = setup("/in/{application}?x={device}", |options| {
        options.authorization = HttpAuthorization::Bearer("secret".to_owned());
        options.headers.insert("x-own", "yes".parse().unwrap());
    });
    let payload = b"{\"t\" :\n 21.50}";
    let sequence = setup
        .connection
        .publish(&setup.sink, "te%mp \"1\"", payload);
    setup.connection.recorder.wait_accepted(sequence);
    let [seen] = &setup.endpoint.requests()[..] else {
        panic!("one request")
    };
    assert_eq!(seen.path, "/in/my%20app");
    assert_eq!(seen.body, payload);
    for (name, value) in [
        ("content-type", "application/json"),
        ("ce-specversion", "1.0"),
        ("ce-type", "io.drogue.event.v1"),
        ("ce-source", "drogue://my%2520app/d%25C3%25A9vice"),
        // Encoded for the header; the device's own percent sign too.
        ("ce-subject", "te%25mp%20%221%22"),
        ("ce-device", "d%C3%A9vice"),
        ("authorization", "Bearer secret"),
        ("x-own", "yes"),
    ] {
        assert_eq!(header(seen, name), value, "{name}");
    }
}

#[test]
fn structured_and_batch_bodies_are_read_by_the_sdk() {
    for (mode, content_type) in [
        (HttpMode::Structured, "application/cloudevents+json"),
        (HttpMode::Batch, "application/cloudevents-batch+json"),
    ] {
        let mut setup = setup("/in", |options| options.mode = mode);
        for payload in [&b"1"[..], b"\xff", b""] {
            setup.connection.encode(&setup.sink, "temp", payload);
        }
        setup.connection.hand_over(&setup.sink);
        setup.connection.recorder.wait_accepted(3);
        let mut events: Vec<cloudevents::Event> = Vec::new();
        for seen in setup.endpoint.requests() {
            assert_eq!(header(&seen, "content-type"), content_type);
            match mode {
                HttpMode::Batch => {
                    events.extend(serde_json::from_slice::<Vec<_>>(&seen.body).unwrap());
                }
                _ => events.push(serde_json::from_slice(&seen.body).unwrap()),
            }
        }
        let data: Vec<_> = events.iter().map(|event| event.data().cloned()).collect();
        use cloudevents::Data;
        let expected = [
            Some(Data::Json(1.into())),
            Some(Data::Binary(vec![255])),
            None,
        ];
        assert_eq!(data, expected);
    }
}

#[test]
fn a_payload_that_is_said_to_be_a_cloudevent_goes_in_structured_mode() {
    let mut setup = setup("/in", |_| {});
    let payload = br#"{"specversion":"1.0","id":"forged","type":"t","source":"s"}"#;
    setup.connection.content_type = Some("Application/CloudEvents+json");
    let sequence = setup.connection.publish(&setup.sink, "temp", payload);
    setup.connection.recorder.wait_accepted(sequence);
    let [seen] = &setup.endpoint.requests()[..] else {
        panic!("one request")
    };
    let event: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(event["data"]["id"], "forged");
    assert_ne!(event["id"], "forged");
}

#[test]
fn answers_say_whether_an_event_is_taken_refused_or_sent_again() {
    for (status, refusal) in [
        (400, Some(Refusal::Rejected)),
        (413, Some(Refusal::TooLarge)),
        (415, Some(Refusal::Rejected)),
        (422, Some(Refusal::Rejected)),
        (200, None),
        (202, None),
    ] {
        let mut setup = setup("/in", |_| {});
        setup.endpoint.answers([(status, None)]);
        let sequence = setup.connection.publish(&setup.sink, "temp", b"1");
        setup.connection.recorder.wait_accepted(sequence);
        let refused = setup.connection.recorder.told().refused.first().copied();
        assert_eq!(refused.map(|(_, _, refusal)| refusal), refusal, "{status}");
        assert_eq!(setup.endpoint.requests().len(), 1, "{status}");
    }
    // Not the device's fault: sent again until it is taken.
    for status in [301, 401, 403, 404, 429, 500, 503] {
        let mut setup = setup("/in", |_| {});
        setup.endpoint.answers([(status, Some("0"))]);
        let sequence = setup.connection.publish(&setup.sink, "temp", b"1");
        setup.connection.recorder.wait_accepted(sequence);
        assert!(
            setup.connection.recorder.told().refused.is_empty(),
            "{status}"
        );
        let statuses: Vec<_> = setup.endpoint.requests().iter().map(|r| r.status).collect();
        assert_eq!(statuses, [status, 204]);
    }
}

#[test]
fn an_endpoint_that_does_not_know_us_turns_the_sink_unhealthy_and_nothing_is_lost() {
    let mut setup = setup("/in", |_| {});
    setup.endpoint.answers([(401, Some("3600"))]);
    setup.connection.publish(&setup.sink, "temp", b"1");
    let until = std::time::Instant::now() + LONG;
    let reason = loop {
        match setup.sink.health() {
            Health::Failing { reason, .. } if reason.starts_with("application") => break reason,
            _ => assert!(std::time::Instant::now() < until),
        }
        std::thread::yield_now();
    };
    assert_eq!(
        &*reason,
        "application my app: the endpoint answered 401 Unauthorized"
    );
    // It asked to be left alone for longer than this test runs.
    let closed = setup.sink.close(Duration::from_millis(50));
    assert_eq!(closed.unwrap_err().events, 1);
    assert_eq!(setup.endpoint.requests().len(), 1);
}

#[test]
fn events_of_a_sender_stay_in_order_through_failures_and_senders_do_not_wait_for_each_other() {
    let mut setup = setup("/in", |_| {});
    let mut connections: Vec<_> = (0..8)
        .map(|number| Connection::new("app", &format!("device{number}")))
        .collect();
    setup
        .endpoint
        .answers([503, 204, 500, 503, 204, 204, 503].map(|s| (s, Some("0"))));
    for number in 0..50 {
        for connection in &mut connections {
            connection.encode(&setup.sink, "temp", number.to_string().as_bytes());
        }
    }
    for connection in &mut connections {
        connection.hand_over(&setup.sink);
    }
    for connection in &connections {
        connection.recorder.wait_accepted(50);
    }
    for number in 0..8 {
        let device = format!("device{number}");
        let taken: Vec<u32> = setup
            .endpoint
            .requests()
            .iter()
            .filter(|seen| seen.status == 204 && header(seen, "ce-device") == device)
            .map(|seen| {
                String::from_utf8(seen.body.clone())
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        assert_eq!(taken, (0..50).collect::<Vec<_>>(), "{device}");
    }
    setup.connection.publish(&setup.sink, "temp", b"1");
    setup.sink.close(LONG).unwrap();
}

#[test]
fn a_batch_is_refused_event_by_event() {
    let mut setup = setup("/in", |options| options.mode = HttpMode::Batch);
    setup
        .endpoint
        .answers([(422, None), (204, None), (422, None)]);
    for payload in ["1", "2", "3"] {
        setup
            .connection
            .encode(&setup.sink, "temp", payload.as_bytes());
    }
    setup.connection.hand_over(&setup.sink);
    setup.connection.recorder.wait_accepted(3);
    let refused = setup.connection.recorder.told().refused.clone();
    assert_eq!(refused, [(0, 2, Refusal::Rejected)]);
    assert_eq!(setup.endpoint.requests().len(), 4);
}

#[test]
fn what_is_no_address_is_refused_without_being_quoted() {
    for (text, reason) in [
        ("ftp://host/", "http://"),
        ("https://", "host"),
        ("https://user:secret@host/", "user name"),
        ("https://{application}.example.com/", "into the path"),
        ("https://host{application}/", "into the path"),
        ("https://host/{topic}", "no field"),
        ("", "empty"),
    ] {
        let error = HttpUrl::parse(text).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
        assert!(!error.contains("secret"));
    }
}

/// One application with an endpoint of its own, and one of whose endpoint nobody knows.
struct Named(Arc<crate::endpoint::Endpoint>);

impl Endpoints for Named {
    fn of<'a>(&'a self, application: &'a str) -> LookUp<'a> {
        Box::pin(async move {
            match application {
                "own" => Ok(Some(Arc::clone(&self.0))),
                "unknown" => Err("the store is away".to_owned()),
                _ => Ok(None),
            }
        })
    }
}

#[test]
fn an_applications_own_endpoint_gets_its_events() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (common, own) = (Endpoint::default(), Endpoint::default());
    let (common_at, own_at) = (common.serve(&runtime), own.serve(&runtime));
    let named = crate::endpoint::EndpointOptions {
        method: Some("PUT".to_owned()),
        headers: vec![("x-key".to_owned(), "k".to_owned())],
        authorization: HttpAuthorization::Bearer("its-own".to_owned()),
        ..crate::endpoint::EndpointOptions::new(format!("http://{own_at}/own"))
    };
    let named = crate::endpoint::Endpoint::new(named).unwrap();
    let options = HttpOptions {
        authorization: HttpAuthorization::Bearer("common".to_owned()),
        endpoints: Some(Arc::new(Named(Arc::new(named)))),
        ..HttpOptions::new(HttpUrl::parse(&format!("http://{common_at}/in")).unwrap())
    };
    let sink = start("http", options).unwrap();
    for application in ["app", "own"] {
        let mut connection = Connection::new(application, "device");
        let sequence = connection.publish(&sink, "temp", b"1");
        connection.recorder.wait_accepted(sequence);
    }
    let of = |endpoint: &Endpoint| {
        let posted = endpoint.requests().into_iter();
        posted
            .filter(|seen| !seen.body.is_empty())
            .collect::<Vec<_>>()
    };
    let (common, own) = (of(&common), of(&own));
    assert_eq!((common.len(), own.len()), (1, 1));
    assert_eq!(common[0].headers["authorization"], "Bearer common");
    assert_eq!(own[0].path, "/own");
    assert_eq!(own[0].headers["authorization"], "Bearer its-own");
    assert_eq!(own[0].headers["x-key"], "k");
    assert_eq!(own[0].headers["ce-application"], "own");

    let mut connection = Connection::new("unknown", "device");
    connection.publish(&sink, "temp", b"1");
    let until = std::time::Instant::now() + LONG;
    loop {
        match sink.health() {
            Health::Failing { reason, .. } if reason.contains("the store is away") => break,
            _ => assert!(std::time::Instant::now() < until),
        }
        std::thread::yield_now();
    }
}
