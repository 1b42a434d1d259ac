//! Commands handed in over HTTP, answered with what became of them.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

use crate::command::{self, CommandReport, CommandRequest, Outcome, Told, Way};

use super::{
    Api, ApiError, ErrorBody,
    ask::{self, Query},
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
             the device's content type, and no such object", body = Told),
        (status = 202, description =
            "It was handed over, and nobody waits for more; or it is held", body = Told),
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
    let way = Way::of(&query.wishes())?;
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
        wants_answer: way.wants_answer,
    };
    let report = api.shared.hub.take(request, way.ttl).await?;
    Ok(match &report.answer {
        Some(given) => pass_on(given),
        None => answer(&report),
    })
}

fn answer(report: &CommandReport) -> Response {
    let status = match report.outcome {
        Outcome::Acknowledged | Outcome::Sent | Outcome::Answered => StatusCode::OK,
        Outcome::HandedOver | Outcome::Held => StatusCode::ACCEPTED,
    };
    (status, Json(Told::of(report))).into_response()
}

/// The device's own answer, as it is.
fn pass_on(given: &command::Answer) -> Response {
    let content_type = HeaderValue::from_str(given.content_type())
        .unwrap_or(HeaderValue::from_static(command::OCTET_STREAM));
    let mut response = given.payload.clone().into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    if let Ok(via) = HeaderValue::from_str(&input::encoded(&given.via)) {
        headers.insert(VIA, via);
    }
    response
}
