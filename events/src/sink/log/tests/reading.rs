use std::sync::atomic::{AtomicBool, Ordering};

use super::super::{Filter, LOOKED_THROUGH, Periods, ReadError};
use super::*;

fn offsets(reader: &LogReader, after: Option<u64>, limit: usize, max_bytes: usize) -> Vec<u64> {
    let page = reader.read("app", after, limit, max_bytes).unwrap();
    assert_eq!(page.len(), page.events().len());
    page.events().map(|(offset, _)| offset).collect()
}

#[test]
fn pages_join_without_gap_or_overlap() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    for _ in 0..7 {
        publish_numbers(&sink, "app", 11);
    }
    let reader = sink.reader();
    for limit in [1, 2, 10, 11, 12, 76, 77, 100] {
        let mut after = None;
        let mut seen = Vec::new();
        loop {
            let page = reader.read("app", after, limit, usize::MAX).unwrap();
            assert!(page.len() <= limit);
            assert_eq!(page.latest(), 77);
            seen.extend(page.events().map(|(offset, _)| offset));
            if page.is_empty() {
                assert_eq!(Some(page.next_offset()), after);
                break;
            }
            assert_eq!(Some(&page.next_offset()), seen.last());
            after = Some(page.next_offset());
        }
        assert_eq!(seen, (1..=77).collect::<Vec<_>>(), "limit {limit}");
    }
}

#[test]
fn the_offset_to_read_after_is_exclusive() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 5);
    let reader = sink.reader();
    assert_eq!(offsets(&reader, Some(0), 2, usize::MAX), [1, 2]);
    assert_eq!(offsets(&reader, Some(3), 9, usize::MAX), [4, 5]);
    assert_eq!(offsets(&reader, Some(5), 9, usize::MAX), [0; 0]);
    assert_eq!(offsets(&reader, None, 0, usize::MAX), [0; 0]);
}

#[test]
fn a_page_keeps_to_its_bytes_but_always_moves_on() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 9);
    let reader = sink.reader();
    let page = reader.read("app", None, 1, usize::MAX).unwrap();
    let event_bytes = page.events().next().unwrap().1.len();
    assert_eq!(offsets(&reader, None, 9, 3 * event_bytes), [1, 2, 3]);
    assert_eq!(offsets(&reader, None, 9, 3 * event_bytes - 1), [1, 2]);
    assert_eq!(offsets(&reader, Some(4), 9, 0), [5]);
}

#[test]
fn pages_going_back_join_without_gap_or_overlap() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    for _ in 0..7 {
        publish_numbers(&sink, "app", 11);
    }
    let reader = sink.reader();
    for limit in [1, 2, 10, 11, 12, 76, 77, 100] {
        let (mut before, mut seen) = (None, Vec::new());
        loop {
            let all = Filter::default();
            let page = reader.read_back("app", before, all, limit, usize::MAX);
            let page = page.unwrap();
            assert!(page.len() <= limit && page.latest() == 77);
            assert_eq!(page.next_offset(), before.map_or(77, |before| before - 1));
            let mut offsets: Vec<_> = page.events().map(|(offset, _)| offset).collect();
            assert!(offsets.is_sorted(), "oldest first");
            offsets.append(&mut seen);
            seen = offsets;
            before = page.previous();
            if before.is_none() {
                break;
            }
            assert_eq!(before, seen.first().copied());
        }
        assert_eq!(seen, (1..=77).collect::<Vec<_>>(), "limit {limit}");
    }
    let page = reader.read_back("app", Some(1), Filter::default(), 9, usize::MAX);
    assert!(page.unwrap().is_empty());
    let page = reader.read_back("app", Some(u64::MAX), Filter::default(), 1, usize::MAX);
    assert_eq!(page.unwrap().next_offset(), 77);
    let nobody = reader.read_back("nobody", None, Filter::default(), 9, usize::MAX);
    assert_eq!(nobody.unwrap().previous(), None);
}

#[test]
fn a_page_going_back_keeps_to_its_bytes_but_always_moves_on() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 9);
    let reader = sink.reader();
    let back = |max_bytes| {
        let page = reader.read_back("app", None, Filter::default(), 9, max_bytes);
        let page = page.unwrap();
        (page.len(), page.previous())
    };
    let newest = reader.read("app", Some(8), 1, usize::MAX).unwrap();
    let event_bytes = newest.events().next().unwrap().1.len();
    assert_eq!(back(3 * event_bytes), (3, Some(7)));
    assert_eq!(back(3 * event_bytes - 1), (2, Some(8)));
    assert_eq!(back(0), (1, Some(9)));
}

/// Publishes one event of each of these devices in this order.
fn publish_of(sink: &LogSink, devices: &[&str]) {
    for device in devices {
        let mut connection = Connection::new("app", device);
        // What is within the data is no attribute.
        connection.encode(sink, "temp", br#"[{"x":1,"device":"liar"}]"#);
        connection.hand_over(sink);
        connection.recorder.wait_accepted(1);
    }
}

#[test]
fn the_events_of_one_device_are_found_both_ways() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let odd = r#"a"b\c"#;
    publish_of(&sink, &["a", odd, "a", "ab", "a", "b", odd, "a"]);
    let reader = sink.reader();
    let found = |device, before, limit| {
        let filter = Filter {
            device: Some(device),
            ..Filter::default()
        };
        let page = reader.read_back("app", before, filter, limit, usize::MAX);
        let page = page.unwrap();
        let offsets: Vec<_> = page.events().map(|(offset, _)| offset).collect();
        (offsets, page.previous())
    };
    assert_eq!(found("a", None, 3), (vec![3, 5, 8], Some(3)));
    assert_eq!(found("a", Some(3), 3), (vec![1], None));
    assert_eq!(found("ab", None, 3), (vec![4], None));
    assert_eq!(found(odd, None, 3), (vec![2, 7], None));
    assert_eq!(found("liar", None, 3), (vec![], None));

    let filter = Filter {
        device: Some("a"),
        ..Filter::default()
    };
    let page = reader.read_filtered("app", Some(1), filter, 2, usize::MAX);
    let page = page.unwrap();
    let offsets: Vec<_> = page.events().map(|(offset, _)| offset).collect();
    assert_eq!((offsets, page.next_offset()), (vec![3, 5], 5));
    let page = reader.read_filtered("app", Some(1), filter, 9, usize::MAX);
    assert_eq!(page.unwrap().next_offset(), 8);
}

