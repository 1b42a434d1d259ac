//! The file of held commands, and what is known of it in memory.

use std::path::Path;
use std::time::{Duration, SystemTime};

use super::*;

fn options(path: &Path) -> HeldOptions {
    HeldOptions {
        path: path.join("commands.db"),
        per_device: 3,
        bytes: 100,
        is_one_of_many: false,
    }
}

fn open(path: &Path) -> HeldCommands {
    HeldCommands::open(options(path)).unwrap()
}

fn new(device: &str, command: &str, lives: Duration) -> NewHeld {
    NewHeld {
        application: "app".into(),
        device: device.into(),
        device_uid: "uid".to_owned(),
        command: command.to_owned(),
        payload: Bytes::from_static(b"payload"),
        content_type: Some("text/plain".to_owned()),
        user_properties: vec![("name".to_owned(), "value".to_owned())],
        expires: SystemTime::now() + lives,
    }
}

/// As one of several instances opens it.
fn open_as_one_of_many(path: &Path) -> HeldCommands {
    HeldCommands::open(HeldOptions {
        is_one_of_many: true,
        ..options(path)
    })
    .unwrap()
}

const LONG: Duration = Duration::from_secs(3600);

async fn keep(held: &HeldCommands, device: &str, command: &str) -> Result<i64, HeldError> {
    held.keep(new(device, command, LONG), |_| ()).await
}

async fn names(held: &HeldCommands, device: &str) -> Vec<String> {
    let list = held.list("app", device).await.unwrap();
    list.into_iter().map(|c| c.held.command).collect()
}

#[tokio::test]
async fn what_is_kept_is_there_in_its_order_when_the_file_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(folder.path());
    let first = keep(&held, "d", "one").await.unwrap();
    let second = keep(&held, "d", "two").await.unwrap();
    assert!(first < second);
    keep(&held, "e", "other").await.unwrap();
    drop(held);

    let held = open(folder.path());
    assert_eq!(names(&held, "d").await, ["one", "two"]);
    let first = held.first("app", "d").await.unwrap().unwrap();
    assert_eq!(first.held.payload, b"payload"[..]);
    assert_eq!(first.held.content_type.as_deref(), Some("text/plain"));
    let properties = [("name".to_owned(), "value".to_owned())];
    assert_eq!(first.held.user_properties, properties);
    assert_eq!(first.held.device_uid, "uid");
    let mut waiting = held.devices_waiting("app", None);
    waiting.sort();
    assert_eq!(waiting, ["d".into(), "e".into()]);
    assert!(held.devices_waiting("other", None).is_empty());
}

#[tokio::test]
async fn of_devices_that_are_named_no_other_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(folder.path());
    for device in ["d", "e", "f"] {
        keep(&held, device, "x").await.unwrap();
    }
    let named = ["nobody", "e"].map(str::to_owned);
    assert_eq!(held.devices_waiting("app", Some(&named)), ["e".into()]);
    assert!(held.has_any("app", Some(&named)) && held.has_any("app", None));
    assert!(!held.has_any("app", Some(&named[..1])) && !held.has_any("app", Some(&[])));
    assert!(held.devices_waiting("other", Some(&named)).is_empty());
    assert!(!held.has_any("other", Some(&named)) && !held.has_any("other", None));
}

#[tokio::test]
async fn a_number_is_given_once_also_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(folder.path());
    let first = keep(&held, "d", "one").await.unwrap();
    assert!(held.remove("app", "d", first).await.unwrap());
    drop(held);
    let held = open(folder.path());
    assert_ne!(keep(&held, "d", "one").await.unwrap(), first);
}

#[tokio::test]
async fn of_several_instances_no_two_give_the_same_number() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let alone = open(one.path());
    let first = keep(&alone, "d", "alone").await.unwrap();
    assert!(alone.has_given(first) && alone.has_given(i64::MAX));
    drop(alone);

    let (held, others) = (
        open_as_one_of_many(one.path()),
        open_as_one_of_many(other.path()),
    );
    assert_eq!(names(&held, "d").await, ["alone"]);
    let renumbered = held.first("app", "d").await.unwrap().unwrap().id;
    let second = keep(&held, "d", "second").await.unwrap();
    let foreign = keep(&others, "d", "foreign").await.unwrap();
    assert_eq!(second, renumbered + 1);
    for (own, number) in [(&held, renumbered), (&held, second), (&others, foreign)] {
        assert!(own.has_given(number) && may_be_of_a_fleet(number));
    }
    assert!(!held.has_given(foreign) && !others.has_given(second));
    assert!(!may_be_of_a_fleet(first) && !may_be_of_a_fleet(-1));
    assert!(!held.remove("app", "d", first).await.unwrap());

    drop(held);
    let again = open_as_one_of_many(one.path());
    assert_eq!(names(&again, "d").await, ["alone", "second"]);
    assert!(again.has_given(second));
    assert!(again.remove("app", "d", second).await.unwrap());
    assert_eq!(keep(&again, "d", "third").await.unwrap(), second + 1);
}

