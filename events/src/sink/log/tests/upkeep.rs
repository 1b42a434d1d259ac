use super::*;

/// More than any length at which the keeper acts.
const LONG_FILE: u64 = 1 << 30;

/// How often the write-ahead file was started anew: a number in its header.
fn restarts(fixture: &Fixture) -> u32 {
    let wal = std::fs::read(fixture.folder.path().join("events.db-wal")).unwrap();
    u32::from_be_bytes(wal[12..16].try_into().unwrap())
}

/// Lets the keeper believe that the write-ahead file is long, and waits until it has dealt with it.
fn restart_file(sink: &LogSink) {
    sink.shared.upkeep.wrote(1, LONG_FILE);
    let deadline = std::time::Instant::now() + LONG;
    while !sink.shared.upkeep.is_restarted() {
        assert!(std::time::Instant::now() < deadline, "the keeper sleeps");
        std::thread::yield_now();
    }
}

#[test]
fn a_long_write_ahead_file_is_copied_and_started_anew_by_the_next_commit() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    for _ in 0..100 {
        publish_numbers(&sink, "app", 1);
    }
    let before = restarts(&fixture);
    restart_file(&sink);
    publish_numbers(&sink, "app", 1);
    assert!(restarts(&fixture) > before);
    assert_eq!(numbers(&sink.reader(), "app").len(), 101);
}

#[test]
fn a_snapshot_held_by_another_program_delays_the_restart_and_no_commit() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 1);
    let other = rusqlite::Connection::open(fixture.path()).unwrap();
    other
        .execute_batch("BEGIN; SELECT count(*) FROM batch")
        .unwrap();
    publish_numbers(&sink, "app", 1);
    let before = restarts(&fixture);
    sink.shared.upkeep.wrote(1, LONG_FILE);
    for _ in 0..100 {
        publish_numbers(&sink, "app", 1);
    }
    assert_eq!(restarts(&fixture), before);

    other.execute_batch("COMMIT").unwrap();
    restart_file(&sink);
    publish_numbers(&sink, "app", 1);
    assert!(restarts(&fixture) > before);
}
