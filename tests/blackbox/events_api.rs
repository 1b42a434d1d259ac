//! The events API: offsets, pages, live streams that resume, and what has expired.

use crate::harness::Server;
use crate::harness::api::{EventStream, StreamEvent};
use crate::harness::documents::{APP, application};
use crate::harness::wait;
use crate::wire::{Client, Publish, Version, kind};

const PATH: &str = "/api/events/v1alpha1/apps/app";

/// Publishes the numbers of a range, one event each.
fn publish_numbers(sensor: &mut Client, numbers: std::ops::Range<u32>) {
    for number in numbers {
        sensor.publish_1("n", number.to_string().as_bytes());
    }
}

/// The numbers among a page's events.
fn numbers(events: &[serde_json::Value]) -> Vec<u64> {
    events
        .iter()
        .filter_map(|event| event["data"].as_u64())
        .collect()
}

/// Takes some events and returns the last of them.
fn take(stream: &EventStream, count: usize) -> StreamEvent {
    (1..count).for_each(|_| drop(stream.next()));
    stream.next()
}

#[test]
fn a_page_is_a_batch_of_cloudevents_and_names_the_next_offset() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish_numbers(&mut sensor, 0..3);
    let answer = server.api().get(PATH).expect_status(200);
    assert_eq!(
        answer.header("content-type"),
        Some("application/cloudevents-batch+json")
    );
    assert!(
        answer
            .header("landfall-next-offset")
            .unwrap()
            .parse::<u64>()
            .is_ok()
    );
    assert_eq!(
        answer.json().as_array().expect("a batch").len(),
        4,
        "with the connection event"
    );
}

#[test]
fn pages_follow_each_other_without_gap_or_repetition() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish_numbers(&mut sensor, 0..57);
    let (mut all, mut after, mut offsets) = (Vec::new(), None::<String>, Vec::new());
    loop {
        let page = server.page(APP, after.as_deref(), 10);
        assert!(page.events.len() <= 10);
        if page.events.is_empty() {
            assert_eq!(Some(&page.next), after.as_ref(), "the end keeps its offset");
            break;
        }
        all.extend(numbers(&page.events));
        offsets.push(page.next.parse::<u64>().unwrap());
        after = Some(page.next);
    }
    assert_eq!(all, (0..57).collect::<Vec<u64>>());
    assert!(offsets.is_sorted_by(|a, b| a < b), "{offsets:?}");

    publish_numbers(&mut sensor, 57..60);
    assert_eq!(
        numbers(&server.page(APP, after.as_deref(), 10).events),
        [57, 58, 59]
    );
}

#[test]
fn a_page_holds_100_events_by_default() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish_numbers(&mut sensor, 0..120);
    assert_eq!(server.api().get(PATH).json().as_array().unwrap().len(), 100);
}

#[test]
fn an_application_without_events_has_an_empty_page_to_start_from() {
    let server = Server::shared();
    let page = server.page(APP, None, 10);
    assert!(page.events.is_empty());
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish_numbers(&mut sensor, 0..1);
    assert_eq!(numbers(&server.page(APP, Some(&page.next), 10).events), [0]);
}

#[test]
fn applications_do_not_see_each_others_events() {
    let server = Server::shared();
    server.create_app(&application("other")).expect_status(201);
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish_numbers(&mut sensor, 0..1);
    assert!(server.page("other", None, 10).events.is_empty());
}

/// A page that goes back: its events, and where the page before it ends.
fn back(server: &Server, query: &str) -> (Vec<u64>, Option<String>) {
    let answer = server.api().get(&format!("{PATH}?{query}"));
    let answer = answer.expect_status(200);
    let previous = answer.header("landfall-previous-offset");
    let previous = previous.map(str::to_owned);
    (numbers(answer.json().as_array().unwrap()), previous)
}

#[test]
fn pages_go_back_from_the_end_to_the_oldest_event() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish_numbers(&mut sensor, 0..25);
    let newest = server.page(APP, None, 100).next;
    let end = newest.parse::<u64>().unwrap() + 1;
    let (mut all, mut before) = (Vec::new(), Some(end.to_string()));
    while let Some(offset) = before {
        let (mut page, previous) = back(&server, &format!("before={offset}&limit=10"));
        page.append(&mut all);
        (all, before) = (page, previous);
    }
    assert_eq!(all, (0..25).collect::<Vec<u64>>());
}

