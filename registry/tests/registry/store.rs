//! The file: what is kept, what is refused, who may open it.

use std::os::unix::fs::PermissionsExt as _;

use landfall_registry::token::NewToken;
use landfall_registry::{OpenError, Options, PasswordCost, Registry};
use rusqlite::Connection;
use tokio::sync::broadcast::error::TryRecvError;

use crate::common::{Fixture, fixture, options};
use crate::home::Home;

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let fixture = fixture().await;
    fixture
        .device("d", "{ authentication: { credentials: [{ pass: p }] } }")
        .await;
    let before = fixture.revealed("d").await;
    let Fixture { registry, home } = fixture;
    drop(registry);
    let fixture = Fixture {
        registry: Registry::open(options(&home)).await.unwrap(),
        home,
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
    let copy = Home::new().await;
    for name in ["registry.db", "registry.db-wal"] {
        std::fs::copy(fixture.home.path().join(name), copy.path().join(name)).unwrap();
    }
    let registry = Registry::open(options(&copy)).await.unwrap();
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

#[tokio::test]
async fn only_the_owner_may_read_the_files() {
    let home = Home::new().await;
    let _registry = Registry::open(options(&home)).await.unwrap();
    let mut seen = 0;
    for entry in std::fs::read_dir(home.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.file_name());
        seen += 1;
    }
    assert!(seen >= 2, "database and lock");
}

#[tokio::test]
async fn a_registry_is_open_once_at_a_time() {
    let home = Home::new().await;
    let first = Registry::open(options(&home)).await.unwrap();
    let second = Registry::open(options(&home)).await;
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
    Registry::open(options(&home)).await.unwrap();
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_file_and_version() {
    let home = Home::new().await;
    drop(Registry::open(options(&home)).await.unwrap());
    let path = home.path().join("registry.db");
    Connection::open(&path)
        .unwrap()
        .pragma_update(None, "user_version", 99)
        .unwrap();
    let Err(error) = Registry::open(options(&home)).await else {
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

#[tokio::test]
async fn a_file_that_is_no_registry_is_refused_and_left_alone() {
    let home = Home::new().await;
    let path = home.path().join("registry.db");
    std::fs::write(&path, "precious notes, not a database").unwrap();
    let told = Registry::open(options(&home))
        .await
        .unwrap_err()
        .to_string();
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
    let told = Registry::open(options(&home))
        .await
        .unwrap_err()
        .to_string();
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
    let Fixture { registry, home } = fixture;
    drop(registry);
    let path = home.path().join("registry.db");
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
        let Err(error) = Registry::open(options(&home)).await else {
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
    Registry::open(options(&home)).await.unwrap();
}

#[tokio::test]
async fn a_folder_that_does_not_exist_is_named() {
    let home = Home::new().await;
    let path = home.path().join("missing/registry.db");
    let told = Registry::open(Options::new(&path))
        .await
        .unwrap_err()
        .to_string();
    assert!(told.contains("missing/registry.db"), "{told}");
}

#[tokio::test]
async fn options_out_of_bounds_are_refused() {
    let home = Home::new().await;
    let cost = |memory_kib, passes, lanes| PasswordCost {
        memory_kib,
        passes,
        lanes,
    };
    let refused = async |change: &dyn Fn(&mut Options)| {
        let mut options = options(&home);
        change(&mut options);
        Registry::open(options).await.unwrap_err().to_string()
    };
    assert!(
        refused(&|o| o.password_cost = cost(7, 1, 1))
            .await
            .contains("takes 7 KiB")
    );
    assert!(
        refused(&|o| o.password_cost = cost(1 << 18, 1, 1))
            .await
            .contains("262144 KiB")
    );
    assert!(
        refused(&|o| o.password_cost = cost(8, 0, 1))
            .await
            .contains("0 passes")
    );
    assert!(
        refused(&|o| o.password_cost = cost(8, 1, 0))
            .await
            .contains("0 lanes")
    );
    assert!(
        refused(&|o| o.cache_entries = 15)
            .await
            .contains("cache_entries is 15")
    );
    assert!(
        refused(&|o| o.verify_workers = 0)
            .await
            .contains("verify_workers is 0")
    );
    assert!(
        refused(&|o| o.verify_queue = usize::MAX)
            .await
            .contains("verify_queue")
    );
    assert!(!home.path().join("registry.db").exists());
}

#[tokio::test]
async fn the_text_of_a_token_is_not_in_the_files() {
    let fixture = fixture().await;
    let token = NewToken::parse("{ name: ci, roles: [admin] }").unwrap();
    let (_, secret) = fixture.registry.create_token(token).await.unwrap();
    let text = secret.reveal().as_bytes();
    let secret_part = &text[text.len() - 64..];
    let mut seen = 0;
    for entry in std::fs::read_dir(fixture.home.path()).unwrap() {
        let bytes = std::fs::read(entry.unwrap().path()).unwrap_or_default();
        assert!(!bytes.windows(64).any(|window| window == secret_part));
        seen += usize::from(bytes.windows(16).any(|window| window == &text[9..25]));
    }
    assert!(seen > 0, "its id is");
}

/// Of SQLite only: instances of a PostgreSQL database may be told twice.
#[tokio::test]
async fn a_write_that_changes_nothing_is_not_told() {
    let fixture = fixture().await;
    fixture.device("d", "{}").await;
    let mut changes = fixture.registry.changes();
    fixture.device("d", "{}").await;
    assert_eq!(changes.try_recv(), Err(TryRecvError::Empty));
}
