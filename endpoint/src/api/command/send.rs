//! Commands handed in over HTTP, answered with what became of them.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use landfall_events::content::judge;
use serde::Serialize;
use utoipa::ToSchema;

use crate::command::{self, CommandReport, CommandRequest, Delivered, HeldReport, Outcome};

use super::{
    Api, ApiError, ErrorBody,
    ask::{self, Query, Way},
    held,
    input::{self, Parameters, Segments},
};

/// The connected device that answered.
const VIA: HeaderName = HeaderName::from_static("landfall-via");

/// Send a command
///
/// To every connection that is subscribed to the device's commands: the device's own, and those of
/// its gateways. The answer says what happened; with `response` it is the device's own. The body is
/// the command's payload, as it is.
#[utoipa::path(
    post, path = "/api/command/v1alpha1/apps/{app}/devices/{device}", tag = "commands",
    operation_id = "sendCommand",
    params(
        ("app" = String, Path, description = "The application"),
        ("device" = String, Path, description = "The device"),
        ("traceparent" = Option<String>, Header,
            description = "Reaches MQTT 5 devices as a user property; `tracestate` does so too"),
        ("Landfall-User-Property" = Option<String>, Header,
            description = "`NAME=VALUE`: a user property for MQTT 5 devices; up to 32 of them"),
        Query,
    ),
    request_body(content(
        ("application/json", example = json!({"target": 23})), ("application/octet-stream"),
    )),
    responses(
        (status = 200, description =
            "It was acknowledged, or sent at QoS 0; with `response`: what the device answered, in \
             the device's content type, and no such object", body = Answer),
        (status = 202, description =
            "It was handed over, and nobody waits for more; or it is held", body = Answer),
        (status = 404, description =
            "`unknown_application`, `unknown_device`, `not_connected`, `not_subscribed`",
            body = ErrorBody),
        (status = 409, description = "`queue_full`, `cannot_answer`", body = ErrorBody),
        (status = 413, description = "`too_large`", body = ErrorBody),
        (status = 502, description = "`refused_by_device`", body = ErrorBody),
        (status = 504, description = "`no_acknowledgement`, `no_answer`, `expired`",
            body = ErrorBody),
    ),
    security(("token" = ["command"])),
)]
pub(super) async fn send(
    State(api): State<Arc<Api>>,
    Segments((application, device)): Segments<(String, String)>,
    Parameters(query): Parameters<Query>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let way = Way::of(&query)?;
    let content_type = ask::content_type(&headers)?;
    let user_properties = ask::user_properties(&headers)?;
    let limit = api.shared.config.limits.maximum_packet_size.get();
    let payload = input::body(&headers, body, limit as usize).await?;
    let request = CommandRequest {
        application,
        device,
        command: query.command,
        payload,
        content_type,
        user_properties,
        expiry: way.expiry,
        timeout: way.timeout,
        wants_answer: query.response,
    };
    let report = match way.ttl {
        Some(ttl) => api.shared.hub.hold(request, ttl).await?,
        None => api.shared.hub.send(request).await?,
    };
    Ok(match &report.answer {
        Some(given) => pass_on(given),
        None => answer(&report),
    })
}

/// What became of a command.
#[derive(Serialize, ToSchema)]
#[schema(as = CommandOutcome, example = json!({
    "outcome": "acknowledged",
    "deliveries": [{
        "device": "sensor01", "via": "sensor01", "qos": 1, "instance": "landfall",
        "latencyMs": 0.277,
    }],
}))]
struct Answer<'a> {
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

impl From<HeldReport> for Holding {
    fn from(held: HeldReport) -> Self {
        Self {
            id: held.id.to_string(),
            expires: held::rfc3339(held.expires),
        }
    }
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

fn answer(report: &CommandReport) -> Response {
    let (status, outcome) = match report.outcome {
        Outcome::Acknowledged => (StatusCode::OK, "acknowledged"),
        Outcome::Sent => (StatusCode::OK, "sent"),
        Outcome::Answered => (StatusCode::OK, "answered"),
        Outcome::HandedOver => (StatusCode::ACCEPTED, "handedOver"),
        Outcome::Held => (StatusCode::ACCEPTED, "held"),
    };
    let deliveries = report.deliveries.iter().map(delivery).collect();
    (
        status,
        Json(Answer {
            outcome,
            deliveries,
            held: report.held.map(Holding::from),
        }),
    )
        .into_response()
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

/// The device's own answer, as it is.
fn pass_on(given: &command::Answer) -> Response {
    let stated = given.content_type.as_deref();
    let stated = stated.and_then(|text| HeaderValue::from_str(text).ok());
    // As an event's: JSON if it is, else bytes.
    let found = || match judge(None, &given.payload) {
        Ok((Some("application/json"), _)) => HeaderValue::from_static("application/json"),
        _ => HeaderValue::from_static("application/octet-stream"),
    };
    let content_type = stated.unwrap_or_else(found);
    let mut response = given.payload.clone().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    if let Ok(via) = HeaderValue::from_str(&input::encoded(&given.via)) {
        headers.insert(VIA, via);
    }
    response
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn an_answer_lists_each_delivery() {
        let delivered = Delivered {
            device: "sensor02".to_owned(),
            via: "gateway01".to_owned(),
            qos: 1,
            instance: "landfall".to_owned(),
            latency: Duration::from_nanos(1_234_567),
        };
        let shown = serde_json::to_value(delivery(&delivered)).unwrap();
        let expected = serde_json::json!({
            "device": "sensor02", "via": "gateway01", "qos": 1, "instance": "landfall",
            "latencyMs": 1.235,
        });
        assert_eq!(shown, expected);
    }
}
