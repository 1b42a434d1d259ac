//! What the server itself answers to managed devices: `manage` and `unmanage` are accepted.
//!
//! All other requests are for applications, which see them as events and answer by commands.

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{Message, filter};
use super::topics;

/// Requests that the server answers.
const ANSWERED: [&str; 2] = ["mgmt/manage", "mgmt/unmanage"];

/// The response to a request that was accepted as an event. `None`: nothing to answer, or nobody
/// asked: "If a response is not required, the field should be omitted" (Message format, `reqId`).
pub(super) fn answer(topic: &str, payload: &[u8]) -> Option<Message> {
    #[derive(Deserialize)]
    struct Request {
        #[serde(rename = "reqId")]
        id: Option<Value>,
    }
    let (about, request) = topics::management_message(topic)?;
    if !ANSWERED.contains(&request) {
        return None;
    }
    let id = serde_json::from_slice::<Request>(payload).ok()?.id?;
    let response = format!("iotdm-1/{about}response");
    // "The managed gateway will subscribe to device management responses on: …/response/+".
    let level = id.as_str().filter(|id| filter::is_topic_level(id));
    let below = format!("{response}/{}", level.unwrap_or("manage"));
    Some(Message {
        topics: vec![response, below],
        // "rc": 200 is success in the device management protocol.
        payload: json!({ "rc": 200, "reqId": id }).to_string().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(topic: &str, payload: &str) -> Option<(Vec<String>, Value)> {
        let message = answer(topic, payload.as_bytes())?;
        Some((
            message.topics,
            serde_json::from_slice(&message.payload).unwrap(),
        ))
    }

    #[test]
    fn manage_and_unmanage_are_answered_with_the_same_request_id() {
        let (topics, payload) = answered(
            "iotdevice-1/mgmt/manage",
            r#"{"d":{"lifetime":3600},"reqId":"b53eb43e"}"#,
        )
        .unwrap();
        assert_eq!(topics, ["iotdm-1/response", "iotdm-1/response/b53eb43e"]);
        assert_eq!(payload, json!({ "rc": 200, "reqId": "b53eb43e" }));
        let (topics, _) = answered(
            "iotdevice-1/type/t/id/d/mgmt/unmanage",
            r#"{"reqId":"a/b"}"#,
        )
        .unwrap();
        assert_eq!(
            topics,
            [
                "iotdm-1/type/t/id/d/response",
                "iotdm-1/type/t/id/d/response/manage"
            ]
        );
    }

    #[test]
    fn nothing_else_is_answered() {
        for (topic, payload) in [
            ("iotdevice-1/mgmt/manage", r#"{"d":{}}"#),
            ("iotdevice-1/mgmt/manage", "[]"),
            ("iotdevice-1/mgmt/manage", ""),
            ("iotdevice-1/response", r#"{"rc":200,"reqId":"1"}"#),
            ("iotdevice-1/device/update/location", r#"{"reqId":"1"}"#),
            ("iot-2/evt/e/fmt/json", r#"{"reqId":"1"}"#),
        ] {
            assert_eq!(answered(topic, payload), None, "{topic} {payload}");
        }
    }
}
