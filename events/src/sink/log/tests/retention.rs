use super::super::retention::enforce;
use super::super::{ReadError, Retention};
use super::*;
use crate::event::Timestamp;

const FOREVER: Duration = Duration::from_secs(1_000_000_000);
const HOUR_MICROS: u64 = 3_600_000_000;

/// Enforces retention as of now plus a while, as the keeper does.
fn enforce_after(sink: &LogSink, micros: u64) {
    let mut connection = sink.shared.database.reconnect().unwrap();
    let now = Timestamp(Timestamp::now().0 + micros);
    enforce(&sink.shared, &mut connection, now).unwrap();
}

fn count(fixture: &Fixture, what: &str) -> u64 {
    rusqlite::Connection::open(fixture.path())
        .unwrap()
        .query_row(&format!("SELECT {what} FROM batch"), [], |row| {
            row.get::<_, i64>(0)
        })
        .map(|count| u64::try_from(count).unwrap())
        .unwrap()
}

#[test]
fn nothing_inside_both_bounds_is_deleted() {
    let fixture = Fixture::new();
    let sink = fixture.open_with(|options| {
        options.retention = Retention {
            bytes: 1 << 20,
            age: Duration::from_secs(3_600),
        };
    });
    for _ in 0..100 {
        publish_numbers(&sink, "app", 1);
    }
    enforce_after(&sink, HOUR_MICROS / 2);
    assert_eq!(numbers(&sink.reader(), "app").len(), 100);
}

#[test]
fn the_newest_bytes_are_kept_and_the_rest_is_deleted() {
    let fixture = Fixture::new();
    let kept = 10_000;
    let sink = fixture.open_with(|options| {
        options.retention = Retention {
            bytes: kept,
            age: FOREVER,
        };
    });
    for _ in 0..100 {
        publish_numbers(&sink, "app", 1);
    }
    let largest_row = count(&fixture, "max(length(events))");
    enforce_after(&sink, 0);
    let left = count(&fixture, "sum(length(events))");
    assert!(
        left >= kept && left < kept + largest_row,
        "{left} bytes left"
    );

    let page = sink.reader().read("app", None, 1000, usize::MAX).unwrap();
    let offsets: Vec<_> = page.events().map(|(offset, _)| offset).collect();
    assert_eq!(offsets, (offsets[0]..=100).collect::<Vec<_>>());
}

#[test]
fn old_events_are_deleted_and_young_ones_kept() {
    let fixture = Fixture::new();
    let sink = fixture.open_with(|options| {
        options.retention = Retention {
            bytes: u64::MAX,
            age: Duration::from_secs(3_600),
        };
    });
    publish_numbers(&sink, "app", 3);
    rusqlite::Connection::open(fixture.path())
        .unwrap()
        .execute(
            "UPDATE batch SET time = time - ?1",
            [HOUR_MICROS.cast_signed()],
        )
        .unwrap();
    publish_numbers(&sink, "app", 2);
    enforce_after(&sink, 0);
    assert_eq!(numbers(&sink.reader(), "app"), [(4, 1), (5, 2)]);
}

#[test]
fn an_expired_offset_names_the_oldest_retained() {
    let fixture = Fixture::new();
    let sink = fixture.open_with(|options| options.retention.bytes = 1);
    for _ in 0..5 {
        publish_numbers(&sink, "app", 10);
    }
    enforce_after(&sink, 0);
    let reader = sink.reader();
    let oldest = numbers(&reader, "app")[0].0;
    assert_eq!(oldest, 41);
    for after in [0, 1, 39] {
        let read = reader.read("app", Some(after), 10, usize::MAX);
        assert!(
            matches!(read, Err(ReadError::Expired { oldest: 41 })),
            "after {after}: {read:?}"
        );
    }
    let resumed = reader
        .read("app", Some(oldest - 1), 10, usize::MAX)
        .unwrap();
    assert_eq!(resumed.events().next().unwrap().0, oldest);
}

#[test]
fn an_application_that_starts_late_has_missed_nothing() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "busy", 1_000);
    publish_numbers(&sink, "late", 1);
    let page = sink.reader().read("late", Some(0), 10, usize::MAX).unwrap();
    assert_eq!(page.len(), 1);
}

#[test]
fn offsets_are_never_used_again_even_when_all_events_expired() {
    let fixture = Fixture::new();
    let set = |options: &mut LogOptions| options.retention.bytes = 0;
    let sink = fixture.open_with(set);
    publish_numbers(&sink, "app", 7);
    enforce_after(&sink, 0);
    assert_eq!(count(&fixture, "count(*)"), 0);
    assert_eq!(sink.reader().latest("app").unwrap(), 7);
    let read = sink.reader().read("app", Some(3), 10, usize::MAX);
    assert!(matches!(read, Err(ReadError::Expired { oldest: 8 })));
    let empty = sink.reader().read("app", None, 10, usize::MAX).unwrap();
    assert_eq!((empty.len(), empty.next_offset()), (0, 7));
    drop(sink);

    let sink = fixture.open_with(set);
    publish_numbers(&sink, "app", 1);
    assert_eq!(sink.reader().latest("app").unwrap(), 8);
}

#[test]
fn an_application_may_have_a_retention_of_its_own() {
    let fixture = Fixture::new();
    let sink = fixture.open_with(|options| {
        let nothing = Retention {
            bytes: 0,
            age: FOREVER,
        };
        options.retention_of.insert("brief".into(), nothing);
    });
    publish_numbers(&sink, "brief", 3);
    publish_numbers(&sink, "app", 3);
    enforce_after(&sink, 0);
    assert_eq!(numbers(&sink.reader(), "brief"), []);
    assert_eq!(numbers(&sink.reader(), "app").len(), 3);
}

#[test]
fn a_log_that_is_opened_with_less_retention_is_cut_back_at_once() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 3);
    drop(sink);

    let sink = fixture.open_with(|options| options.retention.bytes = 0);
    let deadline = std::time::Instant::now() + LONG;
    while sink.reader().read("app", Some(0), 1, usize::MAX).is_ok() {
        assert!(std::time::Instant::now() < deadline, "nothing expires");
        std::thread::yield_now();
    }
}

#[test]
fn the_file_shrinks_after_much_has_expired() {
    let fixture = Fixture::new();
    let sink = fixture.open_with(|options| options.retention.bytes = 0);
    let mut connection = Connection::new("app", "device");
    for _ in 0..500 {
        connection.publish(&sink, "blob", &noise(150_000));
    }
    connection.recorder.wait_accepted(500);
    // The keeper may be at it already: both do the same.
    enforce_after(&sink, 0);
    close(&sink);
    let size = std::fs::metadata(fixture.path()).unwrap().len();
    assert!(size < 80 << 20, "{size} bytes");
}
