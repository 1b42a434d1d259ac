//! The store below the registry: what only it can show.

use std::task::{Context, Waker};

use rusqlite::Connection;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::*;
use crate::store::{Body, Claim, Expected, Refusal, Space};

fn body(spec: &str, aliases: &[&str]) -> Body {
    let claims = aliases.iter().map(|alias| Claim {
        space: Space::DeviceNames,
        value: alias.as_bytes().to_vec(),
        path: String::new(),
    });
    Body {
        labels: "{}".to_owned(),
        annotations: "{}".to_owned(),
        spec: Zeroizing::new(spec.to_owned()),
        claims: claims.collect(),
    }
}

fn connection(folder: &TempDir) -> Connection {
    open::writer(&folder.path().join("registry.db")).unwrap()
}

fn count(connection: &Connection, table: &str) -> i64 {
    connection
        .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
            row.get(0)
        })
        .unwrap()
}

fn application(connection: &mut Connection, name: &str) -> Row {
    let place = place(name, None);
    let body = body("{}", &[]);
    write_one(connection, place, Expected::Absent, body).unwrap()
}

fn place(application: &str, device: Option<&str>) -> Place {
    match device {
        None => Place::Application(application.into()),
        Some(device) => Place::Device {
            application: application.into(),
            device: device.into(),
        },
    }
}

fn device(name: &str) -> Place {
    place("app", Some(name))
}

fn write_one(
    connection: &mut Connection,
    place: Place,
    expected: Expected,
    body: Body,
) -> Result<Row, CommitError> {
    let put = Put {
        place,
        expected,
        body,
    };
    write::commit(connection, &[put]).map(|mut rows| rows.remove(0))
}

fn refusal(result: Result<Row, CommitError>) -> Refusal {
    match result {
        Err(CommitError::Refused { index: 0, refusal }) => refusal,
        other => panic!("not refused: {:?}", other.map(|row| row.name)),
    }
}

