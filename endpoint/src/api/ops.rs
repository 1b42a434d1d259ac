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
    answer(shared.readiness().await, ["ready", "not ready"])
}

/// The server has been ready since it was started: 200 from then on, whatever happens later.
pub(super) async fn startup(State(shared): State<Arc<Shared>>) -> Response {
    answer(shared.has_started().await, ["started", "starting"])
}

fn answer(health: Result<(), Vec<String>>, [good, bad]: [&str; 2]) -> Response {
    match health {
        Ok(()) => Json(json!({ "status": good })).into_response(),
        Err(reasons) => {
            let body = json!({ "status": bad, "reasons": reasons });
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_stands_against_readiness_is_told() {
        let reasons = vec!["sink events: disk full".to_owned()];
        let response = answer(Err(reasons), ["ready", "not ready"]);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX)
            .await
            .unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["reasons"], json!(["sink events: disk full"]));
    }
}
