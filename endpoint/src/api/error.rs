//! What a caller is told when a request fails: `{"error": CODE, "message": TEXT}`.
//!
//! The code is stable and for programs, the message is for people. What the caller is told and what
//! the log is told are two texts: our own faults show nothing of the inside.

use std::fmt;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::json;
use utoipa::ToSchema;

/// What every failed request is answered with; some codes bring a further member.
#[derive(ToSchema)]
#[schema(as = Error, example = json!({
    "error": "unknown_application", "message": "there is no application `my-app`",
}))]
#[expect(dead_code, reason = "a schema: the answer is written member by member")]
pub(super) struct ErrorBody {
    /// For programs, and stable.
    error: String,
    /// For people.
    message: String,
}

/// A failed request.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Further members of the answer's object.
    details: Option<(&'static str, serde_json::Value)>,
}

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl fmt::Display) -> Self {
        Self {
            status,
            code,
            message: message.to_string(),
            details: None,
        }
    }

    /// Adds a member beside `error` and `message`.
    pub(super) fn with(mut self, name: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.details = Some((name, value.into()));
        self
    }

    pub(super) fn bad_request(code: &'static str, message: impl fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(super) fn not_found(code: &'static str, message: impl fmt::Display) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, message)
    }

    pub(super) fn unknown_application(application: &str) -> Self {
        Self::not_found(
            "unknown_application",
            format_args!("there is no application `{application}`"),
        )
    }

    /// A parameter that only the role `admin` may use.
    pub(super) fn needs_admin(parameter: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "insufficient_scope",
            format_args!("{parameter} needs a token with the role admin"),
        )
    }

    pub(super) fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format_args!("the body is larger than {limit} bytes"),
        )
    }

    /// Our fault, or that of something we depend on: the cause is logged and not told.
    pub(super) fn internal(what: &'static str, cause: impl fmt::Display) -> Self {
        tracing::error!(%cause, what, "an API request failed");
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            format_args!("{what} failed; the server's log says why"),
        )
    }

    /// Something is out of service for now: the cause is logged and not told.
    pub(super) fn unavailable(what: &'static str, cause: impl fmt::Display) -> Self {
        tracing::warn!(%cause, what, "an API request could not be served");
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            format_args!("{what} is not available now; try again"),
        )
    }

    /// The code, for programs.
    pub(super) fn code(&self) -> &'static str {
        self.code
    }

    /// The message, for people.
    pub(super) fn message(&self) -> &str {
        &self.message
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut body = json!({ "error": self.code, "message": self.message });
        if let (Some((name, value)), Some(object)) = (self.details, body.as_object_mut()) {
            object.insert(name.to_owned(), value);
        }
        let mut response = (self.status, Json(body)).into_response();
        if let Some(challenge) = challenge(self.status, self.code) {
            response.headers_mut().insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static(challenge),
            );
        }
        response
    }
}

/// RFC 6750, 3: the scheme, and an error code only if a token was presented.
fn challenge(status: StatusCode, code: &str) -> Option<&'static str> {
    match (status, code) {
        (StatusCode::UNAUTHORIZED, "invalid_token") => {
            Some("Bearer realm=\"landfall\", error=\"invalid_token\"")
        }
        (StatusCode::UNAUTHORIZED, _) => Some("Bearer realm=\"landfall\""),
        (StatusCode::FORBIDDEN, "insufficient_scope" | "forbidden") => {
            Some("Bearer realm=\"landfall\", error=\"insufficient_scope\"")
        }
        _ => None,
    }
}

pub(super) async fn no_such_route() -> ApiError {
    ApiError::not_found("no_such_route", "there is nothing at this path")
}

pub(super) async fn no_such_method() -> ApiError {
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "this path does not take this method",
    )
}