#[tokio::test]
async fn it_is_known_how_long_something_may_be_held() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(folder.path());
    assert_eq!(held.time_left(), Duration::ZERO);
    let id = keep(&held, "d", "long").await.unwrap();
    held.keep(new("e", "short", LONG / 2), |_| ())
        .await
        .unwrap();
    assert!(held.time_left() > LONG / 2);
    drop(held);
    let held = open(folder.path());
    assert!(held.time_left() > LONG / 2);
    assert!(held.remove("app", "d", id).await.unwrap());
    let short = held.first("app", "e").await.unwrap().unwrap();
    assert!(!held.time_left().is_zero());
    assert!(held.remove("app", "e", short.id).await.unwrap());
    assert_eq!(held.time_left(), Duration::ZERO);
}

#[tokio::test]
async fn its_number_is_told_before_anybody_can_find_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(folder.path());
    let (tell, told) = tokio::sync::oneshot::channel();
    let enter = move |id| tell.send(id).unwrap();
    let id = held.keep(new("d", "one", LONG), enter).await.unwrap();
    assert_eq!(told.await.unwrap(), id);
}

#[tokio::test]
async fn a_device_has_room_for_some_and_all_together_for_some_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(folder.path());
    for name in ["a", "b", "c"] {
        keep(&held, "d", name).await.unwrap();
    }
    assert_eq!(keep(&held, "d", "d").await, Err(HeldError::Full));
    // 27 bytes each: name, payload, content type, properties.
    assert_eq!(keep(&held, "e", "a").await, Err(HeldError::Full), "bytes");
    let first = held.first("app", "d").await.unwrap().unwrap();
    assert!(held.remove("app", "d", first.id).await.unwrap());
    assert!(!held.remove("app", "d", first.id).await.unwrap());
    keep(&held, "e", "a").await.unwrap();
    assert_eq!(keep(&held, "d", "d").await, Err(HeldError::Full), "bytes");
}

#[tokio::test]
async fn many_at_once_do_not_pass_the_bound() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(folder.path());
    let kept = std::sync::atomic::AtomicUsize::new(0);
    let one = async |n: usize| {
        if keep(&held, "d", &n.to_string()).await.is_ok() {
            kept.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    };
    tokio::join!(one(1), one(2), one(3), one(4), one(5));
    assert_eq!(kept.into_inner(), 3);
}

#[tokio::test]
async fn what_has_expired_is_neither_found_nor_counted() {
    let folder = tempfile::tempdir().unwrap();
    let held = open(folder.path());
    held.keep(new("d", "old", Duration::ZERO), |_| ())
        .await
        .unwrap();
    keep(&held, "d", "new").await.unwrap();
    assert_eq!(names(&held, "d").await, ["new"]);
    assert_eq!(held.expire().await.unwrap(), 1);
    assert_eq!(held.expire().await.unwrap(), 0);
    keep(&held, "d", "x").await.unwrap();
    keep(&held, "d", "y").await.unwrap();
}

#[test]
fn a_file_of_something_else_or_of_a_newer_version_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = options(folder.path()).path;
    drop(open(folder.path()));
    for (pragma, told) in [
        ("PRAGMA user_version = 7", "has version 7"),
        ("PRAGMA application_id = 7", "no file of held commands"),
    ] {
        let connection = rusqlite::Connection::open(&path).unwrap();
        connection.execute_batch(pragma).unwrap();
        drop(connection);
        let before = std::fs::read(&path).unwrap();
        let Err(refused) = HeldCommands::open(options(folder.path())) else {
            panic!("opened")
        };
        let refused = refused.to_string();
        assert!(refused.contains(told), "{refused}");
        assert!(refused.contains("commands.db"), "{refused}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
    std::fs::write(&path, "no database at all, but text that is long enough").unwrap();
    assert!(HeldCommands::open(options(folder.path())).is_err());
}

#[test]
fn a_file_is_open_once_at_a_time_and_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let held = open(folder.path());
    let Err(refused) = HeldCommands::open(options(folder.path())) else {
        panic!("opened twice")
    };
    assert!(refused.to_string().contains("another process"), "{refused}");
    let mode = std::fs::metadata(options(folder.path()).path)
        .unwrap()
        .permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
    drop(held);
    open(folder.path());
}
