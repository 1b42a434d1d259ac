//! Creating, replacing, deleting and listing.

use landfall_registry::document::{Address, ApplicationDocument, DeviceDocument, Preconditions};
use landfall_registry::{ListQuery, Outcome, Secrets, WriteError};

use crate::authority::{Authority, anchors};
use crate::common::{device_yaml, fixture, parse_application, parse_device};

fn device(name: &str, spec: &str) -> DeviceDocument {
    DeviceDocument::parse(&device_yaml(name, spec), Address::default()).unwrap()
}

#[tokio::test]
async fn create_refuses_what_exists() {
    let fixture = fixture().await;
    let registry = &fixture.registry;
    registry.create_device(device("d", "{}")).await.unwrap();
    let again = registry
        .create_device(device("d", "{ core: { disabled: true } }"))
        .await;
    assert_eq!(again.unwrap_err(), WriteError::AlreadyExists);
    assert!(!fixture.get("d").await.spec.core.disabled);
    let again = registry
        .create_application(parse_application("{}").unwrap())
        .await;
    assert_eq!(again.unwrap_err(), WriteError::AlreadyExists);
}

#[tokio::test]
async fn replace_refuses_what_does_not_exist() {
    let fixture = fixture().await;
    let missing = fixture.registry.replace_device(device("d", "{}")).await;
    assert_eq!(missing.unwrap_err(), WriteError::NotFound);
    let other = ApplicationDocument::parse("metadata: { name: other }", None).unwrap();
    let missing = fixture.registry.replace_application(other).await;
    assert_eq!(missing.unwrap_err(), WriteError::NotFound);
}

#[tokio::test]
async fn a_device_needs_its_application() {
    let fixture = fixture().await;
    let mut orphan = parse_device("{}").unwrap();
    orphan.application = "nowhere".to_owned();
    let created = fixture.registry.create_device(orphan.clone()).await;
    assert_eq!(created.unwrap_err(), WriteError::NoApplication);
    assert_eq!(
        fixture.registry.replace_device(orphan).await.unwrap_err(),
        WriteError::NoApplication
    );
    let deleted = fixture
        .registry
        .delete_device("nowhere", "d", Preconditions::default())
        .await;
    assert_eq!(deleted.unwrap_err(), WriteError::NoApplication);
    let listed = fixture
        .registry
        .list_devices("nowhere", ListQuery::default(), Secrets::Hidden)
        .await
        .unwrap();
    assert!(listed.is_none());
    let got = fixture
        .registry
        .get_device("nowhere", "d", Secrets::Hidden)
        .await
        .unwrap();
    assert!(got.is_none());
}

#[tokio::test]
async fn a_write_against_an_older_version_is_a_conflict() {
    let fixture = fixture().await;
    let first = fixture
        .registry
        .create_device(device("d", "{}"))
        .await
        .unwrap()
        .metadata;
    let mut edit = device("d", "{ core: { disabled: true } }");
    edit.metadata.preconditions.resource_version = Some(first.resource_version.clone());
    let second = fixture.registry.replace_device(edit.clone()).await.unwrap();
    assert_eq!(second.outcome, Outcome::Updated);
    assert_ne!(
        second.resource.metadata.resource_version,
        first.resource_version
    );

    assert_eq!(
        fixture
            .registry
            .replace_device(edit.clone())
            .await
            .unwrap_err(),
        WriteError::Conflict
    );
    let stale = Preconditions {
        resource_version: Some(first.resource_version),
        uid: None,
    };
    let deleted = fixture.registry.delete_device("app", "d", stale).await;
    assert_eq!(deleted.unwrap_err(), WriteError::Conflict);

    edit.metadata.preconditions.resource_version = None;
    fixture
        .registry
        .replace_device(edit)
        .await
        .expect("no precondition");
}

#[tokio::test]
async fn a_write_for_an_earlier_resource_of_the_name_is_a_conflict() {
    let fixture = fixture().await;
    let first = fixture
        .registry
        .create_device(device("d", "{}"))
        .await
        .unwrap()
        .metadata;
    fixture
        .registry
        .delete_device("app", "d", Preconditions::default())
        .await
        .unwrap();
    let mut edit = device("d", "{}");
    edit.metadata.preconditions.uid = Some(first.uid.clone());
    let created = fixture
        .registry
        .create_device(edit.clone())
        .await
        .expect("of no concern");
    assert_ne!(created.metadata.uid, first.uid);
    assert_eq!(
        fixture.registry.replace_device(edit).await.unwrap_err(),
        WriteError::Conflict
    );
    let earlier = Preconditions {
        uid: Some(first.uid),
        resource_version: None,
    };
    let deleted = fixture.registry.delete_device("app", "d", earlier).await;
    assert_eq!(deleted.unwrap_err(), WriteError::Conflict);
    let this = Preconditions {
        uid: Some(created.metadata.uid),
        resource_version: None,
    };
    fixture
        .registry
        .delete_device("app", "d", this)
        .await
        .unwrap();
    let gone = fixture
        .registry
        .delete_device("app", "d", Preconditions::default())
        .await;
    assert_eq!(gone.unwrap_err(), WriteError::NotFound);
}