#[test]
fn a_device_has_its_own_events_however_many_others_there_are() {
    let server = Server::shared();
    let mut gateway = Client::device(&server, Version::V5, "gateway01");
    for number in 0..3_u32 {
        gateway.publish_1("n/sensor02", number.to_string().as_bytes());
        publish_numbers(&mut gateway, 100..150);
    }
    let (page, previous) = back(&server, "device=sensor02&limit=2");
    assert_eq!(page, [1, 2]);
    let (page, previous) = back(
        &server,
        &format!("device=sensor02&before={}", previous.unwrap()),
    );
    assert_eq!((page, previous), (vec![0], None));
    assert_eq!(back(&server, "device=nobody").0, [0_u64; 0]);

    // A stream begins with the last of them, and goes on with what comes.
    let path = format!("{PATH}?device=sensor02&last=1");
    let stream = server.api().event_stream(&path, None);
    assert_eq!(stream.next().data["data"], 2);
    publish_numbers(&mut gateway, 200..250);
    gateway.publish_1("n/sensor02", b"3");
    let next = stream.next();
    assert_eq!(next.data["device"], "sensor02");
    assert_eq!(next.data["data"], 3);
    drop(stream);
    gateway.publish_1("n/sensor02", b"4");
    let path = format!("{PATH}?device=sensor02");
    let resumed = server.api().event_stream(&path, Some(&next.id));
    assert_eq!(resumed.next().data["data"], 4);
}

#[test]
fn a_device_came_and_went_however_much_it_published_since() {
    let server = Server::shared();
    let (own, others) = ("device=sensor01", "device=gateway01");
    Client::device(&server, Version::V5, "gateway01").disconnect();
    for _ in 0..2 {
        let mut sensor = Client::device(&server, Version::V5, "sensor01");
        for number in 0..60 {
            // What is within the data is no attribute.
            let liar = format!(r#"{{"n":{number},"type":"io.drogue.connection.v1"}}"#);
            sensor.publish_1("t", liar.as_bytes());
        }
        sensor.disconnect();
    }
    let changes = |query: &str| {
        let path = format!("{PATH}?type=io.drogue.connection.v1&{query}");
        let answer = server.api().get(&path).expect_status(200);
        let previous = answer.header("landfall-previous-offset").map(str::to_owned);
        let events = answer.json();
        let connected = events.as_array().unwrap().iter();
        let connected = connected.map(|event| event["data"]["connected"].as_bool().unwrap());
        (connected.collect::<Vec<_>>(), previous)
    };
    wait::until("the end of the last connection", || {
        (changes(own).0.len() == 4).then_some(())
    });
    let (page, previous) = changes(&format!("{own}&limit=3"));
    assert_eq!(page, [false, true, false]);
    let (page, previous) = changes(&format!("{own}&before={}", previous.unwrap()));
    assert_eq!((page, previous), (vec![true], None));
    assert_eq!(changes(others).0, [true, false]);
    assert_eq!(changes("limit=9").0.len(), 6, "of all devices");
    let path = format!("{PATH}?type=no.such.type");
    let none = server.api().get(&path).expect_status(200).json();
    assert_eq!(none, serde_json::json!([]));

    // A stream begins with the last of them, and goes on with what comes.
    let path = format!("{PATH}?type=io.drogue.connection.v1&last=1");
    let stream = server.api().event_stream(&path, None);
    assert_eq!(stream.next().data["data"]["connected"], false);
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish_numbers(&mut sensor, 0..60);
    sensor.disconnect();
    for connected in [true, false] {
        let next = stream.next();
        assert_eq!(next.data["device"], "sensor01");
        assert_eq!(next.data["data"]["connected"], connected);
    }
}

#[test]
fn a_stream_shows_what_is_there_and_what_comes() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish_numbers(&mut sensor, 0..3);
    let stream = server.api().event_stream(PATH, None);
    assert_eq!(stream.next().data["type"], "io.drogue.connection.v1");
    for number in 0..3 {
        assert_eq!(stream.next().data["data"], number);
    }
    publish_numbers(&mut sensor, 3..6);
    let ids: Vec<u64> = (3..6)
        .map(|number| {
            let event = stream.next();
            assert_eq!(event.data["data"], number);
            event.id.parse().expect("an offset")
        })
        .collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
}

