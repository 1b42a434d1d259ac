//! Log-ins by TLS pre-shared key.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use landfall_registry::document::Preconditions;
use landfall_registry::{Cause, CredentialId};

use crate::common::{Fixture, cause, fixture};

/// A moment of the day 2030-01-01 plus `days`.
fn day(days: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_893_456_000 + days * 86_400)
}

fn key(name: &str, validity: Option<(&str, &str)>) -> String {
    let key = BASE64_STANDARD.encode(name);
    let validity = validity.map_or_else(String::new, |(from, to)| {
        format!(", validity: {{ notBefore: 2030-01-{from}T00:00:00Z, notAfter: 2030-01-{to}T00:00:00Z }}")
    });
    format!("{{ psk: {{ key: {key}{validity} }} }}")
}

async fn with_keys(fixture: &Fixture, keys: &[String]) {
    let keys = keys.join(", ");
    let spec = format!("{{ alias: [other], authentication: {{ credentials: [{keys}] }} }}");
    fixture.device("sensor01", &spec).await;
}

impl Fixture {
    async fn served(&self, now: SystemTime) -> Option<(String, CredentialId)> {
        let served = self.registry.pre_shared_key("app", "sensor01", now).await;
        let (key, credential) = served.unwrap()?;
        Some((
            String::from_utf8(key.expose().to_vec()).unwrap(),
            credential,
        ))
    }
}

#[tokio::test]
async fn of_the_valid_keys_the_earliest_is_served_and_of_these_the_one_that_lasts_longest() {
    let fixture = fixture().await;
    let keys = [
        key("new", Some(("05", "20"))),
        key("short", Some(("02", "08"))),
        key("long", Some(("02", "10"))),
        key("over", Some(("01", "02"))),
    ];
    with_keys(&fixture, &keys).await;
    for (now, expected) in [
        (UNIX_EPOCH, None),
        (day(0) - Duration::from_secs(1), None),
        (day(0), Some("over")),
        // The last moment of one and the first of others.
        (day(1), Some("over")),
        (day(1) + Duration::from_nanos(1), Some("long")),
        (day(5), Some("long")),
        (day(9), Some("long")),
        (day(9) + Duration::from_nanos(1), Some("new")),
        (day(19), Some("new")),
        (day(19) + Duration::from_secs(1), None),
    ] {
        let served = fixture.served(now).await.map(|(key, _)| key);
        assert_eq!(served.as_deref(), expected, "{now:?}");
    }
}

#[tokio::test]
async fn a_key_without_validity_is_always_valid_and_the_first_to_be_served() {
    let fixture = fixture().await;
    let keys = [key("dated", Some(("01", "20"))), key("always", None)];
    with_keys(&fixture, &keys).await;
    for now in [UNIX_EPOCH, day(5), day(10_000)] {
        assert_eq!(fixture.served(now).await.unwrap().0, "always");
    }
}

#[tokio::test]
async fn no_key_is_served_for_who_may_not_connect() {
    let fixture = fixture().await;
    let served = async |application, device| {
        let served = fixture
            .registry
            .pre_shared_key(application, device, day(1))
            .await;
        served.unwrap().is_some()
    };
    let psk = "credentials: [{ psk: { key: QUJD } }]";
    fixture
        .device(
            "on",
            &format!("{{ alias: [other], authentication: {{ {psk} }} }}"),
        )
        .await;
    fixture
        .device(
            "off",
            &format!("{{ core: {{ disabled: true }}, authentication: {{ {psk} }} }}"),
        )
        .await;
    fixture
        .device(
            "by-password",
            "{ authentication: { credentials: [{ pass: p }] } }",
        )
        .await;
    assert!(served("app", "on").await);
    assert!(served("app", "other").await, "by its alias");
    assert!(!served("app", "off").await);
    assert!(!served("app", "by-password").await);
    assert!(!served("app", "nobody").await);
    assert!(!served("nowhere", "on").await);
    fixture
        .apply("{ metadata: { name: app }, spec: { core: { disabled: true } } }")
        .await
        .unwrap();
    assert!(!served("app", "on").await);
}

#[tokio::test]
async fn a_key_logs_in_while_it_still_stands() {
    let fixture = fixture().await;
    let keys = [key("one", None), key("two", Some(("01", "20")))];
    with_keys(&fixture, &keys).await;
    let (_, credential) = fixture.served(day(1)).await.unwrap();
    let log_in = async |device| {
        fixture
            .registry
            .log_in_by_pre_shared_key("app", device, &credential)
            .await
    };
    assert_eq!(log_in("sensor01").await.unwrap().device.name(), "sensor01");
    with_keys(&fixture, &keys[1..]).await;
    assert_eq!(cause(log_in("sensor01").await), Cause::NoSuchCredential);
    fixture
        .registry
        .delete_device("app", "sensor01", Preconditions::default())
        .await
        .unwrap();
    assert_eq!(cause(log_in("sensor01").await), Cause::UnknownDevice);
}

#[tokio::test]
async fn time_alone_ends_no_connection_but_an_edit_of_the_validity_does() {
    let fixture = fixture().await;
    with_keys(&fixture, &[key("k", Some(("01", "10")))]).await;
    let (_, credential) = fixture.served(day(1)).await.unwrap();
    let stands = async |now| {
        let found = fixture.registry.device("app", "sensor01").await.unwrap();
        found.unwrap().stands(&credential, now)
    };
    assert!(stands(day(100)).await, "the key was valid at log-in");
    with_keys(&fixture, &[key("k", Some(("01", "20")))]).await;
    assert!(stands(day(15)).await);
    with_keys(&fixture, &[key("k", Some(("01", "03")))]).await;
    assert!(!stands(day(15)).await);
    with_keys(&fixture, &[key("k", Some(("01", "10")))]).await;
    assert!(stands(day(15)).await);
    with_keys(&fixture, &[key("another", Some(("01", "10")))]).await;
    assert!(!stands(day(5)).await);
}

#[tokio::test]
async fn a_connection_falls_with_the_alias_by_which_its_device_was_found() {
    let fixture = fixture().await;
    with_keys(&fixture, &[key("k", None)]).await;
    let served = fixture
        .registry
        .pre_shared_key("app", "other", day(1))
        .await;
    let (_, credential) = served.unwrap().unwrap();
    let log_in = fixture
        .registry
        .log_in_by_pre_shared_key("app", "other", &credential)
        .await;
    assert_eq!(log_in.unwrap().device.name(), "sensor01");
    let spec = format!(
        "{{ authentication: {{ credentials: [{}] }} }}",
        key("k", None)
    );
    fixture.device("sensor01", &spec).await;
    let found = fixture.registry.device("app", "sensor01").await.unwrap();
    assert!(!found.unwrap().stands(&credential, day(1)));
}

#[tokio::test]
async fn a_key_is_shown_by_no_debug_output() {
    let fixture = fixture().await;
    with_keys(&fixture, &[key("topsecret", None)]).await;
    let served = fixture
        .registry
        .pre_shared_key("app", "sensor01", day(1))
        .await;
    let shown = format!("{:?} {:?}", served, fixture.registry);
    assert!(
        !shown.contains("topsecret") && !shown.contains("116, 111, 112"),
        "{shown}"
    );
}
