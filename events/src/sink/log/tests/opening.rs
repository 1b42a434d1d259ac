use std::fs;

use super::super::OpenError;
use super::*;

fn refusal(fixture: &Fixture) -> OpenError {
    match LogSink::open("events", fixture.options()) {
        Ok(_) => panic!("the log was opened"),
        Err(error) => {
            let path = fixture.path();
            let text = error.to_string();
            assert!(
                text.contains(path.to_str().unwrap()),
                "{text} does not name the file"
            );
            error
        }
    }
}

#[test]
fn a_restart_keeps_events_and_goes_on_counting() {
    let fixture = Fixture::new();
    for round in 0..3 {
        let sink = fixture.open();
        assert_eq!(sink.reader().latest("app").unwrap(), round * 2);
        publish_numbers(&sink, "app", 2);
        close(&sink);
    }
    let sink = fixture.open();
    assert_eq!(
        numbers(&sink.reader(), "app"),
        [(1, 1), (2, 2), (3, 1), (4, 2), (5, 1), (6, 2)]
    );
}

#[test]
fn what_was_accepted_survives_a_process_that_never_closes() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 50);
    // The files as a kill would leave them: with a write-ahead file that nobody has copied.
    let copy = Fixture::new();
    for name in ["events.db", "events.db-wal"] {
        fs::copy(
            fixture.folder.path().join(name),
            copy.folder.path().join(name),
        )
        .unwrap();
    }
    let reopened = copy.open();
    assert_eq!(numbers(&reopened.reader(), "app").len(), 50);
    publish_numbers(&reopened, "app", 1);
    assert_eq!(reopened.reader().latest("app").unwrap(), 51);
}

#[test]
fn refuses_a_second_opener() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    assert!(matches!(refusal(&fixture), OpenError::InUse { .. }));
    drop(sink);
    fixture.open();
}

#[test]
fn refuses_a_newer_version() {
    let fixture = Fixture::new();
    drop(fixture.open());
    rusqlite::Connection::open(fixture.path())
        .unwrap()
        .pragma_update(None, "user_version", 2)
        .unwrap();
    assert!(matches!(
        refusal(&fixture),
        OpenError::NewerVersion {
            found: 2,
            known: 1,
            ..
        }
    ));
}

#[test]
fn refuses_a_database_of_something_else() {
    let fixture = Fixture::new();
    rusqlite::Connection::open(fixture.path())
        .unwrap()
        .execute_batch("CREATE TABLE device (name TEXT)")
        .unwrap();
    assert!(matches!(refusal(&fixture), OpenError::NotALog { .. }));
}

#[test]
fn refuses_a_file_that_is_no_database() {
    let fixture = Fixture::new();
    fs::write(
        fixture.path(),
        "not a database, but long enough to look".repeat(100),
    )
    .unwrap();
    assert!(matches!(refusal(&fixture), OpenError::Corrupt { .. }));
}

#[test]
fn refuses_a_truncated_database() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 1_000);
    drop(sink);
    let file = fs::File::options()
        .write(true)
        .open(fixture.path())
        .unwrap();
    file.set_len(2 * super::super::database::PAGE_BYTES)
        .unwrap();
    assert!(matches!(refusal(&fixture), OpenError::Corrupt { .. }));
}

#[test]
fn refuses_a_folder_that_is_not_there() {
    let fixture = Fixture::new();
    let mut options = fixture.options();
    options.path = fixture.folder.path().join("missing").join("events.db");
    let Err(OpenError::Io { path, .. }) = LogSink::open("events", options) else {
        panic!("the log was opened");
    };
    assert!(path.starts_with(fixture.folder.path().join("missing")));
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;

    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 1);
    for name in ["events.db", "events.db-wal", "events.db-shm"] {
        let file = fs::metadata(fixture.folder.path().join(name)).unwrap();
        assert_eq!(file.permissions().mode() & 0o077, 0, "{name}");
    }
}

#[test]
fn the_file_can_give_space_back_from_the_start() {
    let fixture = Fixture::new();
    drop(fixture.open());
    let connection = rusqlite::Connection::open(fixture.path()).unwrap();
    let pragma = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .unwrap()
    };
    let incremental = 2;
    assert_eq!(pragma("auto_vacuum"), incremental);
}
