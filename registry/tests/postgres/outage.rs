//! The database is away: what goes on, what is refused, and how it comes back.

use std::time::{Duration, Instant};

use landfall_registry::{LogInError, Presented, Registry, Secrets, WriteError};
use tokio::task::JoinSet;

use crate::common::{Fixture, device_yaml, document, fixture, fixture_at, fixture_with};
use crate::home::Home;
use crate::instances::{eventually, log_in};

const PASS: &str = "{ authentication: { credentials: [{ pass: p }] } }";

async fn away(fixture: &Fixture) {
    fixture.home.part("one").await;
    eventually("it is noticed", async || {
        fixture.registry.health().await.is_err()
    })
    .await;
}

async fn unknown_device(registry: &Registry) -> Result<(), LogInError> {
    let presented = Presented::Password(b"p");
    registry
        .log_in("app", "never-seen", presented)
        .await
        .map(|_| ())
}

#[tokio::test]
async fn devices_in_memory_log_in_and_others_are_told_that_it_is_not_their_fault() {
    let fixture = fixture().await;
    fixture.device("d", PASS).await;
    log_in(&fixture.registry, "p").await.unwrap();
    away(&fixture).await;
    log_in(&fixture.registry, "p").await.unwrap();
    assert!(matches!(
        unknown_device(&fixture.registry).await,
        Err(LogInError::Unavailable(_))
    ));
    let found = fixture.registry.device("app", "d").await.unwrap();
    assert!(found.is_some(), "gateway checks of live sessions go on");
    let write = fixture
        .registry
        .apply(document(&device_yaml("e", "{}")))
        .await;
    assert!(
        matches!(write, Err(WriteError::Unavailable(_))),
        "{write:?}"
    );
    fixture
        .registry
        .get_device("app", "d", Secrets::Hidden)
        .await
        .unwrap_err();

    fixture.home.join("one").await;
    eventually("it is back by itself", async || {
        fixture.registry.health().await.is_ok()
    })
    .await;
    assert!(matches!(
        unknown_device(&fixture.registry).await,
        Err(LogInError::Refused(_))
    ));
    fixture.device("e", "{}").await;
}

#[tokio::test]
async fn after_the_grace_time_devices_in_memory_are_refused_too() {
    let fixture = fixture_with(|options| options.grace = Duration::ZERO).await;
    fixture.device("d", PASS).await;
    log_in(&fixture.registry, "p").await.unwrap();
    away(&fixture).await;
    assert_eq!(
        log_in(&fixture.registry, "p").await,
        Err(None),
        "unavailable"
    );
    let found = fixture.registry.device("app", "d").await.unwrap();
    assert!(found.is_some(), "live sessions go on all the same");
    fixture.home.join("one").await;
    eventually("it is back", async || {
        log_in(&fixture.registry, "p").await.is_ok()
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn nothing_piles_up_while_the_server_is_stopped() {
    let fixture = fixture_at(Home::with_own_server().await, |_| {}).await;
    fixture.device("d", PASS).await;
    log_in(&fixture.registry, "p").await.unwrap();
    fixture.home.server().stop();
    eventually("it is noticed", async || {
        fixture.registry.health().await.is_err()
    })
    .await;
    let start = Instant::now();
    let mut log_ins = JoinSet::new();
    for n in 0..2000 {
        let registry = fixture.registry.clone();
        log_ins.spawn(async move {
            let presented = Presented::Password(b"p");
            registry
                .log_in("app", &format!("stranger{n}"), presented)
                .await
        });
    }
    for refused in log_ins.join_all().await {
        assert!(
            matches!(refused, Err(LogInError::Unavailable(_))),
            "{refused:?}"
        );
    }
    // Far less than one connect time-out, let alone 2,000 of them.
    assert!(start.elapsed() < Duration::from_secs(60));
    log_in(&fixture.registry, "p").await.unwrap();
    fixture.home.server().start();
    eventually("it is back", async || {
        fixture.registry.health().await.is_ok()
    })
    .await;
    assert!(matches!(
        unknown_device(&fixture.registry).await,
        Err(LogInError::Refused(_))
    ));
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_on() {
    let fixture = fixture_with(|options| {
        let landfall_registry::StoreOptions::Postgres(postgres) = &mut options.store else {
            panic!("another store")
        };
        postgres.query_timeout = Duration::from_millis(200);
    })
    .await;
    let client = fixture.home.client().await;
    // Whoever reads or writes devices waits for this.
    client
        .batch_execute("BEGIN; LOCK TABLE landfall_resource")
        .await
        .unwrap();
    assert!(matches!(
        unknown_device(&fixture.registry).await,
        Err(LogInError::Unavailable(_))
    ));
    let write = fixture
        .registry
        .apply(document(&device_yaml("e", "{}")))
        .await;
    assert!(
        matches!(write, Err(WriteError::Unavailable(_))),
        "{write:?}"
    );
    client.batch_execute("ROLLBACK").await.unwrap();
    eventually("it goes on", async || {
        matches!(
            unknown_device(&fixture.registry).await,
            Err(LogInError::Refused(_))
        )
    })
    .await;
}
