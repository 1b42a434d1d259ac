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

use crate::command::{CommandError, CommandReport, CommandRequest, Delivered, Outcome};

use super::{
    Api,
    error::ApiError,
    input::{self, Parameters, Segments},
};

/// How long to wait for the outcome, if the request does not say.
const DEFAULT_TIMEOUT: f64 = 5.0;
const MOST_TIMEOUT: f64 = 60.0;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Query {
    command: String,
    /// Seconds, also with a fraction. 0: do not wait.
    timeout: Option<f64>,
}

/// `POST /api/command/v1alpha1/apps/{app}/devices/{device}?command=NAME[&timeout=SECONDS]`
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

#[derive(Serialize)]
struct Answer<'a> {
    outcome: &'static str,
    deliveries: Vec<Delivery<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Delivery<'a> {
    /// The device the command is for.
    device: &'a str,
    /// The connected device that it was delivered to: the device itself, or its gateway.
    via: &'a str,
    qos: u8,
    instance: &'a str,
    /// Milliseconds, with a fraction.
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
