//! Events out of the log.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{Mutex, mpsc},
    time::Duration,
};

use futures_core::Stream as _;
use landfall_events::{
    event::{Data, Draft, EventType, Origin, OriginParts, Timestamp, next_id},
    sink::{Completion, Handover, OpenBatch, Refusal, Sequence},
};

use super::*;

/// Tells when a sink has taken everything.
struct Accepted(Mutex<mpsc::Sender<Sequence>>);

impl Completion for Accepted {
    fn accepted(&self, _: usize, up_to: Sequence) {
        self.0.lock().unwrap().send(up_to).unwrap();
    }

    fn refused(&self, _: usize, _: Sequence, refusal: Refusal) {
        panic!("{refusal:?}");
    }

    fn room(&self, _: usize) {}
}

/// Stores events of `app` whose data is these texts.
fn store(fixture: &Fixture, data: &[&str]) {
    let sink = &fixture.shared.sinks.all()[0].sink;
    let origin = Origin::new(OriginParts {
        instance: "test",
        application: ("app", "1"),
        device: ("sensor01", "2"),
        sender: ("sensor01", "2"),
    });
    let (done, accepted) = mpsc::channel();
    let completion: Arc<dyn Completion> = Arc::new(Accepted(Mutex::new(done)));
    let mut batch = OpenBatch::new();
    for (sequence, text) in (1..).zip(data) {
        let time = Timestamp::now();
        let draft = Draft {
            origin: &origin,
            event_type: EventType::Event,
            id: next_id(time),
            time,
            subject: "t",
            data_content_type: Some("application/json"),
            data_schema: None,
            trace_parent: None,
            trace_state: None,
            retain: false,
            extensions: &[],
            data: Data::Json(text.as_bytes()),
        };
        sink.encode(&draft, sequence, &mut batch);
    }
    let application: Arc<str> = "app".into();
    sink.hand_over(Handover {
        application: &application,
        batch: &mut batch,
        completion: &completion,
        slot: 0,
    });
    while accepted.recv().unwrap() < data.len() as u64 {}
}

