//! Devices.

use std::sync::Arc;

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use landfall_registry::document::{Address, DeviceDocument, Document};

use super::{
    DeleteQuery, PutQuery, answer_created, answer_written, invalid, must_exist, refused,
    select::{GetQuery, ListQuery},
    text, unavailable,
};
use crate::api::{
    Api,
    access::Access,
    error::{ApiError, ErrorBody},
    input::{self, Parameters, Segments, encoded},
};

/// List an application's devices
///
/// Ordered by the bytes of their names.
#[utoipa::path(
    get, path = "/api/registry/v1alpha1/apps/{app}/devices", tag = "registry",
    operation_id = "listDevices",
    params(("app" = String, Path, description = "The application"), ListQuery),
    responses(
        (status = 200, description = "A page of devices",
            body = ref("#/components/schemas/DeviceList"), content_type = "application/json",
            headers(("Landfall-Continue" = String,
                description = "If there are more: what to give as `continue`, percent-encoded"))),
        (status = 404, description = "`unknown_application`", body = ErrorBody),
    ),
    security(("token" = ["registry"])),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    access: Access,
    Segments(application): Segments<String>,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    let selection = query.selection(&access)?;
    let registry = &api.shared.registry;
    let page = registry.list_devices(&application, selection.which.clone(), selection.secrets);
    match page.await.map_err(unavailable)? {
        Some(page) => Ok(input::page(
            page.next.as_deref(),
            selection.project(&page.items)?,
        )),
        None => Err(ApiError::unknown_application(&application)),
    }
}

/// Show a device
#[utoipa::path(
    get, path = "/api/registry/v1alpha1/apps/{app}/devices/{device}", tag = "registry",
    operation_id = "getDevice",
    params(
        ("app" = String, Path, description = "The application"),
        ("device" = String, Path, description = "The device"),
        GetQuery,
    ),
    responses(
        (status = 200, description = "The device",
            body = ref("#/components/schemas/Device"), content_type = "application/json"),
        (status = 404, description = "`unknown_application`, `unknown_device`", body = ErrorBody),
    ),
    security(("token" = ["registry"])),
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    access: Access,
    Segments((application, device)): Segments<(String, String)>,
    Parameters(query): Parameters<GetQuery>,
) -> Result<Response, ApiError> {
    let (fields, secrets) = query.resolve(&access)?;
    let registry = &api.shared.registry;
    let found = registry.get_device(&application, &device, secrets);
    match found.await.map_err(unavailable)? {
        Some(resource) => fields.project(&resource),
        None => Err(unknown_device(&api, &application, &device).await),
    }
}

/// Create a device
#[utoipa::path(
    post, path = "/api/registry/v1alpha1/apps/{app}/devices", tag = "registry",
    operation_id = "createDevice",
    params(("app" = String, Path, description = "The application")),
    request_body(content(
        (ref("#/components/schemas/AddressedDeviceDocument") = "application/json",
            example = json!({
                "metadata": {"name": "sensor01"},
                "spec": {"authentication": {"credentials": [{"pass": "a-long-random-password"}]}},
            })),
        (ref("#/components/schemas/AddressedDeviceDocument") = "application/yaml"),
    )),
    responses(
        (status = 201, description = "The new device",
            body = ref("#/components/schemas/Device"), content_type = "application/json",
            headers(("Location" = String, description = "Its path"))),
        (status = 404, description = "`unknown_application`", body = ErrorBody),
        (status = 409, description = "`already_exists`, `taken`", body = ErrorBody),
        (status = 415, description = "`unsupported_media_type`", body = ErrorBody),
    ),
    security(("token" = ["registry"])),
)]
pub(super) async fn create(
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

/// Replace a device
///
/// If the document has `metadata.resourceVersion` or `metadata.uid`, they must be those of the
/// stored device. With `apply=true` it also creates what does not exist.
#[utoipa::path(
    put, path = "/api/registry/v1alpha1/apps/{app}/devices/{device}", tag = "registry",
    operation_id = "putDevice",
    params(
        ("app" = String, Path, description = "The application"),
        ("device" = String, Path, description = "The device"),
        PutQuery,
    ),
    request_body(content(
        (ref("#/components/schemas/AddressedDeviceDocument") = "application/json",
            example = json!({"spec": {"gatewaySelector": {"matchNames": ["gateway01"]}}})),
        (ref("#/components/schemas/AddressedDeviceDocument") = "application/yaml"),
    )),
    responses(
        (status = 200, description = "The device as it is now",
            body = ref("#/components/schemas/Device"), content_type = "application/json",
            headers(("Landfall-Result" = String, description = "`updated` or `unchanged`"))),
        (status = 201, description = "The device, which is new (with `apply=true`)",
            body = ref("#/components/schemas/Device"), content_type = "application/json",
            headers(("Landfall-Result" = String, description = "`created`"))),
        (status = 404, description = "`unknown_application`, `unknown_device`", body = ErrorBody),
        (status = 409, description = "`conflict`, `taken`", body = ErrorBody),
        (status = 415, description = "`unsupported_media_type`", body = ErrorBody),
    ),
    security(("token" = ["registry"])),
)]
pub(super) async fn put(
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

/// Delete a device
#[utoipa::path(
    delete, path = "/api/registry/v1alpha1/apps/{app}/devices/{device}", tag = "registry",
    operation_id = "deleteDevice",
    params(
        ("app" = String, Path, description = "The application"),
        ("device" = String, Path, description = "The device"),
        DeleteQuery,
    ),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "`unknown_application`, `unknown_device`", body = ErrorBody),
        (status = 409, description = "`conflict`", body = ErrorBody),
    ),
    security(("token" = ["registry"])),
)]
pub(super) async fn delete(
    State(api): State<Arc<Api>>,
    Segments((application, device)): Segments<(String, String)>,
    Parameters(query): Parameters<DeleteQuery>,
) -> Result<StatusCode, ApiError> {
    let registry = &api.shared.registry;
    let deleted = registry.delete_device(&application, &device, query.into());
    deleted.await.map_err(|error| refused(error, "device"))?;
    Ok(StatusCode::NO_CONTENT)
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