#[test]
fn a_new_file_has_the_settings_that_durability_and_secrets_need() {
    let folder = TempDir::new().unwrap();
    let connection = connection(&folder);
    for (pragma, value) in [
        ("auto_vacuum", 2), // INCREMENTAL
        ("synchronous", 2), // FULL
        ("secure_delete", 1),
        ("user_version", 1),
    ] {
        let found: i64 = connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .unwrap();
        assert_eq!(found, value, "{pragma}");
    }
    let mode: String = connection
        .pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_reader_cannot_write() {
    let folder = TempDir::new().unwrap();
    drop(connection(&folder));
    let reader = open::reader(&folder.path().join("registry.db")).unwrap();
    let refused = reader.execute("DELETE FROM resource", []).unwrap_err();
    assert!(refused.to_string().contains("readonly"), "{refused}");
}

#[test]
fn a_write_against_another_revision_is_stale_and_changes_nothing() {
    let folder = TempDir::new().unwrap();
    let mut connection = connection(&folder);
    let app = application(&mut connection, "app");
    let mut put =
        |expected, spec| write_one(&mut connection, device("d"), expected, body(spec, &[]));
    assert_eq!(
        refusal(put(Expected::Revision(1), "{}")),
        Refusal::Stale,
        "not there"
    );
    let first = put(Expected::Absent, "{}").unwrap();
    assert_eq!(
        refusal(put(Expected::Absent, "{}")),
        Refusal::Stale,
        "there"
    );
    let second = put(Expected::Revision(first.revision), r#"{"a":1}"#).unwrap();
    assert!(second.revision > first.revision);
    assert_eq!((first.generation, second.generation), (1, 2));
    assert_eq!(
        refusal(put(Expected::Revision(first.revision), "{}")),
        Refusal::Stale
    );
    let stored = read::get(&connection, app.id, "d").unwrap().unwrap();
    assert_eq!(
        (stored.revision, stored.spec.as_str()),
        (second.revision, r#"{"a":1}"#)
    );
}

#[test]
fn a_device_of_an_application_that_is_gone_is_refused() {
    let folder = TempDir::new().unwrap();
    let mut connection = connection(&folder);
    let app = application(&mut connection, "app");
    let gone = write::remove(
        &mut connection,
        ResourceId::ROOT,
        "app",
        &Preconditions::default(),
    );
    assert!(matches!(gone, Ok(Removed::Row(_))));
    let put = write_one(
        &mut connection,
        device("d"),
        Expected::Absent,
        body("{}", &[]),
    );
    assert_eq!(refusal(put), Refusal::NoParent);
    assert!(
        application(&mut connection, "app").id.0 > app.id.0,
        "an id is never used again"
    );
}

#[test]
fn a_refused_claim_leaves_the_resource_as_it_was() {
    let folder = TempDir::new().unwrap();
    let mut connection = connection(&folder);
    application(&mut connection, "app");
    let mut put = |name, expected, aliases: &[&str]| {
        write_one(&mut connection, device(name), expected, body("{}", aliases))
    };
    put("a", Expected::Absent, &["x"]).unwrap();
    let b = put("b", Expected::Absent, &["y"]).unwrap();
    let refused = put("b", Expected::Revision(b.revision), &["z", "x"]);
    assert_eq!(refusal(refused), Refusal::Taken(Some(1)));
    put("c", Expected::Absent, &["z"]).expect("not claimed by the refused write");
    let refused = put("d", Expected::Absent, &["y"]);
    assert_eq!(refusal(refused), Refusal::Taken(Some(0)), "still claimed");
}

#[test]
fn a_deleted_applications_devices_are_removed_bit_by_bit() {
    let folder = TempDir::new().unwrap();
    let mut connection = connection(&folder);
    application(&mut connection, "app");
    application(&mut connection, "other");
    for n in 0..1200 {
        let (name, alias) = (format!("d{n}"), format!("a{n}"));
        let body = body(&"x".repeat(500), &[&alias]);
        write_one(&mut connection, device(&name), Expected::Absent, body).unwrap();
    }
    let kept = body("{}", &["a0"]);
    let elsewhere = place("other", Some("d0"));
    write_one(&mut connection, elsewhere, Expected::Absent, kept).unwrap();
    let pages = count(&connection, "pragma_page_count()").max(
        connection
            .pragma_query_value(None, "page_count", |row| row.get(0))
            .unwrap(),
    );
    write::remove(
        &mut connection,
        ResourceId::ROOT,
        "app",
        &Preconditions::default(),
    )
    .unwrap();

    let lock = Lock::take(&folder.path().join("registry.db")).unwrap();
    let mut writer = Writer {
        connection,
        purge_due: true,
        _lock: lock,
    };
    let mut steps = 0;
    while write::purge(&mut writer) {
        steps += 1;
    }
    assert!((3..10).contains(&steps), "{steps}");
    let connection = writer.connection;
    assert_eq!(count(&connection, "resource"), 2);
    assert_eq!(count(&connection, "claim"), 1);
    assert_eq!(count(&connection, "doomed"), 0);
    let left: i64 = connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    assert!(left < pages / 2, "{left} of {pages} pages are left");
}

#[test]
fn a_full_disk_refuses_writes_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let mut connection = connection(&folder);
    let app = application(&mut connection, "app");
    let pages: i64 = connection
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    connection
        .pragma_update(None, "max_page_count", pages + 4)
        .unwrap();
    let mut put = |n: i32| {
        let body = body(&"x".repeat(4000), &[]);
        write_one(
            &mut connection,
            device(&format!("d{n}")),
            Expected::Absent,
            body,
        )
    };
    let stored = (0..).find(|n| put(*n).is_err()).unwrap();
    let CommitError::Unavailable(refused) = put(stored).err().unwrap() else {
        panic!("not refused")
    };
    assert!(refused.to_string().contains("disk is full"), "{refused}");

    for n in 0..stored {
        assert!(
            read::get(&connection, app.id, &format!("d{n}"))
                .unwrap()
                .is_some()
        );
    }
    assert!(
        read::get(&connection, app.id, &format!("d{stored}"))
            .unwrap()
            .is_none()
    );
    connection
        .pragma_update(None, "max_page_count", 1 << 30)
        .unwrap();
    let body = body("{}", &[]);
    write_one(&mut connection, device("later"), Expected::Absent, body).unwrap();
}

#[tokio::test]
async fn what_is_left_to_remove_is_removed_after_a_restart() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let mut connection = connection(&folder);
    application(&mut connection, "app");
    write_one(
        &mut connection,
        device("d"),
        Expected::Absent,
        body("{}", &["x"]),
    )
    .unwrap();
    write::remove(
        &mut connection,
        ResourceId::ROOT,
        "app",
        &Preconditions::default(),
    )
    .unwrap();
    assert_eq!(count(&connection, "doomed"), 1);
    drop(connection);

    let store = SqliteStore::open(path.clone()).await.unwrap();
    let mut left = 1;
    while left > 0 {
        left = store
            .writer
            .run(|writer| count(&writer.connection, "doomed"))
            .await
            .unwrap();
        tokio::task::yield_now().await;
    }
    let resources = store
        .writer
        .run(|writer| count(&writer.connection, "resource"))
        .await
        .unwrap();
    assert_eq!(resources, 0);
}

#[tokio::test]
async fn a_job_is_done_although_its_caller_has_gone_and_before_the_store_is_closed() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    let store = SqliteStore::open(path.clone()).await.unwrap();
    let put = store.commit(vec![Put {
        place: place("app", None),
        expected: Expected::Absent,
        body: body("{}", &[]),
    }]);
    let mut put = Box::pin(put);
    // Polled once, which hands the job over, then dropped.
    let _ = put.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    drop(put);
    drop(store);
    let store = SqliteStore::open(path.clone()).await.unwrap();
    assert!(store.get(ResourceId::ROOT, "app").await.unwrap().is_some());
}
