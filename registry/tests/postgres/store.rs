//! The database: what is kept, what is refused, how instances start.

use landfall_registry::document::Preconditions;
use landfall_registry::{
    ListQuery, OpenError, Options, PostgresOptions, PostgresUrl, Registry, Secrets, StoreOptions,
};
use tokio::task::JoinSet;

use crate::common::{Fixture, fixture, options};
use crate::home::Home;

async fn refused(home: &Home) -> OpenError {
    match Registry::open(options(home)).await {
        Err(error) => error,
        Ok(_) => panic!("opened"),
    }
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let fixture = fixture().await;
    fixture
        .device("d", "{ authentication: { credentials: [{ pass: p }] } }")
        .await;
    let before = fixture.revealed("d").await;
    let Fixture { registry, home } = fixture;
    drop(registry);
    let registry = Registry::open(options(&home)).await.unwrap();
    let fixture = Fixture { registry, home };
    assert_eq!(fixture.revealed("d").await, before);
    fixture.log_in("d", "p").await.unwrap();
}

#[tokio::test]
async fn instances_that_start_at_once_migrate_once() {
    let home = Home::new().await;
    let mut starts = JoinSet::new();
    for _ in 0..8 {
        starts.spawn(Registry::open(options(&home)));
    }
    for registry in starts.join_all().await {
        registry.unwrap().health().await.unwrap();
    }
    let versions = home
        .client()
        .await
        .query("SELECT version FROM landfall_schema", &[])
        .await;
    assert_eq!(versions.unwrap().len(), 1);
}

#[tokio::test]
async fn a_newer_schema_is_refused_by_database_and_version() {
    let home = Home::new().await;
    drop(Registry::open(options(&home)).await.unwrap());
    let client = home.client().await;
    client
        .batch_execute("UPDATE landfall_schema SET version = 99")
        .await
        .unwrap();
    let error = refused(&home).await;
    assert!(
        matches!(error, OpenError::Newer { found: 99, .. }),
        "{error}"
    );
    let told = error.to_string();
    assert!(told.contains("PostgreSQL database postgres on /"), "{told}");
    assert!(
        told.contains("schema version 99, this server knows up to 1"),
        "{told}"
    );
    assert!(!told.contains("never-shown"), "{told}");
    let version = client
        .query_one("SELECT version FROM landfall_schema", &[])
        .await
        .unwrap();
    assert_eq!(version.get::<_, i32>(0), 99, "left as it is");
}

#[tokio::test]
async fn a_damaged_database_is_refused() {
    let home = Home::new().await;
    drop(Registry::open(options(&home)).await.unwrap());
    for (damage, told) in [
        ("DELETE FROM landfall_state", "landfall_state is empty"),
        ("DROP TABLE landfall_state", "landfall_state"),
        (
            "DELETE FROM landfall_schema",
            "landfall_schema does not hold one version",
        ),
    ] {
        home.client().await.batch_execute(damage).await.unwrap();
        let error = refused(&home).await;
        assert!(
            matches!(error, OpenError::Corrupt { .. }),
            "{damage}: {error}"
        );
        assert!(error.to_string().contains(told), "{damage}: {error}");
        assert!(
            error
                .to_string()
                .contains("PostgreSQL database postgres on /"),
            "{damage}: {error}"
        );
    }
}

#[tokio::test]
async fn a_database_that_cannot_hold_every_name_is_refused() {
    let home = Home::in_database("ENCODING 'LATIN1' TEMPLATE template0").await;
    let told = refused(&home).await.to_string();
    assert!(told.contains("its encoding is LATIN1"), "{told}");
}

#[tokio::test]
async fn a_database_that_cannot_be_reached_is_named_without_its_password() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = free.local_addr().unwrap().port();
    drop(free);
    for (url, host) in [
        (
            format!("postgres://user:never-shown@127.0.0.1:{port}/d"),
            format!("127.0.0.1:{port}"),
        ),
        (
            "host=/nowhere user=user password=never-shown dbname=d".to_owned(),
            "/nowhere".to_owned(),
        ),
    ] {
        let url: PostgresUrl = url.parse().unwrap();
        let options = Options {
            store: StoreOptions::Postgres(PostgresOptions::new(url)),
            ..Options::default()
        };
        let error = Registry::open(options.clone()).await.unwrap_err();
        let told = format!("{error} {error:?} {options:?}");
        assert!(
            told.contains(&format!("PostgreSQL database d on {host}")),
            "{told}"
        );
        assert!(!told.contains("never-shown"), "{told}");
    }
}

#[tokio::test]
async fn options_out_of_bounds_are_refused() {
    let home = Home::new().await;
    let refused = async |change: &dyn Fn(&mut PostgresOptions)| {
        let StoreOptions::Postgres(mut postgres) = home.store() else {
            panic!("another store")
        };
        change(&mut postgres);
        let options = Options {
            store: StoreOptions::Postgres(postgres),
            ..Options::default()
        };
        Registry::open(options).await.unwrap_err().to_string()
    };
    assert!(
        refused(&|o| o.pool_size = 0)
            .await
            .contains("pool_size is 0")
    );
    assert!(
        refused(&|o| o.query_timeout = std::time::Duration::ZERO)
            .await
            .contains("query_timeout")
    );
    assert!(
        refused(&|o| o.connect_timeout *= 1000)
            .await
            .contains("connect_timeout")
    );
}

#[tokio::test]
async fn names_that_no_document_can_have_are_simply_not_there() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    fixture.device("d", "{}").await;
    assert!(registry.device("app", "d\0").await.unwrap().is_none());
    assert!(registry.device("app\0", "d").await.unwrap().is_none());
    let get = registry.get_device("app", "\0", Secrets::Hidden).await;
    assert!(get.unwrap().is_none());
    registry
        .delete_device("app", "d\0", Preconditions::default())
        .await
        .unwrap_err();
    let after = ListQuery {
        after: "c\0".to_owned(),
        ..ListQuery::default()
    };
    let listed = registry.list_devices("app", after, Secrets::Hidden).await;
    assert_eq!(listed.unwrap().unwrap().items.len(), 1);
    registry.health().await.unwrap();
}

#[tokio::test]
async fn what_a_deleted_application_leaves_behind_is_removed() {
    let fixture = fixture().await;
    for n in 0..3 {
        fixture
            .device(&format!("d{n}"), &format!("{{ alias: [a{n}] }}"))
            .await;
    }
    fixture
        .registry
        .delete_application("app", Preconditions::default())
        .await
        .unwrap();
    let client = fixture.home.client().await;
    let left =
        "SELECT (SELECT count(*) FROM landfall_resource) + (SELECT count(*) FROM landfall_claim)
                + (SELECT count(*) FROM landfall_doomed)";
    crate::instances::eventually("all is removed", async || {
        client.query_one(left, &[]).await.unwrap().get::<_, i64>(0) == 0
    })
    .await;
}
