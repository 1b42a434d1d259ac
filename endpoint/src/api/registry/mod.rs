//! Applications and devices: documents in, resources out.

mod applications;
mod bulk;
mod devices;
mod select;

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use landfall_registry::{
    Outcome, Unavailable, WriteError, Written,
    document::{Invalid, Preconditions},
};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{Api, error::ApiError, input};

/// Largest document taken, in bytes.
const MOST_DOCUMENT: usize = 1 << 20;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(applications::list, applications::create))
        .routes(routes!(
            applications::get,
            applications::put,
            applications::delete
        ))
        .routes(routes!(devices::list, devices::create))
        .routes(routes!(devices::get, devices::put, devices::delete))
        .routes(routes!(bulk::apply))
}

/// How a PUT treats what does not exist.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct PutQuery {
    /// Create what does not exist, instead of refusing.
    #[serde(default)]
    apply: bool,
}

/// What must still hold for a DELETE to happen.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
struct DeleteQuery {
    /// The resource must have this `metadata.uid`.
    uid: Option<String>,
    /// The resource must have this `metadata.resourceVersion`.
    resource_version: Option<String>,
}

impl From<DeleteQuery> for Preconditions {
    fn from(query: DeleteQuery) -> Self {
        Self {
            uid: query.uid,
            resource_version: query.resource_version,
        }
    }
}

/// The body of a write: the text of one document.
async fn text(headers: &HeaderMap, body: Body) -> Result<String, ApiError> {
    if document_type(headers) == DocumentType::Other {
        return Err(unsupported_media_type(
            "a document is sent as application/json or application/yaml",
        ));
    }
    let bytes = input::body(headers, body, MOST_DOCUMENT).await?;
    String::from_utf8(bytes.into())
        .map_err(|_| ApiError::bad_request("invalid_document", "the body is not UTF-8 text"))
}

/// What a request says of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DocumentType {
    /// Nothing, or that it is one JSON text.
    Json,
    Yaml,
    Other,
}

fn document_type(headers: &HeaderMap) -> DocumentType {
    match media_type(headers).as_str() {
        "" | "application/json" => DocumentType::Json,
        "application/yaml" | "application/x-yaml" | "text/yaml" => DocumentType::Yaml,
        other if other.ends_with("+json") => DocumentType::Json,
        other if other.ends_with("+yaml") => DocumentType::Yaml,
        _ => DocumentType::Other,
    }
}

/// The media type of the body in lower case, without parameters; empty if there is none.
fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE);
    // What is not ASCII is no media type.
    let value = value.map_or("", |value| value.to_str().unwrap_or("?"));
    let media_type = value.split(';').next().unwrap_or("");
    media_type.trim().to_ascii_lowercase()
}

fn unsupported_media_type(message: &'static str) -> ApiError {
    let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
    ApiError::new(status, "unsupported_media_type", message)
}

fn answer_created(location: String, resource: &impl Serialize) -> Response {
    let headers = [(header::LOCATION, location)];
    (StatusCode::CREATED, headers, Json(resource)).into_response()
}

/// The resource as it is now, and in a header what the write did.
fn answer_written(written: &Written<impl Serialize>) -> Response {
    let status = match written.outcome {
        Outcome::Created => StatusCode::CREATED,
        Outcome::Updated | Outcome::Unchanged => StatusCode::OK,
    };
    let headers = [("landfall-result", result(written.outcome))];
    (status, headers, Json(&written.resource)).into_response()
}

/// What a write did, in a word.
fn result(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Created => "created",
        Outcome::Updated => "updated",
        Outcome::Unchanged => "unchanged",
    }
}

pub(super) fn invalid(invalid: Invalid) -> ApiError {
    ApiError::bad_request("invalid_document", invalid)
}

pub(super) fn unavailable(error: Unavailable) -> ApiError {
    ApiError::unavailable("the registry", error)
}

/// An application that the path names.
pub(super) async fn must_exist(api: &Api, application: &str) -> Result<(), ApiError> {
    let found = api.shared.registry.application(application).await;
    match found.map_err(unavailable)? {
        Some(_) => Ok(()),
        None => Err(ApiError::unknown_application(application)),
    }
}

/// A write that did not happen; `kind` is what it was about.
fn refused(error: WriteError, kind: &'static str) -> ApiError {
    let conflict = |code, message: String| ApiError::new(StatusCode::CONFLICT, code, message);
    match error {
        WriteError::Invalid(problems) => invalid(problems),
        WriteError::NoApplication => ApiError::not_found("unknown_application", error),
        WriteError::NotFound => ApiError::not_found(
            if kind == "device" {
                "unknown_device"
            } else {
                "unknown_application"
            },
            format_args!("there is no such {kind}"),
        ),
        WriteError::AlreadyExists => conflict(
            "already_exists",
            format!("there is a {kind} of this name already"),
        ),
        WriteError::Conflict => conflict(
            "conflict",
            format!(
                "the {kind} is not, or no longer, the one that uid and resourceVersion name: read \
                 it again"
            ),
        ),
        WriteError::Taken(problem) => conflict("taken", problem.to_string()),
        WriteError::Unavailable(error) => unavailable(error),
    }
}
