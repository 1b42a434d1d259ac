//! The registry that most tests share. All secrets begin with `pw-` or `tok-`, or are among those of
//! [`super::secrets`].

use serde_json::{Value, json};

/// The application of the shared devices.
pub(crate) const APP: &str = "app";
pub(crate) const SENSOR_PASSWORD: &str = "pw-sensor-5d1c9a70";
pub(crate) const GATEWAY_PASSWORD: &str = "pw-gateway-e83b2f46";
/// Of the devices that load a server.
pub(crate) const SENDER_PASSWORD: &str = "pw-sender-1f0a62c8";
/// What a sink shows to an HTTP receiver.
pub(crate) const RECEIVER_TOKEN: &str = "tok-receiver-83a1d2";
/// Handed in by tests that log in wrongly.
pub(crate) const WRONG_PASSWORD: &str = "pw-wrong-77c0d915";

/// Of devices and gateways of the Watson dialect.
pub(crate) const WATSON_TOKEN: &str = "tok-watson-6b0c7e19";

/// Of devices that sign their log-ins; in Base64.
pub(crate) const DEVICE_KEY: &str = "a2V5LWRldmljZS05ZjI3YzFlMDQ4YTY=";

/// Of a device that has several.
pub(crate) const OWN_PASSWORD: &str = "pw-own-41c7e2d9";
pub(crate) const UNIQUE_USER_PASSWORD: &str = "pw-unique-90ab13f4";
pub(crate) const USER_PASSWORD: &str = "pw-user-5f26d8c1";

pub(crate) fn application(name: &str) -> Value {
    json!({ "metadata": { "name": name } })
}

/// A device that logs in with a password.
pub(crate) fn device(name: &str, password: &str) -> Value {
    json!({
        "metadata": { "name": name, "application": APP },
        "spec": { "authentication": { "credentials": [{ "pass": password }] } },
    })
}

/// A device without credentials that `gateway` may speak for.
pub(crate) fn behind(name: &str, gateway: &str) -> Value {
    json!({
        "metadata": { "name": name, "application": APP },
        "spec": { "gatewaySelector": { "matchNames": [gateway] } },
    })
}

/// `sensor01` and `gateway01` log in; `sensor02` is behind `gateway01`; `sensor03` selects no
/// gateway.
pub(crate) fn shared_devices() -> Vec<Value> {
    vec![
        device("sensor01", SENSOR_PASSWORD),
        device("gateway01", GATEWAY_PASSWORD),
        behind("sensor02", "gateway01"),
        json!({ "metadata": { "name": "sensor03", "application": APP } }),
    ]
}

/// The user name that names `device` of the shared application.
pub(crate) fn user(device: &str) -> String {
    format!("{device}@{APP}")
}

/// The password of a shared device.
pub(crate) fn password(device: &str) -> &'static str {
    match device {
        "sensor01" => SENSOR_PASSWORD,
        "gateway01" => GATEWAY_PASSWORD,
        other => panic!("{other} has no password"),
    }
}
