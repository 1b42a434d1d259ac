use std::sync::Arc;

use super::*;
use crate::event::{Draft, EventType, Origin, OriginParts, Timestamp, next_id};
use crate::sink::{Completion, Handover, Health, OpenBatch, Refusal, Sequence};

/// Looks into the log, with a connection of its own, at the moment of each report.
struct Witness {
    reader: LogReader,
    recorder: Arc<crate::sink::testing::Recorder>,
}

impl Completion for Witness {
    fn accepted(&self, slot: usize, up_to: Sequence) {
        let stored = self.reader.latest("app").unwrap();
        assert!(stored >= up_to, "{up_to} reported, {stored} stored");
        self.recorder.accepted(slot, up_to);
    }

    fn refused(&self, _slot: usize, _sequence: Sequence, _refusal: Refusal) {
        unreachable!("the log refuses nothing");
    }

    fn room(&self, _slot: usize) {}
}

#[test]
fn events_are_in_the_log_before_they_are_reported_accepted() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let recorder = Arc::new(crate::sink::testing::Recorder::default());
    let completion: Arc<dyn Completion> = Arc::new(Witness {
        reader: sink.reader(),
        recorder: Arc::clone(&recorder),
    });
    let origin = Origin::new(OriginParts {
        instance: "test",
        application: ("app", "1"),
        device: ("dev", "2"),
        sender: ("dev", "2"),
    });
    let mut batch = OpenBatch::new();
    for sequence in 1..=200 {
        let time = Timestamp::now();
        let draft = Draft {
            origin: &origin,
            event_type: EventType::Event,
            id: next_id(time),
            time,
            subject: "temp",
            data_content_type: None,
            data_schema: None,
            trace_parent: None,
            trace_state: None,
            retain: false,
            extensions: &[],
            data: crate::event::Data::None,
        };
        sink.encode(&draft, sequence, &mut batch);
        sink.hand_over(Handover {
            application: &"app".into(),
            batch: &mut batch,
            completion: &completion,
            slot: 3,
        });
    }
    recorder.wait_accepted(200);
    assert!(recorder.told().accepted.iter().all(|(slot, _)| *slot == 3));
}

#[test]
fn what_is_handed_over_during_a_commit_shares_the_next_one() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let mut connections: Vec<_> = (0..20)
        .map(|index| Connection::new("app", &format!("device{index}")))
        .collect();
    {
        // Nothing can be committed meanwhile, whatever the writer has taken already.
        let _turn = sink.shared.turn.take_to_keep();
        for _ in 0..10 {
            for connection in &mut connections {
                connection.publish(&sink, "temp", b"1");
            }
        }
    }
    for connection in &connections {
        connection.recorder.wait_accepted(10);
    }
    let stats = sink.stats();
    assert_eq!(stats.accepted, 200);
    assert!(stats.commits <= 2, "{} commits", stats.commits);
    for connection in &connections {
        let reports = connection.recorder.told().accepted.len();
        assert!(reports <= 2, "one report per commit, not {reports}");
    }
    let rows: i64 = rusqlite::Connection::open(fixture.path())
        .unwrap()
        .query_row("SELECT count(*) FROM batch", [], |row| row.get(0))
        .unwrap();
    assert!(rows <= 2, "one row per commit, not {rows}");
}

#[test]
fn each_connection_s_events_keep_their_order() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let threads = 4;
    let count = 500;
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let sink = &sink;
            scope.spawn(move || {
                let mut connection = Connection::new("app", &format!("device{thread}"));
                for number in 0..count {
                    connection.encode(sink, "temp", format!("[{thread},{number}]").as_bytes());
                    if number % 7 == 0 {
                        connection.hand_over(sink);
                    }
                }
                connection.hand_over(sink);
                connection.recorder.wait_accepted(count);
            });
        }
    });
    let page = sink
        .reader()
        .read("app", None, usize::MAX, usize::MAX)
        .unwrap();
    let mut next = vec![0; usize::try_from(threads).unwrap()];
    for (_, event) in page.events() {
        let data = data(event);
        let thread = usize::try_from(data[0].as_u64().unwrap()).unwrap();
        assert_eq!(data[1], next[thread]);
        next[thread] += 1;
    }
    assert!(next.iter().all(|next| *next == count));
}

#[test]
fn applications_count_for_themselves() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let mut connections: Vec<_> = (0..300)
        .map(|index| Connection::new(&format!("app{index}"), "device"))
        .collect();
    for round in 1..=3 {
        for connection in &mut connections {
            connection.publish(&sink, "temp", round.to_string().as_bytes());
        }
    }
    let reader = sink.reader();
    for connection in &connections {
        connection.recorder.wait_accepted(3);
        assert_eq!(
            numbers(&reader, &connection.application),
            [(1, 1), (2, 2), (3, 3)]
        );
    }
}

#[test]
fn a_batch_larger_than_a_row_is_split_and_an_event_larger_than_a_row_is_not() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let mut connection = Connection::new("app", "device");
    let small = format!("\"{}\"", "s".repeat(40_000));
    let large = format!("\"{}\"", "l".repeat(1_000_000));
    let payloads: Vec<&str> = [&small; 20]
        .into_iter()
        .chain([&large, &small, &large])
        .map(String::as_str)
        .collect();
    for payload in &payloads {
        connection.encode(&sink, "blob", payload.as_bytes());
    }
    connection.hand_over(&sink);
    connection.recorder.wait_accepted(connection.last());

    let page = sink
        .reader()
        .read("app", None, usize::MAX, usize::MAX)
        .unwrap();
    let read: Vec<_> = page.events().map(|(_, event)| data(event)).collect();
    let sent: Vec<Value> = payloads
        .iter()
        .map(|payload| serde_json::from_str(payload).unwrap())
        .collect();
    assert!(read == sent);
    let largest: i64 = rusqlite::Connection::open(fixture.path())
        .unwrap()
        .query_row("SELECT max(size) FROM batch WHERE count > 1", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(usize::try_from(largest).unwrap() <= super::super::row::TARGET_BYTES);
}

#[test]
fn closing_takes_all_that_was_handed_over() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let mut connection = Connection::new("app", "device");
    for number in 0..1_000 {
        connection.publish(&sink, "temp", number.to_string().as_bytes());
    }
    close(&sink);
    assert_eq!(connection.recorder.told().up_to(), 1_000);
    assert_eq!(sink.reader().latest("app").unwrap(), 1_000);
    assert_eq!(sink.health(), Health::Up);
    assert!(!sink.has_room("app"));

    // Too late: dropped, and never reported.
    connection.publish(&sink, "temp", b"1");
    assert_eq!(connection.recorder.told().up_to(), 1_000);
}

#[test]
fn counts_what_it_does() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    assert_eq!(sink.name(), "events");
    let mut connection = Connection::new("app", "device");
    let turn = sink.shared.turn.take_to_keep();
    connection.publish(&sink, "temp", b"1");
    connection.publish(&sink, "temp", b"2");
    let waiting = sink.stats();
    assert_eq!((waiting.accepted, waiting.queued), (0, 2));
    assert!(waiting.queued_bytes > 0);
    drop(turn);
    close(&sink);
    let done = sink.stats();
    assert_eq!((done.accepted, done.queued, done.queued_bytes), (2, 0, 0));
    assert_eq!(done.accepted_bytes, waiting.queued_bytes);
    assert_eq!(done.commit_times.iter().sum::<u64>(), done.commits);
    assert_eq!(done.failed_commits, 0);
}
