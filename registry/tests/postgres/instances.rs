//! Several instances over one database: what one writes, the others know.

use std::time::{Duration, Instant};

use landfall_registry::document::{Document, Preconditions, parse_documents};
use landfall_registry::token::NewToken;
use landfall_registry::{Cause, Change, Outcome, Registry, Secrets, WriteError};
use tokio::task::JoinSet;

use crate::common::{Fixture, device_yaml, document, fixture, fixture_at, options, written_back};
use crate::home::Home;

/// Waits until it is so. The bound is generous: a failure is a hang, not a slow machine.
pub(crate) async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let start = Instant::now();
    while !is_so().await {
        assert!(start.elapsed() < Duration::from_secs(60), "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A second instance over the database of a fixture.
pub(crate) async fn second(home: &Home) -> Registry {
    let mut options = options(home);
    options.store = home.store_of("two");
    Registry::open(options).await.unwrap()
}

async fn pair() -> (Fixture, Registry) {
    let fixture = fixture().await;
    let second = second(&fixture.home).await;
    (fixture, second)
}

fn pass(password: &str) -> String {
    format!("{{ authentication: {{ credentials: [{{ pass: {password} }}] }} }}")
}

/// Whether a device may log in, or why not.
pub(crate) async fn log_in(registry: &Registry, password: &str) -> Result<(), Option<Cause>> {
    let presented = landfall_registry::Presented::Password(password.as_bytes());
    match registry.log_in("app", "d", presented).await {
        Ok(_) => Ok(()),
        Err(landfall_registry::LogInError::Refused(cause)) => Err(Some(cause)),
        Err(_) => Err(None),
    }
}

#[tokio::test]
async fn what_one_writes_the_other_acts_on() {
    let (one, two) = pair().await;
    let mut changes = two.changes();
    assert_eq!(log_in(&two, "p").await, Err(Some(Cause::UnknownDevice)));
    one.device("d", &pass("p")).await;
    eventually("a created device logs in", async || {
        log_in(&two, "p").await.is_ok()
    })
    .await;
    one.device("d", &pass("q")).await;
    eventually("an old password is wrong", async || {
        log_in(&two, "p").await == Err(Some(Cause::WrongPassword))
    })
    .await;
    assert_eq!(log_in(&two, "q").await, Ok(()));
    one.registry
        .delete_device("app", "d", Preconditions::default())
        .await
        .unwrap();
    eventually("a deleted device is unknown", async || {
        log_in(&two, "q").await == Err(Some(Cause::UnknownDevice))
    })
    .await;
    one.registry
        .delete_application("app", Preconditions::default())
        .await
        .unwrap();
    eventually("a deleted application is unknown", async || {
        log_in(&two, "q").await == Err(Some(Cause::UnknownApplication))
    })
    .await;
    let device = Change::Device {
        application: "app".into(),
        device: "d".into(),
    };
    let mut told = Vec::new();
    while told.len() < 4 {
        told.push(changes.recv().await.unwrap());
    }
    assert_eq!(
        told,
        [
            device.clone(),
            device.clone(),
            device,
            Change::Application("app".into())
        ]
    );
}

#[tokio::test]
async fn a_revoked_token_is_refused_by_the_other() {
    let (one, two) = pair().await;
    let token = NewToken::parse("{ name: ci, roles: [registry] }").unwrap();
    let (_, secret) = one.registry.create_token(token).await.unwrap();
    let known = async || {
        two.token(secret.reveal().as_bytes())
            .await
            .unwrap()
            .is_some()
    };
    eventually("a token is known", known).await;
    one.registry.revoke_token("ci").await.unwrap();
    eventually("a revoked token is not", async || !known().await).await;
}

#[tokio::test]
async fn changes_during_a_lost_connection_are_caught_up_with() {
    let (one, two) = pair().await;
    one.device("d", &pass("p0")).await;
    eventually("it is known", async || log_in(&two, "p0").await.is_ok()).await;
    for n in 1..6 {
        one.home.cut("two").await;
        let (old, new) = (format!("p{}", n - 1), format!("p{n}"));
        one.device("d", &pass(&new)).await;
        eventually("the new password counts", async || {
            log_in(&two, &new).await.is_ok()
        })
        .await;
        assert_eq!(log_in(&two, &old).await, Err(Some(Cause::WrongPassword)));
    }
}

#[tokio::test]
async fn changes_while_an_instance_is_cut_off_are_told_when_it_is_back() {
    let (one, two) = pair().await;
    one.device("d", &pass("p")).await;
    eventually("it is known", async || log_in(&two, "p").await.is_ok()).await;
    one.home.part("two").await;
    eventually("it is noticed", async || two.health().await.is_err()).await;
    let mut changes = two.changes();
    one.device("d", &pass("q")).await;
    assert_eq!(log_in(&two, "p").await, Ok(()), "from memory");
    one.home.join("two").await;
    let change = tokio::time::timeout(Duration::from_secs(60), changes.recv()).await;
    let device = Change::Device {
        application: "app".into(),
        device: "d".into(),
    };
    assert_eq!(change.expect("told"), Ok(device));
    eventually("it is back", async || two.health().await.is_ok()).await;
    assert_eq!(log_in(&two, "p").await, Err(Some(Cause::WrongPassword)));
}

#[tokio::test]
async fn an_instance_that_was_away_for_too_long_looks_again_at_everything() {
    let (one, two) = pair().await;
    one.device("d", &pass("p")).await;
    eventually("it is known", async || log_in(&two, "p").await.is_ok()).await;
    one.home.part("two").await;
    eventually("it is noticed", async || two.health().await.is_err()).await;
    let mut changes = two.changes();
    one.device("d", &pass("q")).await;
    // As after 100,000 further changes.
    let forget = "DELETE FROM landfall_change";
    one.home.client().await.batch_execute(forget).await.unwrap();
    one.home.join("two").await;
    let change = tokio::time::timeout(Duration::from_secs(60), changes.recv()).await;
    assert_eq!(change.expect("told"), Ok(Change::Everything));
    eventually("it is back", async || two.health().await.is_ok()).await;
    assert_eq!(log_in(&two, "p").await, Err(Some(Cause::WrongPassword)));
    // And follows from there.
    one.device("d", &pass("r")).await;
    eventually("it follows", async || log_in(&two, "r").await.is_ok()).await;
}

#[tokio::test]
async fn a_restart_of_the_server_loses_no_change() {
    let one = fixture_at(Home::with_own_server().await, |_| {}).await;
    let two = second(&one.home).await;
    one.device("d", &pass("p")).await;
    eventually("it is known", async || log_in(&two, "p").await.is_ok()).await;
    one.home.server().stop();
    eventually("both notice", async || {
        one.registry.health().await.is_err() && two.health().await.is_err()
    })
    .await;
    one.home.server().start();
    eventually("one is back", async || one.registry.health().await.is_ok()).await;
    one.device("d", &pass("q")).await;
    eventually("the other knows", async || log_in(&two, "q").await.is_ok()).await;
    assert_eq!(log_in(&two, "p").await, Err(Some(Cause::WrongPassword)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarded_increments_on_two_instances_all_count() {
    const INCREMENTS: usize = 15;
    let (one, two) = pair().await;
    one.device("counter", "{ x-count: 0 }").await;
    let mut writers = JoinSet::new();
    for registry in [one.registry.clone(), one.registry.clone(), two.clone(), two] {
        writers.spawn(async move {
            for _ in 0..INCREMENTS {
                while !increment(&registry).await {}
            }
        });
    }
    writers.join_all().await;
    let counter = one.get("counter").await;
    assert_eq!(counter.spec.foreign["x-count"], 4 * INCREMENTS);
    assert_eq!(counter.metadata.generation, 1 + 4 * INCREMENTS as u64);
}

async fn increment(registry: &Registry) -> bool {
    let read = registry.get_device("app", "counter", Secrets::Hidden).await;
    let Document::Device(mut edit) = written_back(&read.unwrap().unwrap()) else {
        panic!("not a device")
    };
    let count = edit.spec.foreign["x-count"].as_u64().unwrap();
    edit.spec
        .foreign
        .insert("x-count".to_owned(), (count + 1).into());
    match registry.replace_device(edit).await {
        Ok(_) => true,
        Err(WriteError::Conflict) => false,
        Err(other) => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_claim_has_one_holder_whoever_writes() {
    let (one, two) = pair().await;
    let mut writers = JoinSet::new();
    for n in 0..20 {
        let registry = [&one.registry, &two][n % 2].clone();
        let text = device_yaml(&format!("d{n}"), &format!("{{ alias: [x{}] }}", n / 4));
        writers.spawn(async move { registry.apply(document(&text)).await });
    }
    let written = writers.join_all().await;
    assert_eq!(written.iter().filter(|written| written.is_ok()).count(), 5);
    assert!(
        written
            .iter()
            .all(|w| matches!(w, Ok(_) | Err(WriteError::Taken(_))))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_on_two_instances_all_happen() {
    let (one, two) = pair().await;
    let mut writers = JoinSet::new();
    for writer in 0..4 {
        let registry = [&one.registry, &two][writer % 2].clone();
        writers.spawn(async move {
            for round in 0..4 {
                let texts = (0..50).map(|n| {
                    device_yaml(&format!("d{n}"), &format!("{{ x-by: '{writer}-{round}' }}"))
                });
                let texts = texts.collect::<Vec<_>>().join("---\n");
                let documents = parse_documents(&texts).unwrap();
                let documents = documents
                    .into_iter()
                    .map(|(_, document)| document)
                    .collect();
                let outcomes = registry.apply_batch(documents).await.unwrap();
                assert!(!outcomes.contains(&Outcome::Unchanged));
            }
        });
    }
    writers.join_all().await;
    for n in 0..50 {
        assert_eq!(one.get(&format!("d{n}")).await.metadata.generation, 16);
    }
}
