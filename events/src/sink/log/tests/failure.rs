use std::sync::atomic::Ordering;

use super::*;
use crate::sink::Health;

/// Lets the file grow no further; what is in it may be overwritten.
fn fill_disk(sink: &LogSink) {
    let pages = sink
        .shared
        .database
        .reconnect()
        .unwrap()
        .pragma_query_value(None, "page_count", |row| row.get::<_, u32>(0))
        .unwrap();
    sink.shared
        .database
        .page_limit
        .store(pages, Ordering::SeqCst);
}

fn free_disk(sink: &LogSink) {
    sink.shared
        .database
        .page_limit
        .store(u32::MAX, Ordering::SeqCst);
}

/// Publishes until the log fails, and returns what it says.
fn publish_until_failing(sink: &LogSink, connection: &mut Connection) -> String {
    let deadline = std::time::Instant::now() + LONG;
    loop {
        if let Health::Failing { reason, .. } = sink.health() {
            return reason.to_string();
        }
        assert!(std::time::Instant::now() < deadline, "the log never failed");
        if sink.has_room("app") {
            connection.publish(sink, "blob", &noise(4_000));
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_full_disk_stops_acceptance_and_recovery_takes_all() {
    let fixture = Fixture::new();
    let sink = fixture.open_with(|options| options.queue_bytes = 200_000);
    publish_numbers(&sink, "app", 10);
    fill_disk(&sink);
    let mut connection = Connection::new("app", "device");
    let reason = publish_until_failing(&sink, &mut connection);
    assert!(reason.contains("full"), "{reason}");
    assert!(reason.contains("events.db"), "{reason}");

    // The queue fills, and then there is no room.
    while sink.has_room("app") {
        connection.publish(&sink, "blob", b"\"more\"");
    }
    let accepted = connection.recorder.told().up_to();
    assert!(accepted < connection.last());
    connection.ask_for_room(&sink);
    assert!(connection.recorder.told().rooms.is_empty());
    // What was reported is there; what is there was handed over.
    let stored = sink.reader().latest("app").unwrap() - 10;
    assert_eq!(stored, accepted);

    free_disk(&sink);
    connection.recorder.wait_accepted(connection.last());
    connection.recorder.wait_room();
    assert_eq!(sink.health(), Health::Up);
    assert!(sink.has_room("app"));
    assert!(sink.stats().failed_commits > 0);
    let page = sink.reader().read("app", Some(10), usize::MAX, usize::MAX);
    let page = page.unwrap();
    assert_eq!(page.len() as u64, connection.last());
    let ids: std::collections::HashSet<_> = page
        .events()
        .map(|(_, event)| {
            let event: Value = serde_json::from_slice(event).unwrap();
            event["id"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(ids.len() as u64, connection.last(), "each exactly once");
}

#[test]
fn closing_a_failing_log_gives_up_and_loses_nothing_that_was_accepted() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    publish_numbers(&sink, "app", 10);
    fill_disk(&sink);
    let mut connection = Connection::new("app", "device");
    publish_until_failing(&sink, &mut connection);
    let unfinished = sink.close(Duration::ZERO).unwrap_err();
    let accepted = connection.recorder.told().up_to();
    assert_eq!(unfinished.events, connection.last() - accepted);
    drop(sink);

    let sink = fixture.open();
    assert_eq!(sink.reader().latest("app").unwrap(), 10 + accepted);
    publish_numbers(&sink, "app", 1);
}

#[test]
fn a_lock_held_by_another_program_is_waited_out() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let other = rusqlite::Connection::open(fixture.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let mut connection = Connection::new("app", "device");
    connection.publish(&sink, "temp", b"1");
    assert_eq!(connection.recorder.told().up_to(), 0);
    other.execute_batch("ROLLBACK").unwrap();
    connection.recorder.wait_accepted(1);
}

#[test]
fn a_table_that_vanishes_makes_the_log_fail_and_nothing_is_accepted() {
    let fixture = Fixture::new();
    let sink = fixture.open();
    let other = rusqlite::Connection::open(fixture.path()).unwrap();
    other
        .execute_batch("ALTER TABLE batch RENAME TO hidden")
        .unwrap();
    let mut connection = Connection::new("app", "device");
    publish_until_failing(&sink, &mut connection);
    assert_eq!(connection.recorder.told().up_to(), 0);
    other
        .execute_batch("ALTER TABLE hidden RENAME TO batch")
        .unwrap();
    connection.recorder.wait_accepted(connection.last());
    assert_eq!(sink.reader().latest("app").unwrap(), connection.last());
}

/// A file system of a few megabytes; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// None where this may not be mounted: only root can.
    fn mount(folder: &std::path::Path) -> Option<Self> {
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"])
            .arg(folder)
            .status();
        let is_mounted = mounted.is_ok_and(|status| status.success());
        is_mounted.then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _status = std::process::Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_real_disk_that_runs_full_stops_acceptance_until_there_is_space() {
    let fixture = Fixture::new();
    let Some(_disk) = SmallDisk::mount(fixture.folder.path()) else {
        eprintln!("not root: left to the tests with a bounded file");
        return;
    };
    let ballast = fixture.folder.path().join("ballast");
    std::fs::write(&ballast, vec![0; 3 << 20]).unwrap();

    let sink = fixture.open();
    let mut connection = Connection::new("app", "device");
    let reason = publish_until_failing(&sink, &mut connection);
    assert!(reason.contains("events.db"), "{reason}");
    let accepted = connection.recorder.told().up_to();
    assert!(accepted > 0 && accepted < connection.last());
    assert_eq!(sink.reader().latest("app").unwrap(), accepted);

    std::fs::remove_file(ballast).unwrap();
    connection.recorder.wait_accepted(connection.last());
    assert_eq!(sink.health(), Health::Up);
    drop(sink);
    let sink = fixture.open();
    assert_eq!(sink.reader().latest("app").unwrap(), connection.last());
    drop(sink);
}
