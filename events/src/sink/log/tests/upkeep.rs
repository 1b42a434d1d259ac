use super::super::keeper::checkpoint;
use super::*;

/// How often the write-ahead file was started anew: a number in its header.
fn restarts(fixture: &Fixture) -> u32 {
    let wal = std::fs::read(fixture.folder.path().join("events.db-wal")).unwrap();
    u32::from_be_bytes(wal[12..16].try_into().unwrap())
}

#[test]
fn a_copied_write_ahead_file_is_started_anew_by_the_next_commit() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    for _ in 0..100 {
        publish_numbers(&sink, "app", 1);
    }
    let before = restarts(&fixture);
    // Long, by estimate.
    sink.shared.upkeep.wrote(1, 100 << 20);
    let keeper = sink.shared.database.reconnect().unwrap();
    checkpoint(&sink.shared, &keeper).unwrap();
    assert_eq!(restarts(&fixture), before);
    publish_numbers(&sink, "app", 1);
    assert_eq!(restarts(&fixture), before + 1);
    assert_eq!(numbers(&sink.reader(), "app").len(), 101);
}

#[test]
fn a_snapshot_held_by_another_program_delays_the_restart_and_no_commit() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 1);
    let before = restarts(&fixture);
    let other = rusqlite::Connection::open(fixture.path()).unwrap();
    other
        .execute_batch("BEGIN; SELECT count(*) FROM batch")
        .unwrap();
    publish_numbers(&sink, "app", 1);
    sink.shared.upkeep.wrote(1, 1 << 30);
    let keeper = sink.shared.database.reconnect().unwrap();
    checkpoint(&sink.shared, &keeper).unwrap();
    publish_numbers(&sink, "app", 1);
    assert_eq!(restarts(&fixture), before);

    other.execute_batch("COMMIT").unwrap();
    checkpoint(&sink.shared, &keeper).unwrap();
    publish_numbers(&sink, "app", 1);
    assert_eq!(restarts(&fixture), before + 1);
}
