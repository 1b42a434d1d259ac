//! Applications and devices: documents in, resources out.

use std::sync::Arc;

use axum::{
    Json, Router,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing,
};
use landfall_registry::{
    ListQuery, Outcome, Secrets, Unavailable, WriteError, Written,
    document::{Address, ApplicationDocument, DeviceDocument, Document, Preconditions},
};
use serde::{Deserialize, Serialize};

use super::{
    Api,
    error::ApiError,
    input::{self, Paging, Parameters, Segments, encoded},
};

/// Largest document taken, in bytes.
const MOST_DOCUMENT: usize = 1 << 20;

pub(super) fn routes() -> Router<Arc<Api>> {
    Router::new()
        .route(
            "/apps",
            routing::get(list_applications).post(create_application),
        )
        .route(
            "/apps/{app}",
            routing::get(get_application)
                .put(put_application)
                .delete(delete_application),
        )
        .route(
            "/apps/{app}/devices",
            routing::get(list_devices).post(create_device),
        )
        .route(
            "/apps/{app}/devices/{device}",
            routing::get(get_device)
                .put(put_device)
                .delete(delete_device),
        )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PutQuery {
    /// Create what does not exist, instead of refusing.
    #[serde(default)]
    apply: bool,
}

/// What must still hold for a DELETE to happen.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct DeleteQuery {
    uid: Option<String>,
    resource_version: Option<String>,
}

async fn list_applications(
    State(api): State<Arc<Api>>,
    Parameters(paging): Parameters<Paging>,
) -> Result<Response, ApiError> {
    let registry = &api.shared.registry;
    let page = registry.list_applications(query(&paging)?, Secrets::Hidden);
    let page = page.await.map_err(unavailable)?;
    Ok(input::page(page.next.as_deref(), Json(page.items)))
}

fn query(paging: &Paging) -> Result<ListQuery, ApiError> {
    Ok(ListQuery {
        after: paging.after().unwrap_or_default().to_owned(),
        limit: paging.limit()?,
        ..ListQuery::default()
    })
}

async fn get_application(
    State(api): State<Arc<Api>>,
    Segments(application): Segments<String>,
) -> Result<Response, ApiError> {
    let registry = &api.shared.registry;
    let found = registry.get_application(&application, Secrets::Hidden);
    match found.await.map_err(unavailable)? {
        Some(resource) => Ok(Json(resource).into_response()),
        None => Err(ApiError::unknown_application(&application)),
    }
}

async fn create_application(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let text = text(&headers, body).await?;
    let document = ApplicationDocument::parse(&text, None).map_err(invalid)?;
    let location = format!(
        "/api/registry/v1alpha1/apps/{}",
        encoded(&document.metadata.name)
    );
    let created = api.shared.registry.create_application(document).await;
    Ok(answer_created(
        location,
        &created.map_err(|e| refused(e, "application"))?,
    ))
}

async fn put_application(
    State(api): State<Arc<Api>>,
    Segments(application): Segments<String>,
    Parameters(query): Parameters<PutQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let text = text(&headers, body).await?;
    let document = ApplicationDocument::parse(&text, Some(&application)).map_err(invalid)?;
    let registry = &api.shared.registry;
    let written = match query.apply {
        true => registry
            .apply(Document::Application(document))
            .await
            .map(|written| answer_written(&written)),
        false => registry
            .replace_application(document)
            .await
            .map(|written| answer_written(&written)),
    };
    written.map_err(|error| refused(error, "application"))
}

async fn delete_application(
    State(api): State<Arc<Api>>,
    Segments(application): Segments<String>,
    Parameters(query): Parameters<DeleteQuery>,
) -> Result<StatusCode, ApiError> {
    let registry = &api.shared.registry;
    let deleted = registry.delete_application(&application, query.into());
    deleted
        .await
        .map_err(|error| refused(error, "application"))?;
    Ok(StatusCode::NO_CONTENT)
}

async fn list_devices(
    State(api): State<Arc<Api>>,
    Segments(application): Segments<String>,
    Parameters(paging): Parameters<Paging>,
) -> Result<Response, ApiError> {
    let registry = &api.shared.registry;
    let page = registry.list_devices(&application, query(&paging)?, Secrets::Hidden);
    match page.await.map_err(unavailable)? {
        Some(page) => Ok(input::page(page.next.as_deref(), Json(page.items))),
        None => Err(ApiError::unknown_application(&application)),
    }
}

