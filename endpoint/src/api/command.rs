//! Commands handed in over HTTP, answered with what became of them.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::command::{CommandError, CommandReport, CommandRequest, Delivered, Outcome};

use super::{
    Api,
    error::{ApiError, ErrorBody},
    input::{self, Parameters, Segments},
};

/// How long to wait for the outcome, if the request does not say.
const DEFAULT_TIMEOUT: f64 = 5.0;
const MOST_TIMEOUT: f64 = 60.0;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Query {
    /// The command's name: one topic level.
    command: String,
    /// How long to wait for the outcome, in seconds, also with a fraction; default 5. 0: not at
    /// all.
    #[param(minimum = 0.0, maximum = 60.0)]
    timeout: Option<f64>,
}

/// Send a command
///
/// To every connection that is subscribed to the device's commands: the device's own, and those of
/// its gateways. The answer says what happened. The body is the command's payload, as it is.
#[utoipa::path(
    post, path = "/api/command/v1alpha1/apps/{app}/devices/{device}", tag = "commands",
    operation_id = "sendCommand",
    params(
        ("app" = String, Path, description = "The application"),
        ("device" = String, Path, description = "The device"),
        Query,
    ),
    request_body(content(
        ("application/json", example = json!({"target": 23})), ("application/octet-stream"),
    )),
    responses(
        (status = 200, description = "It was acknowledged, or sent at QoS 0", body = Answer),
        (status = 202, description = "It was handed over, and nobody waits for more",
            body = Answer),
        (status = 404, description =
            "`unknown_application`, `unknown_device`, `not_connected`, `not_subscribed`",
            body = ErrorBody),
        (status = 409, description = "`queue_full`", body = ErrorBody),
        (status = 413, description = "`too_large`", body = ErrorBody),
        (status = 502, description = "`refused_by_device`", body = ErrorBody),
        (status = 504, description = "`no_acknowledgement`", body = ErrorBody),
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
    let timeout = timeout(query.timeout)?;
    let content_type = content_type(&headers)?;
    let limit = api.shared.config.limits.maximum_packet_size.get();
    let payload = input::body(&headers, body, limit as usize).await?;
    let request = CommandRequest {
        application,
        device,
        command: query.command,
        payload,
        content_type,
        timeout,
    };
    match api.shared.hub.send(request).await {
        Ok(report) => Ok(answer(&report)),
        Err(error) => Err(error.into()),
    }
}

fn timeout(seconds: Option<f64>) -> Result<Duration, ApiError> {
    let seconds = seconds.unwrap_or(DEFAULT_TIMEOUT);
    if !(0.0..=MOST_TIMEOUT).contains(&seconds) {
        return Err(ApiError::bad_request(
            "bad_query",
            format_args!("timeout is 0 to {MOST_TIMEOUT} seconds"),
        ));
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn content_type(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    match headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str())
    {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.to_owned())),
        Some(Err(_)) => Err(ApiError::bad_request(
            "bad_header",
            "Content-Type has characters that are not printable ASCII",
        )),
    }
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
    /// `acknowledged`, `sent` or `handedOver`.
    outcome: &'static str,
    /// One for each connection that it went to.
    deliveries: Vec<Delivery<'a>>,
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
        Outcome::HandedOver => (StatusCode::ACCEPTED, "handedOver"),
    };
    let deliveries = report.deliveries.iter().map(delivery).collect();
    (
        status,
        Json(Answer {
            outcome,
            deliveries,
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

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        let (status, code) = match &error {
            CommandError::BadName(_) => (StatusCode::BAD_REQUEST, "bad_command_name"),
            CommandError::UnknownApplication => (StatusCode::NOT_FOUND, "unknown_application"),
            CommandError::UnknownDevice => (StatusCode::NOT_FOUND, "unknown_device"),
            CommandError::NotConnected => (StatusCode::NOT_FOUND, "not_connected"),
            CommandError::NotSubscribed => (StatusCode::NOT_FOUND, "not_subscribed"),
            CommandError::QueueFull => (StatusCode::CONFLICT, "queue_full"),
            CommandError::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "too_large"),
            CommandError::Refused(_) => (StatusCode::BAD_GATEWAY, "refused_by_device"),
            CommandError::NoAcknowledgement => (StatusCode::GATEWAY_TIMEOUT, "no_acknowledgement"),
            CommandError::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
        };
        Self::new(status, code, error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_is_five_seconds_unless_the_sender_says_up_to_sixty() {
        assert_eq!(timeout(None).unwrap(), Duration::from_secs(5));
        assert_eq!(timeout(Some(0.0)).unwrap(), Duration::ZERO);
        assert_eq!(timeout(Some(0.25)).unwrap(), Duration::from_millis(250));
        assert_eq!(timeout(Some(60.0)).unwrap(), Duration::from_secs(60));
        for wrong in [-1.0, 60.5, f64::NAN, f64::INFINITY] {
            assert_eq!(timeout(Some(wrong)).unwrap_err().code(), "bad_query");
        }
    }

    #[test]
    fn every_failure_has_the_status_of_who_is_to_blame() {
        let status = |error: CommandError| ApiError::from(error).into_response().status().as_u16();
        assert_eq!(status(CommandError::BadName("x".to_owned())), 400);
        assert_eq!(status(CommandError::UnknownApplication), 404);
        assert_eq!(status(CommandError::UnknownDevice), 404);
        assert_eq!(status(CommandError::NotConnected), 404);
        assert_eq!(status(CommandError::NotSubscribed), 404);
        assert_eq!(status(CommandError::QueueFull), 409);
        assert_eq!(status(CommandError::TooLarge), 413);
        assert_eq!(status(CommandError::NoAcknowledgement), 504);
        assert_eq!(status(CommandError::Unavailable), 503);
    }

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
