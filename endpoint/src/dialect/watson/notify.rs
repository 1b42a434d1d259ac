//! Notifications: what a gateway is told of requests that were refused ("Gateway notifications").

use serde::Serialize;

use super::super::{Cause, Message, Refused, Request};
use super::{name, topics};

/// Return code and message, in the words of the documentation where it has them. It names no codes,
/// so they are those of HTTP, as in the device management protocol.
fn code_and_message(cause: Cause, kind: &str, device: &str) -> (u16, &'static str) {
    let may_stand = |level: &str| matches!(level, "" | "+") || name::is_valid(level);
    match cause {
        Cause::Topic if !may_stand(kind) => (400, "Device type is not valid."),
        Cause::Topic if !may_stand(device) => (400, "Device id is not valid."),
        Cause::Topic => (400, "Topic does not match with any allowed topic rules."),
        Cause::NotAuthorized => (403, "Gateway is not authorized for this device."),
        Cause::TooLarge => (413, "Payload is larger than 131072 bytes."),
        Cause::Format => (415, "Payload does not match with the format of the topic."),
        Cause::TooManyActive => (
            429,
            "Maximum number of devices per gateway has been reached.",
        ),
        Cause::TooManySubscriptions => (429, "Maximum number of subscriptions has been reached."),
        Cause::NotCreated => (500, "Failed to create device due to internal errors."),
        Cause::TooManyDevices => (
            507,
            "Maximum number of devices per organization has been reached.",
        ),
    }
}

/// The documented fields, in their order.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Notification<'n> {
    request: &'static str,
    time: &'n str,
    topic: &'n str,
    r#type: &'n str,
    id: &'n str,
    client: &'n str,
    #[serde(rename = "RC")]
    code: u16,
    message: &'static str,
}

pub(super) fn notice(refused: &Refused<'_>) -> Message {
    let (kind, device) = topics::named(refused.topic);
    let (code, message) = code_and_message(refused.cause, kind, device);
    let notification = Notification {
        request: match refused.request {
            Request::Publish => "publish",
            Request::Subscribe => "subscribe",
        },
        time: refused.time,
        topic: refused.topic,
        r#type: kind,
        id: device,
        client: refused.client_id,
        code,
        message,
    };
    let (kind, device) = name::split(refused.own.device).unwrap_or_default();
    Message {
        topics: vec![format!("iot-2/type/{kind}/id/{device}/notify")],
        // Texts and numbers always can be written.
        payload: serde_json::to_vec(&notification).unwrap_or_default().into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::Own;
    use super::*;

    #[test]
    fn a_notification_has_the_documented_fields() {
        let refused = Refused {
            request: Request::Publish,
            topic: "iot-2/type/pump/id/p 7/evt/e/fmt/json",
            time: "2026-01-01T00:00:00.000Z",
            client_id: "g:org1:gate:g1",
            own: Own {
                application: "org1",
                device: "gate:g1",
            },
            cause: Cause::Topic,
        };
        let message = notice(&refused);
        assert_eq!(message.topics, ["iot-2/type/gate/id/g1/notify"]);
        assert_eq!(
            std::str::from_utf8(&message.payload).unwrap(),
            "{\"Request\":\"publish\",\"Time\":\"2026-01-01T00:00:00.000Z\",\
             \"Topic\":\"iot-2/type/pump/id/p 7/evt/e/fmt/json\",\"Type\":\"pump\",\"Id\":\"p 7\",\
             \"Client\":\"g:org1:gate:g1\",\"RC\":400,\"Message\":\"Device id is not valid.\"}"
        );
    }
}