async fn get_device(
    State(api): State<Arc<Api>>,
    Segments((application, device)): Segments<(String, String)>,
) -> Result<Response, ApiError> {
    let registry = &api.shared.registry;
    let found = registry.get_device(&application, &device, Secrets::Hidden);
    match found.await.map_err(unavailable)? {
        Some(resource) => Ok(Json(resource).into_response()),
        None => Err(unknown_device(&api, &application, &device).await),
    }
}

async fn create_device(
    State(api): State<Arc<Api>>,
    Segments(application): Segments<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    must_exist(&api, &application).await?;
    let text = text(&headers, body).await?;
    let address = Address {
        application: Some(&application),
        name: None,
    };
    let document = DeviceDocument::parse(&text, address).map_err(invalid)?;
    let location = format!(
        "/api/registry/v1alpha1/apps/{}/devices/{}",
        encoded(&application),
        encoded(&document.metadata.name)
    );
    let created = api.shared.registry.create_device(document).await;
    Ok(answer_created(
        location,
        &created.map_err(|e| refused(e, "device"))?,
    ))
}

async fn put_device(
    State(api): State<Arc<Api>>,
    Segments((application, device)): Segments<(String, String)>,
    Parameters(query): Parameters<PutQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    must_exist(&api, &application).await?;
    let text = text(&headers, body).await?;
    let address = Address {
        application: Some(&application),
        name: Some(&device),
    };
    let document = DeviceDocument::parse(&text, address).map_err(invalid)?;
    let registry = &api.shared.registry;
    let written = match query.apply {
        true => registry
            .apply(Document::Device(document))
            .await
            .map(|written| answer_written(&written)),
        false => registry
            .replace_device(document)
            .await
            .map(|written| answer_written(&written)),
    };
    written.map_err(|error| refused(error, "device"))
}

async fn delete_device(
    State(api): State<Arc<Api>>,
    Segments((application, device)): Segments<(String, String)>,
    Parameters(query): Parameters<DeleteQuery>,
) -> Result<StatusCode, ApiError> {
    let registry = &api.shared.registry;
    let deleted = registry.delete_device(&application, &device, query.into());
    deleted.await.map_err(|error| refused(error, "device"))?;
    Ok(StatusCode::NO_CONTENT)
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
    check_content_type(headers)?;
    let bytes = input::body(headers, body, MOST_DOCUMENT).await?;
    String::from_utf8(bytes.into())
        .map_err(|_| ApiError::bad_request("invalid_document", "the body is not UTF-8 text"))
}

fn check_content_type(headers: &HeaderMap) -> Result<(), ApiError> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(());
    };
    let value = value.to_str().unwrap_or("").to_ascii_lowercase();
    let media_type = value.split(';').next().unwrap_or("").trim();
    match media_type {
        "application/json" | "application/yaml" | "application/x-yaml" | "text/yaml" => Ok(()),
        other if other.ends_with("+json") || other.ends_with("+yaml") => Ok(()),
        _ => Err(ApiError::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "a document is sent as application/json or application/yaml",
        )),
    }
}

fn answer_created(location: String, resource: &impl Serialize) -> Response {
    let headers = [(header::LOCATION, location)];
    (StatusCode::CREATED, headers, Json(resource)).into_response()
}

/// The resource as it is now, and in a header what the write did.
fn answer_written(written: &Written<impl Serialize>) -> Response {
    let (status, result) = match written.outcome {
        Outcome::Created => (StatusCode::CREATED, "created"),
        Outcome::Updated => (StatusCode::OK, "updated"),
        Outcome::Unchanged => (StatusCode::OK, "unchanged"),
    };
    let headers = [("landfall-result", result)];
    (status, headers, Json(&written.resource)).into_response()
}

fn invalid(invalid: landfall_registry::document::Invalid) -> ApiError {
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

/// Tells which of the two does not exist.
async fn unknown_device(api: &Api, application: &str, device: &str) -> ApiError {
    match must_exist(api, application).await {
        Ok(()) => ApiError::not_found(
            "unknown_device",
            format_args!("there is no device `{device}` in application `{application}`"),
        ),
        Err(error) => error,
    }
}

/// A write that did not happen; `kind` is what it was about.
fn refused(error: WriteError, kind: &'static str) -> ApiError {
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
        WriteError::AlreadyExists => ApiError::new(
            StatusCode::CONFLICT,
            "already_exists",
            format_args!("there is a {kind} of this name already"),
        ),
        WriteError::Conflict => ApiError::new(
            StatusCode::CONFLICT,
            "conflict",
            format_args!(
                "the {kind} is not, or no longer, the one that uid and resourceVersion name: read \
                 it again"
            ),
        ),
        WriteError::Taken(problem) => ApiError::new(StatusCode::CONFLICT, "taken", problem),
        WriteError::Unavailable(error) => unavailable(error),
    }
}