#[tokio::test]
async fn apply_tells_created_updated_and_unchanged() {
    let fixture = fixture().await;
    for (spec, outcome) in [
        ("{}", Outcome::Created),
        ("{}", Outcome::Unchanged),
        ("{ core: {} }", Outcome::Unchanged),
        ("{ gatewaySelector: { matchNames: [a] } }", Outcome::Updated),
        (
            "{ gatewaySelector: { matchNames: [a] } }",
            Outcome::Unchanged,
        ),
    ] {
        assert_eq!(fixture.device("d", spec).await, outcome, "{spec}");
    }
    let labelled = "metadata: { name: d, application: app, annotations: { a: b } }
spec: { gatewaySelector: { matchNames: [a] } }";
    assert_eq!(fixture.apply(labelled).await.unwrap(), Outcome::Updated);
    assert_eq!(
        fixture.apply("metadata: { name: app }").await.unwrap(),
        Outcome::Unchanged
    );
}

#[tokio::test]
async fn names_aliases_and_unique_user_names_are_each_one_devices_within_an_application() {
    let fixture = fixture().await;
    fixture.apply("metadata: { name: app2 }").await.unwrap();
    fixture
        .device(
            "a",
            "{ alias: ['CN=a', 'CN=a', a], authentication: { credentials: [
           { user: { username: pump, password: p, unique: true } },
           { user: { username: pump, password: q, unique: true } },
           { user: { username: any, password: q } }] } }",
        )
        .await;
    let taken = async |yaml: &str| match fixture.apply(yaml).await.unwrap_err() {
        WriteError::Taken(problem) => problem.path,
        other => panic!("another error: {other}"),
    };
    let unique = |name: &str| {
        format!(
            "{{ authentication: {{ credentials: [{{ user: {{ username: {name}, password: p, unique: true }} }}] }} }}"
        )
    };
    for (name, spec, path) in [
        ("b", "{ alias: [x, 'CN=a'] }", "spec.alias[1]"),
        ("b", "{ alias: [a] }", "spec.alias[0]"),
        (
            "b",
            &unique("pump"),
            "spec.authentication.credentials[0].user.username",
        ),
        (
            "b",
            &unique("a"),
            "spec.authentication.credentials[0].user.username",
        ),
        ("pump", "{}", "metadata.name"),
        ("CN=a", "{}", "metadata.name"),
    ] {
        assert_eq!(taken(&device_yaml(name, spec)).await, path, "{name} {spec}");
    }
    fixture
        .device(
            "b",
            "{ authentication: { credentials: [{ user: { username: any, password: p } }] } }",
        )
        .await;
    let elsewhere = device_yaml("b", "{ alias: ['CN=a'] }").replace("app }", "app2 }");
    fixture
        .apply(&elsewhere)
        .await
        .expect("another application");

    // Given up, it is free.
    fixture.device("a", "{}").await;
    fixture.device("b", "{ alias: ['CN=a', pump] }").await;
    fixture
        .registry
        .delete_device("app", "b", Preconditions::default())
        .await
        .unwrap();
    fixture.device("pump", "{ alias: ['CN=a'] }").await;
}

#[tokio::test]
async fn no_two_applications_hold_the_same_trust_anchor() {
    let fixture = fixture().await;
    let spec = anchors(&[&Authority::root("root")]);
    let with_anchor = |name: &str| format!("metadata: {{ name: {name} }}\nspec: {spec}");
    fixture.apply(&with_anchor("app")).await.unwrap();
    fixture.apply(&with_anchor("app")).await.expect("its own");
    let WriteError::Taken(problem) = fixture.apply(&with_anchor("app2")).await.unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(problem.path, "spec.trustAnchors.anchors[0].certificate");
    assert!(
        !problem.to_string().contains("app,"),
        "says nothing of the other application"
    );
    fixture
        .registry
        .delete_application("app", Preconditions::default())
        .await
        .unwrap();
    fixture
        .apply(&with_anchor("app2"))
        .await
        .expect("free again");
}

#[tokio::test]
async fn deleting_an_application_deletes_its_devices() {
    let fixture = fixture().await;
    fixture.device("d", "{ alias: [x] }").await;
    fixture
        .registry
        .delete_application("app", Preconditions::default())
        .await
        .unwrap();
    let got = fixture
        .registry
        .get_device("app", "d", Secrets::Hidden)
        .await
        .unwrap();
    assert!(got.is_none());
    fixture.apply("metadata: { name: app }").await.unwrap();
    let listed = fixture
        .registry
        .list_devices("app", ListQuery::default(), Secrets::Hidden)
        .await
        .unwrap();
    assert!(listed.unwrap().items.is_empty());
    fixture.device("x", "{}").await;
    fixture.device("d", "{}").await;
}
