//! Records are there after a crash, and not after the session's end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn file(folder: &Path) -> PathBuf {
    folder.join("sessions.db")
}

fn record(device: &str, client_id: &str, will: Option<WillRecord>) -> SessionRecord {
    SessionRecord {
        epoch: 0,
        application: "app".into(),
        device: device.into(),
        device_uid: "uid".into(),
        client_id: client_id.into(),
        will: will.map(Box::new),
    }
}

fn will() -> WillRecord {
    WillRecord {
        topic: "gone".into(),
        payload: Box::from(*b"\x00\xff"),
        qos: QoS::ExactlyOnce,
        retain: true,
        payload_is_utf8: Some(false),
        content_type: Some("text/plain".into()),
        user_properties: vec![("a".to_owned(), "1".to_owned())],
    }
}

fn sessions(dead: &DeadSessions, device: &str) -> Vec<SessionRecord> {
    let dead = dead.of_device("app", device);
    dead.map(|dead| dead.sessions.clone()).unwrap_or_default()
}

#[tokio::test]
async fn what_was_entered_and_not_forgotten_is_there_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let (records, dead) = Records::open(&file(folder.path())).unwrap();
    assert!(dead.is_empty());
    let first = records.enter(record("d", "a", Some(will()))).await.unwrap();
    let second = records.enter(record("d", "b", None)).await.unwrap();
    let ended = records.enter(record("e", "a", None)).await.unwrap();
    assert!(first < second && second < ended);
    records.forget(ended);
    records.close();

    let (records, dead) = Records::open(&file(folder.path())).unwrap();
    let with_epoch = |epoch, record| SessionRecord { epoch, ..record };
    assert_eq!(
        sessions(&dead, "d"),
        [
            with_epoch(first, record("d", "a", Some(will()))),
            with_epoch(second, record("d", "b", None)),
        ]
    );
    assert_eq!(sessions(&dead, "e"), []);
    assert_eq!(dead.len(), 1);
    let next = records.enter(record("d", "a", None)).await.unwrap();
    assert!(next > second, "epochs go on");
    records.close();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_all_recorded() {
    const MANY: usize = 2_000;
    let folder = tempfile::tempdir().unwrap();
    let (records, _) = Records::open(&file(folder.path())).unwrap();
    let records = Arc::new(records);
    let mut entering = tokio::task::JoinSet::new();
    for n in 0..MANY {
        let records = Arc::clone(&records);
        entering.spawn(async move { records.enter(record(&n.to_string(), "c", None)).await });
    }
    let mut epochs: Vec<_> = entering
        .join_all()
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    epochs.sort_unstable();
    epochs.dedup();
    assert_eq!(epochs.len(), MANY);
    records.close();
    assert!(records.enter(record("late", "c", None)).await.is_err());
    let (records, dead) = Records::open(&file(folder.path())).unwrap();
    assert_eq!(dead.len(), MANY);
    records.close();
}

#[tokio::test]
async fn what_is_due_of_a_device_is_said_once_however_many_ask() {
    let folder = tempfile::tempdir().unwrap();
    let (records, _) = Records::open(&file(folder.path())).unwrap();
    records.enter(record("d", "a", None)).await.unwrap();
    records.close();
    let (records, dead) = Records::open(&file(folder.path())).unwrap();
    let dead = Arc::new(dead);
    let said = Arc::new(AtomicUsize::new(0));
    let settle = async || {
        let Some(of_device) = dead.of_device("app", "d") else {
            return;
        };
        let said = Arc::clone(&said);
        let say = move || async move {
            tokio::task::yield_now().await;
            said.fetch_add(1, Ordering::SeqCst);
        };
        dead.settle(&of_device, say).await;
    };
    // One that gives up at once does not stop it.
    drop(tokio::time::timeout(std::time::Duration::ZERO, settle()).await);
    tokio::join!(settle(), settle(), settle());
    assert_eq!(said.load(Ordering::SeqCst), 1);
    assert!(dead.is_empty() && dead.all().is_empty());
    records.close();
}

#[test]
fn a_file_of_something_else_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(folder.path());
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch("CREATE TABLE t (x)").unwrap();
    drop(connection);
    let before = std::fs::read(&path).unwrap();
    let Err(refused) = Records::open(&path) else {
        panic!("opened")
    };
    let refused = refused.to_string();
    assert!(refused.contains("no file of session records"), "{refused}");
    assert!(refused.contains("sessions.db"), "{refused}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}
