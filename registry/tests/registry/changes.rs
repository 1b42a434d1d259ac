//! A change is in every answer as soon as it is reported, and everyone is told.

use landfall_registry::document::Preconditions;
use landfall_registry::{Cause, Change};

use crate::common::{cause, fixture};

fn change(application: &str, device: Option<&str>) -> Change {
    match device {
        None => Change::Application(application.into()),
        Some(device) => Change::Device {
            application: application.into(),
            device: device.into(),
        },
    }
}

#[tokio::test]
async fn a_password_counts_from_the_moment_its_write_returns() {
    let fixture = fixture().await;
    for password in ["a", "b", "c"] {
        let spec = format!("{{ authentication: {{ credentials: [{{ pass: {password} }}] }} }}");
        fixture.device("sensor01", &spec).await;
        fixture.log_in("sensor01", password).await.unwrap();
        fixture
            .log_in("sensor01", password)
            .await
            .expect("remembered");
        for other in ["a", "b", "c"]
            .into_iter()
            .filter(|other| *other != password)
        {
            assert_eq!(
                cause(fixture.log_in("sensor01", other).await),
                Cause::WrongPassword
            );
        }
    }
}

#[tokio::test]
async fn a_created_device_is_found_although_it_was_known_not_to_exist() {
    let fixture = fixture().await;
    assert!(
        fixture
            .registry
            .device("app", "sensor01")
            .await
            .unwrap()
            .is_none()
    );
    assert!(matches!(
        fixture.registry.device_if_cached("app", "sensor01"),
        Some(None)
    ));
    fixture.device("sensor01", "{}").await;
    let found = fixture
        .registry
        .device("app", "sensor01")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.device.name(), "sensor01");
    assert_eq!(found.application.uid().len(), 36);
}

#[tokio::test]
async fn a_cached_answer_needs_no_look_up() {
    let fixture = fixture().await;
    fixture.device("sensor01", "{}").await;
    assert!(
        fixture
            .registry
            .device_if_cached("app", "sensor01")
            .is_none()
    );
    let found = fixture
        .registry
        .device("app", "sensor01")
        .await
        .unwrap()
        .unwrap();
    let cached = fixture
        .registry
        .device_if_cached("app", "sensor01")
        .unwrap()
        .unwrap();
    assert!(std::sync::Arc::ptr_eq(&found.device, &cached.device));
    assert!(
        fixture
            .registry
            .device_if_cached("elsewhere", "x")
            .is_none()
    );
    assert!(
        fixture
            .registry
            .device("elsewhere", "x")
            .await
            .unwrap()
            .is_none()
    );
    assert!(matches!(
        fixture.registry.device_if_cached("elsewhere", "x"),
        Some(None)
    ));
}

#[tokio::test]
async fn a_deleted_device_is_gone_at_once() {
    let fixture = fixture().await;
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: p }] } }",
        )
        .await;
    fixture.log_in("sensor01", "p").await.unwrap();
    fixture
        .registry
        .delete_device("app", "sensor01", Preconditions::default())
        .await
        .unwrap();
    assert_eq!(
        cause(fixture.log_in("sensor01", "p").await),
        Cause::UnknownDevice
    );
    assert!(
        fixture
            .registry
            .device("app", "sensor01")
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_device_does_not_come_back_with_a_new_application_of_the_old_name() {
    let fixture = fixture().await;
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: p }] } }",
        )
        .await;
    fixture.log_in("sensor01", "p").await.unwrap();
    fixture
        .registry
        .delete_application("app", Preconditions::default())
        .await
        .unwrap();
    assert_eq!(
        cause(fixture.log_in("sensor01", "p").await),
        Cause::UnknownApplication
    );
    fixture.apply("metadata: { name: app }").await.unwrap();
    assert_eq!(
        cause(fixture.log_in("sensor01", "p").await),
        Cause::UnknownDevice
    );
    fixture.device("sensor01", "{}").await;
    assert_eq!(
        cause(fixture.log_in("sensor01", "p").await),
        Cause::NoSuchCredential
    );
}

#[tokio::test]
async fn every_change_is_told_after_it_can_be_seen() {
    let fixture = fixture().await;
    let registry = fixture.registry.clone();
    let mut changes = registry.changes();
    // Told by the time that the write returns; with several instances, maybe once more later.
    let mut told = move |change: Change| {
        let received = std::iter::from_fn(|| changes.try_recv().ok()).collect::<Vec<_>>();
        assert!(
            received.contains(&change),
            "{change:?} is not in {received:?}"
        );
    };
    fixture.device("sensor01", "{}").await;
    told(change("app", Some("sensor01")));
    fixture
        .device("sensor01", "{ core: { disabled: true } }")
        .await;
    told(change("app", Some("sensor01")));
    registry
        .delete_device("app", "sensor01", Preconditions::default())
        .await
        .unwrap();
    told(change("app", Some("sensor01")));
    registry
        .delete_application("app", Preconditions::default())
        .await
        .unwrap();
    told(change("app", None));
    fixture.apply("metadata: { name: app }").await.unwrap();
    told(change("app", None));
}

#[tokio::test]
async fn a_revoked_credential_no_longer_stands() {
    let fixture = fixture().await;
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: a }, { user: { username: u, password: b } }] } }",
        )
        .await;
    let by_password = fixture.log_in("sensor01", "a").await.unwrap().credential;
    let by_user = fixture
        .log_in_as("sensor01", "u", "b")
        .await
        .unwrap()
        .credential;
    let stands = async || {
        let found = fixture
            .registry
            .device("app", "sensor01")
            .await
            .unwrap()
            .unwrap();
        let now = std::time::SystemTime::now();
        (found.stands(&by_password, now), found.stands(&by_user, now))
    };
    assert_eq!(stands().await, (true, true));

    // Written again, and with a further one: still the same credentials.
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: a }, { user: { username: u, password: b } },
               { pass: c }] } }",
        )
        .await;
    assert_eq!(stands().await, (true, true));

    // Another user name is another credential, although the password is the same.
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: a }, { user: { username: w, password: b } }] } }",
        )
        .await;
    assert_eq!(stands().await, (true, false));
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ pass: c }] } }",
        )
        .await;
    assert_eq!(stands().await, (false, false));
}
