//! Which device a certificate is of.

use landfall_registry::{Cause, CertificateFault};
use rcgen::DnType;

use super::trusting;
use crate::authority::Authority;
use crate::common::cause;

const SUBJECT: [(DnType, &str); 2] = [
    (DnType::OrganizationName, "Example"),
    (DnType::CommonName, "sensor01"),
];

#[tokio::test]
async fn the_whole_subject_as_name_or_alias_goes_before_its_common_name() {
    let root = Authority::root("root");
    let fixture = trusting(&[&root]).await;
    let chain = root.device_with(&SUBJECT, |_| {});
    let chain = [&*chain];
    assert_eq!(cause(fixture.present(&chain).await), Cause::UnknownDevice);
    fixture.device("sensor01", "{}").await;
    assert_eq!(fixture.present_ok(&chain).await, "sensor01");
    fixture
        .device("aliased", "{ alias: ['O=Example, CN=sensor01'] }")
        .await;
    assert_eq!(fixture.present_ok(&chain).await, "aliased");
    fixture.device("aliased", "{}").await;
    assert_eq!(fixture.present_ok(&chain).await, "sensor01");
    fixture.device("O=Example, CN=sensor01", "{}").await;
    assert_eq!(fixture.present_ok(&chain).await, "O=Example, CN=sensor01");
}

#[tokio::test]
async fn a_subject_in_another_order_is_another_subject() {
    let root = Authority::root("root");
    let fixture = trusting(&[&root]).await;
    fixture
        .device("aliased", "{ alias: ['CN=sensor01, O=Example'] }")
        .await;
    let chain = root.device_with(&SUBJECT, |_| {});
    assert_eq!(
        cause(fixture.present(&[&chain]).await),
        Cause::UnknownDevice
    );
}

#[tokio::test]
async fn a_comma_in_a_value_makes_no_other_attribute() {
    let root = Authority::root("root");
    let fixture = trusting(&[&root]).await;
    fixture
        .device("victim", "{ alias: ['O=Example, CN=sensor01'] }")
        .await;
    let crafted = root.device_with(
        &[(DnType::OrganizationName, "Example, CN=sensor01")],
        |_| {},
    );
    assert_eq!(
        fixture.present_fault(&[&crafted]).await,
        CertificateFault::AttributeMissing
    );
    fixture
        .device(
            "escaped",
            "{ alias: ['O=Example\\, CN\\=sensor01', 'O=Example\\, CN=sensor01'] }",
        )
        .await;
    assert_eq!(fixture.present_ok(&[&crafted]).await, "escaped");
}

#[tokio::test]
async fn the_anchors_template_names_the_device() {
    let root = Authority::root("root");
    let fixture = trusting(&[]).await;
    let subject = [
        (DnType::OrganizationName, "Example"),
        (DnType::OrganizationalUnitName, "pumps"),
        (DnType::CommonName, "7"),
    ];
    let chain = root.device_with(&subject, |_| {});
    fixture
        .device("pumps-7", "{ alias: ['the seventh'] }")
        .await;
    for (template, device) in [
        ("${OU}-${CN}", Some("pumps-7")),
        ("${ou}-${commonName}", Some("pumps-7")),
        ("${2.5.4.11}-${2.5.4.3}", Some("pumps-7")),
        ("the seven${CN}", None),
        ("${CN}", None),
    ] {
        fixture
            .application(&format!(
                "{{ trustAnchors: {{ anchors: [{{ certificate: '{}', deviceName: '{template}' }}] }} }}",
                root.base64()
            ))
            .await;
        let found = fixture.present(&[&chain]).await;
        match device {
            Some(device) => assert_eq!(found.unwrap().device.name(), device, "{template}"),
            None => assert_eq!(cause(found), Cause::UnknownDevice, "{template}"),
        }
    }
}

#[tokio::test]
async fn a_user_name_is_no_name_for_a_certificate() {
    let root = Authority::root("root");
    let fixture = trusting(&[&root]).await;
    fixture
        .device(
            "sensor01",
            "{ authentication: { credentials: [{ user: { username: u, password: p, unique: true } }] } }",
        )
        .await;
    assert_eq!(
        cause(fixture.present(&[&root.device("u")]).await),
        Cause::UnknownDevice
    );
}

#[tokio::test]
async fn disabled_devices_and_applications_are_refused() {
    let root = Authority::root("root");
    let fixture = trusting(&[&root]).await;
    let chain = root.device("sensor01");
    fixture
        .device("sensor01", "{ core: { disabled: true } }")
        .await;
    assert_eq!(
        cause(fixture.present(&[&chain]).await),
        Cause::DeviceDisabled
    );
    fixture
        .application(&format!(
            "{{ core: {{ disabled: true }}, trustAnchors: {{ anchors: [{{ certificate: '{}' }}] }} }}",
            root.base64()
        ))
        .await;
    assert_eq!(
        cause(fixture.present(&[&chain]).await),
        Cause::ApplicationDisabled
    );
}

#[tokio::test]
async fn a_change_is_in_the_next_log_in() {
    let root = Authority::root("root");
    let fixture = trusting(&[]).await;
    let chain = root.device("sensor01");
    let chain = [&*chain];
    assert_eq!(
        fixture.present_fault(&chain).await,
        CertificateFault::UnknownIssuer
    );
    fixture
        .application(&crate::authority::anchors(&[&root]))
        .await;
    assert_eq!(cause(fixture.present(&chain).await), Cause::UnknownDevice);
    fixture.device("other", "{ alias: [sensor01] }").await;
    assert_eq!(fixture.present_ok(&chain).await, "other");
    fixture.device("other", "{}").await;
    assert_eq!(cause(fixture.present(&chain).await), Cause::UnknownDevice);
    fixture.device("third", "{ alias: ['CN=sensor01'] }").await;
    assert_eq!(fixture.present_ok(&chain).await, "third");
    fixture.application("{}").await;
    assert_eq!(
        fixture.present_fault(&chain).await,
        CertificateFault::UnknownIssuer
    );
}
