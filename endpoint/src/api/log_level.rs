//! The level of the process's log, seen and changed.

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, StatusCode},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::log::{self, LogError};

use super::{
    access::Access,
    error::{ApiError, ErrorBody},
    input,
};

/// Largest body of a change, in bytes.
const MOST_BODY: usize = 8 << 10;

/// The level of one instance's log.
#[derive(Serialize, ToSchema)]
#[schema(as = LogLevel, example = json!({ "level": "debug", "configured": "info" }))]
pub(super) struct Level {
    /// What is logged now: `error`, `warn`, `info`, `debug` or `trace`, or filters by module.
    level: String,
    /// What `[log] level` said when the instance was started.
    configured: String,
}

/// The level that is wanted.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewLogLevel, example = json!({ "level": "warn,landfall::auth=debug" }))]
pub(super) struct NewLevel {
    /// `error`, `warn`, `info`, `debug` or `trace`, or filters by module.
    level: String,
}

/// Show the log level
///
/// Of the instance that is asked.
#[utoipa::path(
    get, path = "/api/log/v1alpha1/level", tag = "operations", operation_id = "getLogLevel",
    responses((status = 200, description = "The level", body = Level)),
    security(("token" = ["admin"])),
)]
pub(super) async fn show() -> Result<Json<Level>, ApiError> {
    described(log::levels())
}

/// Change the log level
///
/// Of the instance that is asked, until the next change or start.
#[utoipa::path(
    put, path = "/api/log/v1alpha1/level", tag = "operations", operation_id = "setLogLevel",
    request_body = NewLevel,
    responses(
        (status = 200, description = "The level as it is now", body = Level),
        (status = 400, description = "`bad_body`", body = ErrorBody),
    ),
    security(("token" = ["admin"])),
)]
pub(super) async fn change(
    access: Access,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Level>, ApiError> {
    let body = input::body(&headers, body, MOST_BODY).await?;
    let wanted: NewLevel = serde_json::from_slice(&body).map_err(|error| {
        ApiError::bad_request(
            "bad_body",
            format_args!("the body is not {{\"level\": LEVEL}}: {error}"),
        )
    })?;
    let level = described(log::set_level(&wanted.level))?;
    // At `error` nobody sees it; whoever chose that knows.
    tracing::warn!(
        level = wanted.level,
        by = access.name(),
        "log level changed"
    );
    Ok(level)
}

fn described(levels: Result<log::Levels, LogError>) -> Result<Json<Level>, ApiError> {
    match levels {
        Ok(levels) => Ok(Json(Level {
            level: levels.level,
            configured: levels.configured,
        })),
        Err(error @ LogError::Level { .. }) => Err(ApiError::bad_request("bad_body", error)),
        Err(error) => Err(ApiError::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            error,
        )),
    }
}
