//! Events of a system that is away, on disk.

use std::path::Path;

use super::*;

fn spilling(system: &System, lanes: u16, path: &Path, bytes: u64) -> Result<Remote, RemoteError> {
    let system = system.clone();
    let spill = SpillOptions {
        path: path.to_owned(),
        bytes,
    };
    let fake = move || Fake {
        system,
        lanes,
        window: 4,
        most: 3,
    };
    Remote::start("far", remote(PLENTY, lanes, Some(spill)), fake)
}

#[test]
fn a_spill_accepts_events_while_the_system_is_away_and_sends_them_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spill.db");
    let system = System::default();
    system.set("app", Mood::Failing);
    let sink = spilling(&system, 1, &path, 1 << 30).unwrap();
    let mut connection = Connection::new("app", "device");
    publish(&mut connection, &sink, 0..700);
    connection.recorder.wait_accepted(700);
    publish(&mut connection, &sink, 700..1_000);
    connection.recorder.wait_accepted(1_000);
    assert_eq!(system.taken("app"), [""; 0]);
    assert_eq!(sink.health(), Health::Up);
    wait_for("the room that they took", || sink.stats().queued == 0);
    assert_eq!(sink.stats().spilled, 1_000);
    // Others are not spilled.
    let mut good = Connection::new("good", "device");
    let sequence = good.publish(&sink, "temp", b"0");
    good.recorder.wait_accepted(sequence);
    assert_eq!(system.taken("good"), ["0"]);

    system.set("app", Mood::Taking);
    publish(&mut connection, &sink, 1_000..1_100);
    wait_for("everything", || system.taken("app").len() == 1_100);
    assert_eq!(system.taken("app"), numbers(0..1_100));
    wait_for("an empty spill", || sink.stats().spilled == 0);
    connection.recorder.wait_accepted(1_100);
    sink.close(LONG).unwrap();
}

#[test]
fn a_spill_survives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spill.db");
    let system = System::default();
    system.set("app", Mood::Failing);
    let sink = spilling(&system, 2, &path, 1 << 30).unwrap();
    let mut connection = Connection::new("app", "device");
    publish(&mut connection, &sink, 0..100);
    let until = std::time::Instant::now() + LONG;
    while sink.stats().failed_commits == 0 {
        assert!(std::time::Instant::now() < until);
        thread::yield_now();
    }
    // At the end what waits goes to disk at once.
    assert_eq!(sink.close(LONG), Ok(()));
    assert_eq!(connection.recorder.told().up_to(), 100);
    drop(sink);

    let error = spilling(&system, 3, &path, 1 << 30)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("`concurrency` of 2"), "{error}");
    system.set("app", Mood::Taking);
    let sink = spilling(&system, 2, &path, 1 << 30).unwrap();
    publish(&mut connection, &sink, 100..110);
    wait_for("everything", || system.taken("app").len() == 110);
    assert_eq!(system.taken("app"), numbers(0..110));
}

#[test]
fn a_full_spill_leaves_events_in_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("spill.db");
    let system = System::default();
    system.set("app", Mood::Failing);
    let sink = spilling(&system, 1, &path, 20_000).unwrap();
    let mut connection = Connection::new("app", "device");
    publish(&mut connection, &sink, 0..5);
    connection.recorder.wait_accepted(5);
    publish(&mut connection, &sink, 5..500);
    wait_for("the spill to be full", || sink.health() != Health::Up);
    assert_eq!(connection.recorder.told().up_to(), 5);
    system.set("app", Mood::Taking);
    connection.recorder.wait_accepted(500);
    assert_eq!(system.taken("app"), numbers(0..500));
    wait_for("health", || sink.health() == Health::Up);
}

#[test]
fn what_is_no_spill_is_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.db");
    std::fs::write(&path, b"something else that is no database at all").unwrap();
    let error = spilling(&System::default(), 1, &path, 1)
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("other.db"), "{error}");
}
