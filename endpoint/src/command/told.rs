//! What became of a command, as its sender is told in JSON: over HTTP, and by every other source.

use std::time::SystemTime;

use landfall_events::event::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::{CommandReport, Delivered, HeldReport, Outcome};

/// What became of a command.
#[derive(Serialize, ToSchema)]
#[schema(as = CommandOutcome, example = json!({
    "outcome": "acknowledged",
    "deliveries": [{
        "device": "sensor01", "via": "sensor01", "qos": 1, "instance": "landfall",
        "latencyMs": 0.277,
    }],
}))]
pub struct Told<'a> {
    /// `acknowledged`, `sent`, `handedOver` or `held`.
    outcome: &'static str,
    /// One for each connection that it went to.
    deliveries: Vec<Delivery<'a>>,
    /// How it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<Holding>,
}

/// How a command is held.
#[derive(Serialize, ToSchema)]
struct Holding {
    /// Its number, by which it can be revoked.
    id: String,
    /// When it is dropped: RFC 3339, UTC.
    #[schema(format = DateTime)]
    expires: String,
}

/// A connection that a command went to.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Delivery<'a> {
    /// The device the command is for.
    device: &'a str,
    /// The connected device that it was delivered to: the device itself, or its gateway.
    via: &'a str,
    /// Quality of service of the delivery: 0 or 1.
    #[schema(maximum = 1)]
    qos: u8,
    /// The instance that the device is connected to.
    instance: &'a str,
    /// From the hand-over to the connection to its acknowledgement (QoS 0: to the write), in
    /// milliseconds, with a fraction.
    latency_ms: f64,
}

impl<'a> Told<'a> {
    /// What a report says.
    pub fn of(report: &'a CommandReport) -> Self {
        Self {
            outcome: match report.outcome {
                Outcome::Acknowledged => "acknowledged",
                Outcome::Sent => "sent",
                Outcome::Answered => "answered",
                Outcome::HandedOver => "handedOver",
                Outcome::Held => "held",
            },
            deliveries: report.deliveries.iter().map(delivery).collect(),
            held: report.held.map(Holding::from),
        }
    }
}

impl From<HeldReport> for Holding {
    fn from(held: HeldReport) -> Self {
        Self {
            id: held.id.to_string(),
            expires: rfc3339(held.expires),
        }
    }
}

/// A time as it is told.
pub fn rfc3339(time: SystemTime) -> String {
    String::from_utf8_lossy(&Timestamp::from(time).rfc3339()).into_owned()
}

fn delivery(delivered: &Delivered) -> Delivery<'_> {
    Delivery {
        device: &delivered.device,
        via: &delivered.via,
        qos: delivered.qos,
        instance: &delivered.instance,
        // Whole microseconds: more digits would pretend.
        latency_ms: (delivered.latency.as_secs_f64() * 1e6).round() / 1e3,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn each_delivery_is_told() {
        let delivered = Delivered {
            device: "sensor02".to_owned(),
            via: "gateway01".to_owned(),
            qos: 1,
            instance: "landfall".to_owned(),
            latency: Duration::from_nanos(1_234_567),
        };
        let report = CommandReport {
            deliveries: vec![delivered],
            ..CommandReport::of(Outcome::Acknowledged)
        };
        let expected = serde_json::json!({"outcome": "acknowledged", "deliveries": [{
            "device": "sensor02", "via": "gateway01", "qos": 1, "instance": "landfall",
            "latencyMs": 1.235,
        }]});
        assert_eq!(serde_json::to_value(Told::of(&report)).unwrap(), expected);
    }
}
