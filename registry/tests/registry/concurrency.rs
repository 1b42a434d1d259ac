//! Many at once: nothing is lost, nothing stale is seen, and callers may go away.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

use landfall_registry::document::{Address, DeviceDocument, Document, Preconditions};
use landfall_registry::{Cause, Change, Outcome, Presented, Secrets, WriteError};
use tokio::task::JoinSet;

use crate::common::{cause, device_yaml, document, fixture, fixture_with, written_back};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn guarded_increments_by_many_writers_all_count() {
    const WRITERS: usize = 8;
    const INCREMENTS: usize = 10;
    let fixture = fixture().await;
    fixture.device("counter", "{ x-count: 0 }").await;
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let registry = fixture.registry.clone();
        writers.spawn(async move {
            for _ in 0..INCREMENTS {
                loop {
                    let read = registry.get_device("app", "counter", Secrets::Hidden).await;
                    let Document::Device(mut edit) = written_back(&read.unwrap().unwrap()) else {
                        panic!("not a device")
                    };
                    let count = edit.spec.foreign["x-count"].as_u64().unwrap();
                    edit.spec
                        .foreign
                        .insert("x-count".to_owned(), (count + 1).into());
                    match registry.replace_device(edit).await {
                        Ok(_) => break,
                        Err(WriteError::Conflict) => {}
                        Err(other) => panic!("{other}"),
                    }
                }
            }
        });
    }
    writers.join_all().await;
    let counter = fixture.get("counter").await;
    assert_eq!(counter.spec.foreign["x-count"], WRITERS * INCREMENTS);
    assert_eq!(
        counter.metadata.generation,
        1 + (WRITERS * INCREMENTS) as u64
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn unguarded_writes_of_one_device_all_happen() {
    const WRITERS: usize = 64;
    let fixture = fixture().await;
    let mut writers = JoinSet::new();
    for n in 0..WRITERS {
        let registry = fixture.registry.clone();
        let spec = format!("{{ authentication: {{ credentials: [{{ pass: p{n} }}] }} }}");
        writers.spawn(async move { registry.apply(document(&device_yaml("d", &spec))).await });
    }
    let outcomes: Vec<_> = writers
        .join_all()
        .await
        .into_iter()
        .map(|written| written.unwrap().outcome)
        .collect();
    let created = outcomes
        .iter()
        .filter(|outcome| **outcome == Outcome::Created)
        .count();
    assert_eq!(created, 1);
    assert_eq!(fixture.get("d").await.metadata.generation, WRITERS as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_of_many_creators_wins() {
    let fixture = fixture().await;
    let mut creators = JoinSet::new();
    for _ in 0..32 {
        let registry = fixture.registry.clone();
        let document =
            DeviceDocument::parse(&device_yaml("d", "{ alias: [x] }"), Address::default()).unwrap();
        creators.spawn(async move { registry.create_device(document).await });
    }
    let results = creators.join_all().await;
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), 1);
    assert!(
        results
            .iter()
            .all(|r| matches!(r, Ok(_) | Err(WriteError::AlreadyExists)))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_answer_is_older_than_the_last_write_that_returned() {
    let fixture = fixture().await;
    fixture.device("d", "{ x-count: 0 }").await;
    let (written, newest) = tokio::sync::watch::channel(1);
    let mut readers = JoinSet::new();
    for _ in 0..4 {
        let (registry, newest) = (fixture.registry.clone(), newest.clone());
        readers.spawn(async move {
            loop {
                let at_least = *newest.borrow();
                let found = registry.device("app", "d").await.unwrap().unwrap();
                let seen = found.device.generation();
                assert!(seen >= at_least, "{seen} is older than {at_least}");
                if at_least == u64::MAX || newest.has_changed().is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        });
    }
    for count in 1..100_u64 {
        fixture
            .device("d", &format!("{{ x-count: {count} }}"))
            .await;
        written.send(count + 1).unwrap();
    }
    drop(written);
    readers.join_all().await;
}

#[tokio::test]
async fn a_write_goes_on_when_its_caller_goes_away() {
    let fixture = fixture().await;
    assert!(fixture.registry.device("app", "d").await.unwrap().is_none());
    let mut changes = fixture.registry.changes();
    let registry = fixture.registry.clone();
    let mut write = Box::pin(async move {
        registry
            .apply(document(&device_yaml(
                "d",
                "{ authentication: { credentials: [{ pass: p }] } }",
            )))
            .await
    });
    // Polled once, which starts the write, then dropped.
    let polled_once = write.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(polled_once.is_pending());
    drop(write);
    let written = Change::Device {
        application: "app".into(),
        device: "d".into(),
    };
    while changes.recv().await.unwrap() != written {}
    fixture.log_in("d", "p").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_device_written_while_its_application_is_deleted_is_not_left_over() {
    for _ in 0..20 {
        let fixture = fixture().await;
        let (writer, deleter) = (fixture.registry.clone(), fixture.registry.clone());
        let write =
            tokio::spawn(async move { writer.apply(document(&device_yaml("d", "{}"))).await });
        let delete = tokio::spawn(async move {
            deleter
                .delete_application("app", Preconditions::default())
                .await
        });
        delete.await.unwrap().unwrap();
        assert!(matches!(
            write.await.unwrap(),
            Ok(_) | Err(WriteError::NoApplication)
        ));
        assert!(fixture.registry.device("app", "d").await.unwrap().is_none());
        fixture.apply("metadata: { name: app }").await.unwrap();
        assert!(fixture.registry.device("app", "d").await.unwrap().is_none());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_small_cache_is_still_right() {
    let fixture = fixture_with(|options| options.cache_entries = 16).await;
    for n in 0..200 {
        fixture
            .device(&format!("d{n}"), &format!("{{ alias: [alias-{n}] }}"))
            .await;
    }
    let mut readers = JoinSet::new();
    for reader in 0..4 {
        let registry = fixture.registry.clone();
        readers.spawn(async move {
            for n in 0..200 {
                let n = (n * 7 + reader) % 200;
                let found = registry
                    .device("app", &format!("d{n}"))
                    .await
                    .unwrap()
                    .unwrap();
                assert_eq!(found.device.aliases(), [format!("alias-{n}")]);
                assert!(
                    registry
                        .device("app", &format!("missing{n}"))
                        .await
                        .unwrap()
                        .is_none()
                );
            }
        });
    }
    readers.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_log_ins_at_once_all_get_their_answer() {
    let fixture = fixture_with(|options| {
        options.verify_workers = 2;
        options.verify_queue = 1000;
    })
    .await;
    for n in 0..10 {
        let spec = format!("{{ authentication: {{ credentials: [{{ pass: p{n} }}] }} }}");
        fixture.device(&format!("d{n}"), &spec).await;
    }
    let mut log_ins = JoinSet::new();
    for n in 0..200 {
        let registry = fixture.registry.clone();
        log_ins.spawn(async move {
            let (device, password) = (format!("d{}", n % 20), format!("p{}", n % 10));
            let presented = Presented::Password(password.as_bytes());
            (
                n % 20 < 10,
                registry.log_in("app", &device, presented).await.is_ok(),
            )
        });
    }
    for (expected, got) in log_ins.join_all().await {
        assert_eq!(got, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_at_once_gets_the_answer_of_one_look_up() {
    let fixture = fixture().await;
    for round in 0..20 {
        let spec = format!("{{ alias: [alias-{round}] }}");
        fixture.device("sensor01", &spec).await;
        let mut askers = JoinSet::new();
        for _ in 0..50 {
            let registry = fixture.registry.clone();
            askers.spawn(async move { registry.device("app", "sensor01").await.unwrap().unwrap() });
        }
        let answers = askers.join_all().await;
        // Every look-up makes another `Arc`.
        for answer in &answers {
            assert!(Arc::ptr_eq(&answer.device, &answers[0].device), "{round}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_is_found_or_not_as_the_last_write_that_returned_says() {
    let fixture = fixture().await;
    let credentials = "authentication: { credentials: [{ pass: p }] }";
    let stop = Arc::new(AtomicBool::new(false));
    let mut askers = JoinSet::new();
    for _ in 0..4 {
        let (registry, stop) = (fixture.registry.clone(), Arc::clone(&stop));
        askers.spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let presented = Presented::Password(b"p");
                let _ = registry.log_in("app", "wandering", presented).await;
                // Answers from memory alone give nobody else a turn.
                tokio::task::yield_now().await;
            }
        });
    }
    // The alias goes from device to device, and is nobody's in between.
    for round in 0..60 {
        let holder = format!("d{}", round % 3);
        let with = format!("{{ alias: [wandering], {credentials} }}");
        fixture.device(&holder, &with).await;
        let found = fixture.log_in("wandering", "p").await.unwrap();
        assert_eq!(found.device.name(), holder);
        fixture
            .device(&holder, &format!("{{ {credentials} }}"))
            .await;
        assert_eq!(
            cause(fixture.log_in("wandering", "p").await),
            Cause::UnknownDevice
        );
    }
    stop.store(true, Ordering::Relaxed);
    askers.join_all().await;
}
