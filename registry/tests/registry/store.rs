//! The file: what is kept, what is refused, who may open it.

use std::os::unix::fs::PermissionsExt as _;

use landfall_registry::{OpenError, Options, PasswordCost, Registry};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::common::{Fixture, fixture, options};

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let fixture = fixture().await;
    fixture
        .device("d", "{ authentication: { credentials: [{ pass: p }] } }")
        .await;
    let before = fixture.revealed("d").await;
    let Fixture { registry, folder } = fixture;
    drop(registry);
    let fixture = Fixture {
        registry: Registry::open(options(&folder)).unwrap(),
        folder,
    };
    assert_eq!(fixture.revealed("d").await, before);
    fixture.log_in("d", "p").await.unwrap();
}

/// What a kill leaves behind is what the files hold at that moment.
#[tokio::test]
async fn every_reported_write_is_in_the_files() {
    let fixture = fixture().await;
    for n in 0..20 {
        fixture.device(&format!("d{n}"), "{}").await;
    }
    let copy = TempDir::new().unwrap();
    for name in ["registry.db", "registry.db-wal"] {
        std::fs::copy(fixture.folder.path().join(name), copy.path().join(name)).unwrap();
    }
    let registry = Registry::open(options(&copy)).unwrap();
    for n in 0..20 {
        assert!(
            registry
                .device("app", &format!("d{n}"))
                .await
                .unwrap()
                .is_some()
        );
    }
}

#[test]
fn only_the_owner_may_read_the_files() {
    let folder = TempDir::new().unwrap();
    let _registry = Registry::open(options(&folder)).unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        seen += 1;
    }
    assert!(seen >= 2, "database and lock");
}

#[test]
fn a_registry_is_open_once_at_a_time() {
    let folder = TempDir::new().unwrap();
    let first = Registry::open(options(&folder)).unwrap();
    let second = Registry::open(options(&folder));
    let Err(error @ OpenError::InUse { .. }) = second else {
        panic!("{second:?}")
    };
    assert!(
        error
            .to_string()
            .contains("registry.db is in use by another process"),
        "{error}"
    );
    drop(first);
    Registry::open(options(&folder)).unwrap();
}

#[test]
fn a_newer_schema_is_refused_by_file_and_version() {
    let folder = TempDir::new().unwrap();
    drop(Registry::open(options(&folder)).unwrap());
    let path = folder.path().join("registry.db");
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let Err(error) = Registry::open(options(&folder)) else {
        panic!("opened")
    };
    let told = error.to_string();
    assert!(
        told.contains("registry.db has schema version 99, this server knows up to 1"),
        "{told}"
    );
    let version: i64 = Connection::open(&path)
        .unwrap()
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(version, 99, "left as it is");
}

#[test]
fn a_file_that_is_no_registry_is_refused_and_left_alone() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("registry.db");
    std::fs::write(&path, "precious notes, not a database").unwrap();
    let told = Registry::open(options(&folder)).unwrap_err().to_string();
    assert!(
        told.contains("registry.db cannot be used: the file is not an SQLite database"),
        "{told}"
    );
    assert_eq!(
        std::fs::read(&path).unwrap(),
        b"precious notes, not a database"
    );

    std::fs::remove_file(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE other (x)")
        .unwrap();
    let told = Registry::open(options(&folder)).unwrap_err().to_string();
    assert!(told.contains("not a Landfall registry"), "{told}");
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let fixture = fixture().await;
    for n in 0..50 {
        fixture
            .device(
                &format!("d{n}"),
                "{ x-filler: 'some text that fills pages' }",
            )
            .await;
    }
    let Fixture { registry, folder } = fixture;
    drop(registry);
    let path = folder.path().join("registry.db");
    let whole = std::fs::read(&path).unwrap();
    assert!(whole.len() > 4096 * 4);

    let mut overwritten = whole.clone();
    overwritten[4096 * 2..4096 * 4].fill(0xAA);
    let mut garbled_schema = whole.clone();
    garbled_schema[100..200].fill(0xFF);
    for (what, bytes) in [
        ("cut short", &whole[..whole.len() / 2]),
        ("cut in the header", &whole[..50]),
        ("overwritten", &overwritten),
        ("schema overwritten", &garbled_schema),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let Err(error) = Registry::open(options(&folder)) else {
            panic!("{what}: opened")
        };
        assert!(
            matches!(error, OpenError::Corrupt { .. }),
            "{what}: {error}"
        );
        assert!(
            error.to_string().contains("registry.db cannot be used: "),
            "{what}: {error}"
        );
    }
    std::fs::write(&path, &whole).unwrap();
    Registry::open(options(&folder)).unwrap();
}

#[test]
fn a_folder_that_does_not_exist_is_named() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("missing/registry.db");
    let told = Registry::open(Options::new(&path)).unwrap_err().to_string();
    assert!(told.contains("missing/registry.db"), "{told}");
}

#[test]
fn options_out_of_bounds_are_refused() {
    let folder = TempDir::new().unwrap();
    let cost = |memory_kib, passes, lanes| PasswordCost {
        memory_kib,
        passes,
        lanes,
    };
    let refused = |change: &dyn Fn(&mut Options)| {
        let mut options = options(&folder);
        change(&mut options);
        Registry::open(options).unwrap_err().to_string()
    };
    assert!(refused(&|o| o.password_cost = cost(7, 1, 1)).contains("takes 7 KiB"));
    assert!(refused(&|o| o.password_cost = cost(1 << 18, 1, 1)).contains("262144 KiB"));
    assert!(refused(&|o| o.password_cost = cost(8, 0, 1)).contains("0 passes"));
    assert!(refused(&|o| o.password_cost = cost(8, 1, 0)).contains("0 lanes"));
    assert!(refused(&|o| o.cache_entries = 15).contains("cache_entries is 15"));
    assert!(refused(&|o| o.verify_workers = 0).contains("verify_workers is 0"));
    assert!(refused(&|o| o.verify_queue = usize::MAX).contains("verify_queue"));
    assert!(!folder.path().join("registry.db").exists());
}