fn data(batch: &Value) -> Vec<u64> {
    let events = batch.as_array().unwrap().iter();
    events
        .map(|event| event["data"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_page_is_a_json_batch_with_the_next_offset() {
    let fixture = Fixture::with_app().await;
    store(&fixture, &["10", "11", "12"]);
    let page = fixture.get(&format!("{EVENTS}?limit=2")).await.expect(200);
    assert_eq!(
        page.header("content-type"),
        Some("application/cloudevents-batch+json")
    );
    assert_eq!(data(&page.json()), [10, 11]);
    let next = page.header("landfall-next-offset").unwrap();
    let page = fixture
        .get(&format!("{EVENTS}?limit=2&after={next}"))
        .await
        .expect(200);
    assert_eq!(data(&page.json()), [12]);
    let next = page.header("landfall-next-offset").unwrap();
    let end = fixture
        .get(&format!("{EVENTS}?after={next}"))
        .await
        .expect(200);
    assert_eq!(data(&end.json()), [0_u64; 0]);
    assert_eq!(end.header("landfall-next-offset"), Some(next));
}

#[tokio::test]
async fn an_offset_that_was_never_given_out_is_refused() {
    let fixture = Fixture::with_app().await;
    store(&fixture, &["1"]);
    let answer = fixture.get(&format!("{EVENTS}?after=2")).await;
    assert_eq!(answer.json()["latest"], 1);
    answer.expect_error(400, "unknown_offset");
}

#[tokio::test]
async fn the_newest_events_can_be_asked_for_by_their_number() {
    let fixture = Fixture::with_app().await;
    store(&fixture, &["1", "2", "3", "4"]);
    for (last, expected) in [
        (0, &[][..]),
        (2, &[3, 4]),
        (4, &[1, 2, 3, 4]),
        (9, &[1, 2, 3, 4]),
    ] {
        let page = fixture
            .get(&format!("{EVENTS}?last={last}"))
            .await
            .expect(200);
        assert_eq!(data(&page.json()), expected, "{last}");
        assert_eq!(page.header("landfall-next-offset"), Some("4"), "{last}");
    }
    let response = open(&fixture, &format!("{EVENTS}?last=1"), &[]).await;
    close_log(&fixture).await;
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.starts_with("retry: 1000\n\nid: 4\n"), "{text}");
    for wrong in ["last=10001", "last=1&after=1", "last=-1"] {
        let answer = fixture.get(&format!("{EVENTS}?{wrong}")).await;
        answer.expect_error(400, "bad_query");
    }
}

#[tokio::test]
async fn recent_events_are_counted_in_periods() {
    let fixture = Fixture::with_app().await;
    let history = async |query: &str| fixture.get(&format!("{EVENTS}/history{query}")).await;
    let none = history("?count=2").await.expect(200).json();
    assert_eq!(none["counts"], serde_json::json!([0, 0]));
    store(&fixture, &["1", "2", "3"]);
    let day = history("?period=86400&count=2").await.expect(200).json();
    let counts = day["counts"].as_array().unwrap();
    // Two, if the test runs over midnight.
    let sum: u64 = counts.iter().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!((sum, counts.len()), (3, 2), "{day}");
    for wrong in ["?period=0", "?period=86401", "?count=0", "?count=1001"] {
        history(wrong).await.expect_error(400, "bad_query");
    }
    let nobody = fixture
        .get("/api/events/v1alpha1/apps/nobody/history")
        .await;
    nobody.expect_error(404, "unknown_application");
}

#[tokio::test]
async fn events_of_nobody_are_not_found() {
    let fixture = Fixture::new().await;
    fixture
        .get(EVENTS)
        .await
        .expect_error(404, "unknown_application");
    let blackhole = "[[sinks]]\nname = 'nowhere'\ntype = 'blackhole'\n";
    let without_log = Fixture::with(blackhole).await;
    without_log
        .get(EVENTS)
        .await
        .expect_error(404, "no_event_log");
}

/// Opens a stream with further headers.
async fn open(fixture: &Fixture, uri: &str, headers: &[(&str, &str)]) -> axum::response::Response {
    let mut request = fixture
        .request("GET", uri)
        .header("accept", "text/event-stream");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Body::empty()).unwrap();
    fixture.api.clone().oneshot(request).await.unwrap()
}

/// Closes the log, as a stopping server does.
async fn close_log(fixture: &Fixture) {
    let sink = Arc::clone(&fixture.shared.sinks.all()[0].sink);
    let close = move || sink.close(Duration::from_secs(30)).unwrap();
    tokio::task::spawn_blocking(close).await.unwrap();
}

#[tokio::test]
async fn a_stream_goes_on_and_ends_with_the_log_after_the_last_event() {
    let fixture = Fixture::with_app().await;
    store(&fixture, &["1", "2"]);
    let response = open(&fixture, EVENTS, &[]).await;
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let mut next = async || {
        let piece = poll_fn(|cx| Pin::new(&mut stream).poll_next(cx)).await;
        piece.map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap())
    };
    let first = next().await.unwrap();
    assert!(
        first.starts_with("retry: 1000\n\nid: 1\ndata: {"),
        "{first}"
    );
    assert_eq!(first.matches("\n\n").count(), 3, "{first}");
    store(&fixture, &["3"]);
    let second = next().await.unwrap();
    assert!(second.starts_with("id: 3\ndata: {"), "{second}");
    assert!(second.ends_with("\"data\":3}\n\n"), "{second}");
    close_log(&fixture).await;
    assert_eq!(next().await, None);
}

#[tokio::test]
async fn a_stream_resumes_behind_the_last_event_id_rather_than_the_query() {
    let fixture = Fixture::with_app().await;
    store(&fixture, &["1", "2", "3"]);
    let uri = format!("{EVENTS}?after=0");
    let response = open(&fixture, &uri, &[("last-event-id", "2")]).await;
    close_log(&fixture).await;
    let body = axum::body::to_bytes(response.into_body(), usize::MAX)
        .await
        .unwrap();
    let text = String::from_utf8(body.to_vec()).unwrap();
    assert!(text.starts_with("retry: 1000\n\nid: 3\n"), "{text}");
    assert_eq!(text.matches("id: ").count(), 1, "{text}");
}

#[tokio::test]
async fn a_stream_that_cannot_begin_is_refused_in_json() {
    let fixture = Fixture::with_app().await;
    for (id, status) in [("x", 400), ("7", 400)] {
        let response = open(&fixture, EVENTS, &[("last-event-id", id)]).await;
        assert_eq!(response.status().as_u16(), status, "{id}");
        assert_eq!(response.headers()["content-type"], "application/json");
    }
}
