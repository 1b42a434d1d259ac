//! What ends a connection that logged in by certificate.

use landfall_registry::CredentialId;
use rcgen::{DnType, KeyPair};

use super::{now, trusting};
use crate::authority::{Authority, anchors};
use crate::common::{Fixture, fixture};

async fn stands(fixture: &Fixture, device: &str, credential: &CredentialId) -> bool {
    let found = fixture.registry.device("app", device).await.unwrap();
    found.is_some_and(|found| found.stands(credential, now()))
}

#[tokio::test]
async fn a_connection_stands_and_falls_with_the_anchor() {
    let (root, other) = (Authority::root("root"), Authority::root("other"));
    let fixture = trusting(&[&root]).await;
    fixture.device("sensor01", "{}").await;
    let log_in = fixture.present(&[&root.device("sensor01")]).await.unwrap();
    let credential = log_in.credential;
    assert!(stands(&fixture, "sensor01", &credential).await);
    fixture.application(&anchors(&[&other, &root])).await;
    assert!(stands(&fixture, "sensor01", &credential).await);
    fixture.application(&anchors(&[&other])).await;
    assert!(!stands(&fixture, "sensor01", &credential).await);
}

#[tokio::test]
async fn a_renewal_of_the_anchor_ends_no_connection() {
    let key = KeyPair::generate().unwrap();
    let again = KeyPair::from_pem(&key.serialize_pem()).unwrap();
    let old = Authority::renewed("root", key, |_| {});
    let new = Authority::renewed("root", again, |_| {});
    let fixture = trusting(&[&old]).await;
    fixture.device("sensor01", "{}").await;
    let log_in = fixture.present(&[&old.device("sensor01")]).await.unwrap();
    fixture.application(&anchors(&[&new])).await;
    assert!(stands(&fixture, "sensor01", &log_in.credential).await);
}

#[tokio::test]
async fn a_connection_falls_with_the_alias_by_which_its_device_was_found() {
    let root = Authority::root("root");
    let fixture = trusting(&[&root]).await;
    fixture
        .device("a", "{ alias: ['O=Example, CN=s', other] }")
        .await;
    let subject = [
        (DnType::OrganizationName, "Example"),
        (DnType::CommonName, "s"),
    ];
    let chain = root.device_with(&subject, |_| {});
    let credential = fixture.present(&[&chain]).await.unwrap().credential;
    fixture.device("a", "{ alias: ['O=Example, CN=s'] }").await;
    assert!(stands(&fixture, "a", &credential).await);
    fixture.device("a", "{ alias: [other] }").await;
    assert!(!stands(&fixture, "a", &credential).await);
}

#[tokio::test]
async fn a_connection_falls_with_the_template_by_which_its_device_was_found() {
    let root = Authority::root("root");
    let with_template = |template| {
        let certificate = root.base64();
        format!(
            "{{ trustAnchors: {{ anchors: [{{ certificate: '{certificate}', deviceName: '{template}' }}] }} }}"
        )
    };
    let fixture = fixture().await;
    fixture.application(&with_template("pump-${CN}")).await;
    fixture.device("pump-7", "{}").await;
    let log_in = fixture.present(&[&root.device("7")]).await.unwrap();
    assert!(stands(&fixture, "pump-7", &log_in.credential).await);
    fixture.application(&with_template("valve-${CN}")).await;
    assert!(!stands(&fixture, "pump-7", &log_in.credential).await);
}

#[tokio::test]
async fn a_connection_falls_when_its_device_is_disabled() {
    let root = Authority::root("root");
    let fixture = trusting(&[&root]).await;
    fixture.device("sensor01", "{}").await;
    let log_in = fixture.present(&[&root.device("sensor01")]).await.unwrap();
    fixture
        .device("sensor01", "{ core: { disabled: true } }")
        .await;
    assert!(!stands(&fixture, "sensor01", &log_in.credential).await);
}
