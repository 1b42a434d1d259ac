//! Many documents in one transaction: all of them, or none.

use landfall_registry::document::{Document, parse_documents};
use landfall_registry::{BatchError, MAX_BATCH, Outcome, WriteError};

use crate::common::{Fixture, device_yaml, fixture};

fn documents(texts: &[String]) -> Vec<Document> {
    let parsed = texts.iter().flat_map(|text| parse_documents(text).unwrap());
    parsed.map(|(_, document)| document).collect()
}

impl Fixture {
    async fn batch(&self, texts: &[String]) -> Result<Vec<Outcome>, BatchError> {
        self.registry.apply_batch(documents(texts)).await
    }

    async fn exists(&self, device: &str) -> bool {
        let found = self.registry.device("app", device).await;
        found.unwrap().is_some()
    }
}

fn blamed(result: Result<Vec<Outcome>, BatchError>) -> (usize, WriteError) {
    match result {
        Err(BatchError::Document { index, error }) => (index, error),
        other => panic!("no document is to blame: {other:?}"),
    }
}

fn pass(password: &str) -> String {
    format!("{{ authentication: {{ credentials: [{{ pass: {password} }}] }} }}")
}

#[tokio::test]
async fn tells_of_each_document_whether_it_was_created_updated_or_unchanged() {
    let fixture = fixture().await;
    fixture.device("same", &pass("p")).await;
    fixture.device("other", "{}").await;
    let batch = [
        device_yaml("new", &pass("n")),
        device_yaml("same", &pass("p")),
        device_yaml("other", "{ alias: [x] }"),
        "metadata: { name: app }".to_owned(),
        "metadata: { name: app2 }".to_owned(),
    ];
    let outcomes = fixture.batch(&batch).await.unwrap();
    use Outcome::{Created, Unchanged, Updated};
    assert_eq!(outcomes, [Created, Unchanged, Updated, Unchanged, Created]);
    fixture.log_in("new", "n").await.unwrap();
    assert_eq!(fixture.batch(&batch).await.unwrap(), [Unchanged; 5]);
    assert_eq!(fixture.batch(&[]).await.unwrap(), []);
}

#[tokio::test]
async fn one_bad_document_keeps_all_from_being_written_and_is_named() {
    let fixture = fixture().await;
    fixture.device("holder", "{ alias: [taken] }").await;
    let versioned = "metadata: { name: holder, application: app, resourceVersion: '999' }";
    let kept = "{ authentication: { credentials: \
                [{ pass: { secretRef: 0123456789abcdef0123456789abcdef } }] } }";
    for (bad, is_it) in [
        (
            device_yaml("b", "{ alias: [taken] }"),
            (|error| matches!(error, WriteError::Taken(_))) as fn(&WriteError) -> bool,
        ),
        (device_yaml("taken", "{}"), |error| {
            matches!(error, WriteError::Taken(_))
        }),
        (versioned.to_owned(), |error| *error == WriteError::Conflict),
        (
            "metadata: { name: b, application: nowhere }".to_owned(),
            |error| *error == WriteError::NoApplication,
        ),
        (device_yaml("b", kept), |error| {
            matches!(error, WriteError::Invalid(_))
        }),
        (device_yaml("a", "{ alias: [x] }"), |error| {
            matches!(error, WriteError::Invalid(_))
        }),
    ] {
        let batch = [device_yaml("a", "{}"), bad.clone(), device_yaml("c", "{}")];
        let (index, error) = blamed(fixture.batch(&batch).await);
        assert!(index == 1 && is_it(&error), "{bad}: {index}, {error}");
        for device in ["a", "b", "c"] {
            assert!(!fixture.exists(device).await, "{bad}: {device}");
        }
    }
    let told = fixture.batch(&[device_yaml("taken", "{}")]).await;
    let told = told.unwrap_err().to_string();
    assert!(
        told.starts_with("document 1: metadata.name: belongs to"),
        "{told}"
    );
}

#[tokio::test]
async fn an_application_may_come_after_its_devices() {
    let fixture = fixture().await;
    let batch = [
        "metadata: { name: d, application: later }".to_owned(),
        "metadata: { name: later }".to_owned(),
    ];
    assert!(
        fixture
            .registry
            .device("later", "d")
            .await
            .unwrap()
            .is_none()
    );
    let outcomes = fixture.batch(&batch).await.unwrap();
    assert_eq!(outcomes, [Outcome::Created; 2]);
    assert!(
        fixture
            .registry
            .device("later", "d")
            .await
            .unwrap()
            .is_some()
    );
}

#[tokio::test]
async fn claims_may_change_hands_within_a_batch() {
    let fixture = fixture().await;
    fixture.device("a", "{ alias: [x] }").await;
    fixture.device("b", "{ alias: [y] }").await;
    let swap = [
        device_yaml("a", "{ alias: [y] }"),
        device_yaml("b", "{ alias: [x] }"),
    ];
    assert_eq!(fixture.batch(&swap).await.unwrap(), [Outcome::Updated; 2]);
    let into_name = [device_yaml("x", "{}"), device_yaml("b", "{}")];
    let outcomes = fixture.batch(&into_name).await.unwrap();
    assert_eq!(outcomes, [Outcome::Created, Outcome::Updated]);
    let both = [device_yaml("c", "{ alias: [d] }"), device_yaml("d", "{}")];
    let (index, error) = blamed(fixture.batch(&both).await);
    assert!(
        index == 0 && matches!(error, WriteError::Taken(_)),
        "{index}, {error}"
    );
}

#[tokio::test]
async fn a_batch_is_bounded() {
    let fixture = fixture().await;
    let most: Vec<_> = (0..MAX_BATCH)
        .map(|n| device_yaml(&format!("d{n}"), "{}"))
        .collect();
    let mut too_many = most.clone();
    too_many.push(device_yaml("one-more", "{}"));
    let refused = fixture.batch(&too_many).await.unwrap_err();
    assert_eq!(refused, BatchError::TooMany(MAX_BATCH + 1));
    assert!(!fixture.exists("d0").await);
    let outcomes = fixture.batch(&most).await.unwrap();
    assert_eq!(outcomes, vec![Outcome::Created; MAX_BATCH]);
    assert!(fixture.exists("d999").await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn batches_and_single_writes_of_the_same_devices_all_happen() {
    let fixture = fixture().await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..8 {
        let registry = fixture.registry.clone();
        writers.spawn(async move {
            for round in 0..5 {
                let spec = format!("{{ x-by: '{writer}-{round}' }}");
                // In another order each time: locks are taken in one order all the same.
                let names = (0..20).map(|n| format!("d{}", (n * 7 + writer * 3) % 20));
                let texts: Vec<_> = names.map(|name| device_yaml(&name, &spec)).collect();
                match writer % 2 {
                    0 => {
                        registry.apply_batch(documents(&texts)).await.unwrap();
                    }
                    _ => {
                        for document in documents(&texts) {
                            registry.apply(document).await.unwrap();
                        }
                    }
                }
            }
        });
    }
    writers.join_all().await;
    for n in 0..20 {
        let device = fixture.get(&format!("d{n}")).await;
        assert_eq!(device.metadata.generation, 40, "d{n}");
    }
}
