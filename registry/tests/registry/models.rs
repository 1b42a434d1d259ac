//! What documents come to: gateways, what a device has of its application, what log-ins need.

use landfall_registry::document::DialectSpec;
use landfall_registry::{PayloadEncoding, effective_dialect, effective_payload_encoding};

use crate::common::fixture;

#[tokio::test]
async fn a_gateway_is_selected_by_name_or_by_all_labels_within_the_application() {
    let fixture = fixture().await;
    fixture
        .apply(
            "{ metadata: { name: app2 } }
---
metadata: { name: gateway01, application: app }
---
metadata: { name: gateway02, application: app, labels: { role: gateway, site: north } }
---
metadata: { name: gateway03, application: app, labels: { role: gateway } }
---
metadata: { name: gateway01, application: app2, labels: { role: gateway, site: north } }
---
metadata: { name: sensor01, application: app }
spec: { gatewaySelector: { matchNames: [gateway01], matchLabels: { role: gateway, site: north } } }
---
metadata: { name: sensor02, application: app }
spec: { gatewaySelector: { matchLabels: {} } }
",
        )
        .await
        .unwrap();
    let device = async |application: &str, name: &str| {
        fixture
            .registry
            .device(application, name)
            .await
            .unwrap()
            .unwrap()
            .device
    };
    let sensor = device("app", "sensor01").await;
    assert!(sensor.selects_gateway(&*device("app", "gateway01").await));
    assert!(sensor.selects_gateway(&*device("app", "gateway02").await));
    assert!(
        !sensor.selects_gateway(&*device("app", "gateway03").await),
        "one of two labels"
    );
    assert!(
        !sensor.selects_gateway(&*device("app2", "gateway01").await),
        "another application"
    );
    assert!(!sensor.selects_gateway(&sensor));
    let unselective = device("app", "sensor02").await;
    assert!(!unselective.selects_gateway(&*device("app", "gateway02").await));

    fixture
        .device(
            "sensor01",
            "{ gatewaySelector: { matchNames: [gateway03] } }",
        )
        .await;
    let sensor = device("app", "sensor01").await;
    assert!(!sensor.selects_gateway(&*device("app", "gateway01").await));
    assert!(sensor.selects_gateway(&*device("app", "gateway03").await));
}

#[tokio::test]
async fn the_devices_dialect_wins_over_the_applications() {
    let fixture = fixture().await;
    let dialect = async || {
        let found = fixture
            .registry
            .device("app", "sensor01")
            .await
            .unwrap()
            .unwrap();
        effective_dialect(&found.application, &found.device)
    };
    fixture.device("sensor01", "{}").await;
    assert_eq!(dialect().await, DialectSpec::DrogueV1);
    fixture
        .apply("{ metadata: { name: app }, spec: { mqtt: { dialect: { type: plainTopic } } } }")
        .await
        .unwrap();
    assert_eq!(
        dialect().await,
        DialectSpec::PlainTopic {
            device_prefix: false
        }
    );
    fixture
        .device("sensor01", "{ mqtt: { dialect: { type: drogue/v1 } } }")
        .await;
    assert_eq!(dialect().await, DialectSpec::DrogueV1);
    fixture.device("sensor01", "{ mqtt: {} }").await;
    assert_eq!(
        dialect().await,
        DialectSpec::PlainTopic {
            device_prefix: false
        }
    );
}

#[tokio::test]
async fn models_hold_what_log_ins_and_events_need() {
    let fixture = fixture().await;
    fixture
        .device(
            "sensor01",
            "{ alias: ['CN=s'], authentication: { credentials: [{ psk: { key: QUJD } }] } }",
        )
        .await;
    fixture
        .apply("{ metadata: { name: app }, spec: { publish: { sinks: [events] } } }")
        .await
        .unwrap();
    let found = fixture
        .registry
        .device("app", "sensor01")
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.device.aliases(), ["CN=s"]);
    assert!(!format!("{found:?}").contains("65, 66, 67"), "{found:?}");
    assert_eq!(found.application.sinks(), Some(&["events".to_owned()][..]));
}

#[tokio::test]
async fn the_devices_payload_encoding_wins_over_the_applications() {
    let fixture = fixture().await;
    let encoding = async || {
        let found = fixture
            .registry
            .device("app", "sensor01")
            .await
            .unwrap()
            .unwrap();
        effective_payload_encoding(&found.application, &found.device)
    };
    fixture.device("sensor01", "{}").await;
    assert_eq!(encoding().await, PayloadEncoding::Raw);
    fixture
        .apply("{ metadata: { name: app }, spec: { mqtt: { payloadEncoding: base64 } } }")
        .await
        .unwrap();
    assert_eq!(encoding().await, PayloadEncoding::Base64);
    fixture
        .device("sensor01", "{ mqtt: { payloadEncoding: raw } }")
        .await;
    assert_eq!(encoding().await, PayloadEncoding::Raw);
}