#[test]
fn what_is_looked_through_for_one_page_is_bounded_and_the_next_goes_on() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_of(&sink, &["rare"]);
    let payload = vec![b'x'; 1 << 20];
    let others = 2 * (LOOKED_THROUGH >> 20) as u64;
    let mut connection = Connection::new("app", "often");
    for _ in 0..others {
        connection.encode(&sink, "temp", &payload);
    }
    connection.hand_over(&sink);
    connection.recorder.wait_accepted(others);
    let reader = sink.reader();
    let filter = Filter {
        device: Some("rare"),
        ..Filter::default()
    };
    let (mut before, mut pages, mut found) = (None, 0, Vec::new());
    loop {
        let page = reader.read_back("app", before, filter, 9, usize::MAX);
        let page = page.unwrap();
        found.extend(page.events().map(|(offset, _)| offset));
        pages += 1;
        let Some(previous) = page.previous() else {
            break;
        };
        assert!(before.is_none_or(|before| previous < before), "it moves on");
        before = Some(previous);
    }
    assert_eq!(found, [1]);
    assert!((2..=4).contains(&pages), "{pages}");
    let page = reader.read_filtered("app", Some(1), filter, 9, usize::MAX);
    let page = page.unwrap();
    assert!(page.is_empty() && page.next_offset() > 1 && page.next_offset() < page.latest());
}

#[test]
fn an_unknown_application_reads_as_empty() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let page = sink.reader().read("nobody", None, 10, usize::MAX).unwrap();
    assert!(page.is_empty());
    assert_eq!((page.next_offset(), page.latest()), (0, 0));
    assert_eq!(sink.reader().latest("nobody").unwrap(), 0);
}

#[test]
fn an_offset_from_the_future_reads_as_empty_and_can_be_told() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 3);
    for application in ["app", "nobody"] {
        let page = sink
            .reader()
            .read(application, Some(1_000), 10, usize::MAX)
            .unwrap();
        assert!(page.is_empty());
        assert_eq!(page.next_offset(), 1_000);
        assert!(page.latest() < 1_000);
    }
    let huge = sink.reader().read("app", Some(u64::MAX), 10, usize::MAX);
    assert_eq!(huge.unwrap().next_offset(), u64::MAX);
}

#[test]
fn reading_goes_on_while_the_writer_commits() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let reader = sink.reader();
    let writing = AtomicBool::new(true);
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut after = 0;
                let mut is_last_round = false;
                loop {
                    let page = reader.read("app", Some(after), 50, usize::MAX).unwrap();
                    for (offset, event) in page.events() {
                        assert_eq!(offset, after + 1);
                        assert_eq!(data(event), offset);
                        after = offset;
                    }
                    if page.is_empty() {
                        if is_last_round {
                            break;
                        }
                        is_last_round = !writing.load(Ordering::SeqCst);
                    }
                }
                assert_eq!(after, 2_000);
            });
        }
        let mut connection = Connection::new("app", "device");
        for number in 1..=2_000 {
            connection.encode(&sink, "temp", number.to_string().as_bytes());
            if number % 20 == 0 {
                connection.hand_over(&sink);
                connection.recorder.wait_accepted(number);
            }
        }
        writing.store(false, Ordering::SeqCst);
    });
}

#[test]
fn more_readers_than_connections_wait_for_their_turn() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 100);
    let reader = sink.reader();
    std::thread::scope(|scope| {
        for _ in 0..40 {
            scope.spawn(|| {
                for _ in 0..20 {
                    assert_eq!(numbers(&reader, "app").len(), 100);
                }
            });
        }
    });
}

#[test]
fn a_damaged_row_is_reported_with_its_offset() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 3);
    publish_numbers(&sink, "app", 3);
    rusqlite::Connection::open(fixture.path())
        .unwrap()
        .execute("UPDATE batch SET events = x'ff' WHERE first = 4", [])
        .unwrap();
    let read = sink.reader().read("app", None, 100, usize::MAX);
    assert!(matches!(read, Err(ReadError::Corrupt { offset: 4 })));
    assert_eq!(offsets(&sink.reader(), None, 3, usize::MAX), [1, 2, 3]);
}

#[test]
fn the_history_counts_events_by_the_time_of_their_commit() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 7);
    publish_numbers(&sink, "app", 4);
    publish_numbers(&sink, "other", 5);
    let reader = sink.reader();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap();
    let end = u64::try_from(now.as_micros()).unwrap() + 1_000_000;
    let periods = |end: u64| Periods {
        end,
        length: 3_600_000_000,
        count: 3,
    };
    let counts = |application: &str, end| reader.history(application, periods(end)).unwrap().counts;
    assert_eq!(counts("app", end), [0, 0, 11]);
    assert_eq!(counts("other", end), [0, 0, 5]);
    assert_eq!(counts("nobody", end), [0, 0, 0]);
    // An hour later the same commits are in the hour before.
    assert_eq!(counts("app", end + 3_600_000_000), [0, 11, 0]);
    assert_eq!(counts("app", end + 9 * 3_600_000_000), [0, 0, 0]);
}