#[test]
fn a_stream_resumes_behind_the_last_event_id() {
    let server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish_numbers(&mut sensor, 0..10);
    let stream = server.api().event_stream(PATH, None);
    let seen = take(&stream, 5);
    assert_eq!(seen.data["data"], 3);
    drop(stream);

    let resumed = server.api().event_stream(PATH, Some(&seen.id));
    for number in 4..10 {
        assert_eq!(resumed.next().data["data"], number);
    }
    let paged = server.page(APP, Some(&seen.id), 100);
    assert_eq!(numbers(&paged.events), (4..10).collect::<Vec<u64>>());
}

#[test]
fn a_stream_resumes_after_a_crash_of_the_server() {
    let mut server = Server::shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish_numbers(&mut sensor, 0..3);
    let stream = server.api().event_stream(PATH, None);
    let seen = take(&stream, 4);
    server.kill();
    server.start_again();
    let resumed = server.api().event_stream(PATH, Some(&seen.id));
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish_numbers(&mut sensor, 3..6);
    let mut found = Vec::new();
    while found.len() < 3 {
        found.extend(resumed.next().data["data"].as_u64());
    }
    assert_eq!(found, [3, 4, 5]);
}

#[test]
fn an_expired_offset_is_gone_and_the_oldest_is_named() {
    let settings = "[[sinks]]\nname = \"events\"\ntype = \"log\"\nretention_bytes = \"1MiB\"";
    let server = Server::builder()
        .without_log_sink()
        .settings(settings)
        .start_shared();
    let mut sensor = Client::device(&server, Version::V5, "sensor01");
    publish_numbers(&mut sensor, 0..1);
    let first = server.page(APP, None, 1).next;

    let body = vec![b'x'; 32 * 1024];
    let gone = wait::within(3 * wait::DEADLINE, "the expiry of the first event", || {
        for id in 1..=50 {
            sensor.publish(&Publish::new("big", &body).qos(1, id));
        }
        for id in 1..=50 {
            assert_eq!(sensor.expect(kind::PUBACK).id(), id);
        }
        let answer = server.api().get(&format!("{PATH}?after={first}&limit=1"));
        (answer.status != 200).then_some(answer)
    });
    let told = gone.expect_status(410).json();
    assert!(
        told["error"].is_string() && told["message"].is_string(),
        "{told:#}"
    );
    let oldest = told["oldest"].as_u64().expect("the oldest retained offset");
    assert!(oldest > first.parse().unwrap(), "{told:#}");
    // The oldest may expire too before it is asked for, but what is left has no gap before it.
    let page = server.page(APP, None, 1);
    assert!(
        page.next.parse::<u64>().unwrap() >= oldest,
        "{} after {oldest}",
        page.next
    );
    assert_eq!(page.events[0]["subject"], "big");
}

#[test]
fn what_is_no_offset_no_limit_or_no_application_is_refused_by_name() {
    let server = Server::shared();
    for query in [
        "after=x",
        "after=-1",
        "limit=0",
        "limit=x",
        "before=x",
        "before=1&after=1",
        "before=1&last=1",
        "device=sensor01&after=1",
        "device=sensor01&last=1",
        "type=io.drogue.event.v1&after=1",
        "type=io.drogue.event.v1&last=1",
    ] {
        let answer = server
            .api()
            .get(&format!("{PATH}?{query}"))
            .expect_status(400)
            .json();
        assert!(
            answer["error"].is_string() && answer["message"].is_string(),
            "{answer:#}"
        );
    }
    server
        .api()
        .get("/api/events/v1alpha1/apps/nobody")
        .expect_status(404);
}
