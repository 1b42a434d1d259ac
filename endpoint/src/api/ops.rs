//! Metrics and health.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use prometheus::{Encoder, TextEncoder};
use serde_json::json;

use crate::server::Shared;

use super::error::ApiError;

/// All metrics in Prometheus' text format.
pub(super) async fn metrics(State(shared): State<Arc<Shared>>) -> Response {
    let encoder = TextEncoder::new();
    let mut text = Vec::new();
    match encoder.encode(&shared.telemetry.registry.gather(), &mut text) {
        Ok(()) => {
            let content_type = encoder.format_type().to_owned();
            ([(header::CONTENT_TYPE, content_type)], text).into_response()
        }
        Err(error) => ApiError::internal("writing the metrics", error).into_response(),
    }
}

/// The process runs and answers.
pub(super) async fn live() -> Response {
    Json(json!({ "status": "live" })).into_response()
}

/// Devices can be served: 200, or 503 with the reasons why not.
pub(super) async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    match shared.readiness() {
        Ok(()) => Json(json!({ "status": "ready" })).into_response(),
        Err(reasons) => (
            StatusCode::SERVICE_UNAVAILABLE,
            Json(json!({ "status": "not ready", "reasons": reasons })),
        )
            .into_response(),
    }
}
