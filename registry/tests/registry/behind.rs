//! Devices that are registered when a gateway first speaks for them.

use landfall_registry::{Behind, RegisterError};

use crate::common::{Fixture, fixture, json};

const BEHIND: Behind<'_> = Behind {
    application: "app",
    device: "type:d1",
    gateway: "type:g1",
    roaming: false,
    at_most: None,
};

async fn gateways(fixture: &Fixture, device: &str) -> serde_json::Value {
    json(&fixture.get(device).await)["spec"]["gatewaySelector"]["matchNames"].clone()
}

async fn with_gateways() -> Fixture {
    let fixture = fixture().await;
    for gateway in ["type:g1", "type:g2"] {
        fixture.device(gateway, "{}").await;
    }
    fixture
}

#[tokio::test]
async fn an_unknown_device_is_registered_behind_the_gateway() {
    let fixture = with_gateways().await;
    let found = fixture.registry.register_behind(BEHIND).await.unwrap();
    assert_eq!(found.device.name(), "type:d1");
    assert!(found.device.is_registered_by_gateway());
    assert_eq!(
        gateways(&fixture, "type:d1").await,
        serde_json::json!(["type:g1"])
    );
    // Again: nothing to do.
    fixture.registry.register_behind(BEHIND).await.unwrap();
    assert_eq!(
        json(&fixture.get("type:d1").await)["metadata"]["generation"],
        1
    );
}

#[tokio::test]
async fn another_gateway_is_added_only_if_devices_roam() {
    let fixture = with_gateways().await;
    fixture.registry.register_behind(BEHIND).await.unwrap();
    let second = Behind {
        gateway: "type:g2",
        ..BEHIND
    };
    let refused = fixture.registry.register_behind(second).await;
    assert_eq!(refused.unwrap_err(), RegisterError::NotSelected);
    let roaming = Behind {
        roaming: true,
        ..second
    };
    fixture.registry.register_behind(roaming).await.unwrap();
    let both = serde_json::json!(["type:g1", "type:g2"]);
    assert_eq!(gateways(&fixture, "type:d1").await, both);
}

#[tokio::test]
async fn devices_made_by_hand_keep_their_gateways() {
    let fixture = with_gateways().await;
    fixture
        .device(
            "type:d1",
            "{ gatewaySelector: { matchNames: [\"type:g2\"] } }",
        )
        .await;
    let roaming = Behind {
        roaming: true,
        ..BEHIND
    };
    let refused = fixture.registry.register_behind(roaming).await;
    assert_eq!(refused.unwrap_err(), RegisterError::NotSelected);
    assert_eq!(
        gateways(&fixture, "type:d1").await,
        serde_json::json!(["type:g2"])
    );
}

#[tokio::test]
async fn disabled_devices_stay_as_they_are() {
    let fixture = with_gateways().await;
    fixture
        .device("type:d1", "{ core: { disabled: true } }")
        .await;
    let refused = fixture.registry.register_behind(BEHIND).await;
    assert_eq!(refused.unwrap_err(), RegisterError::NotSelected);
}

#[tokio::test]
async fn no_more_devices_are_registered_than_may() {
    let fixture = with_gateways().await;
    let third = Behind {
        at_most: Some(3),
        ..BEHIND
    };
    fixture.registry.register_behind(third).await.unwrap();
    let fourth = Behind {
        device: "type:d2",
        ..third
    };
    let refused = fixture.registry.register_behind(fourth).await;
    assert_eq!(refused.unwrap_err(), RegisterError::TooMany);
    // Those that are there are served.
    fixture.registry.register_behind(third).await.unwrap();
}

#[tokio::test]
async fn many_at_once_for_one_device_register_it_once_with_all_gateways() {
    let fixture = with_gateways().await;
    let tasks: Vec<_> = ["type:g1", "type:g2", "type:g1", "type:g2"]
        .into_iter()
        .map(|gateway| {
            let registry = fixture.registry.clone();
            let behind = Behind {
                gateway,
                roaming: true,
                ..BEHIND
            };
            tokio::spawn(async move { registry.register_behind(behind).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let mut names: Vec<String> =
        serde_json::from_value(gateways(&fixture, "type:d1").await).unwrap();
    names.sort();
    assert_eq!(names, ["type:g1", "type:g2"]);
}
