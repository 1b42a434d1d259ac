//! Applications.

use std::{ops::Bound, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
};
use landfall_registry::{
    Page,
    document::{ApplicationDocument, ApplicationResource, Document},
    token::Applications,
};

use super::{
    DeleteQuery, PutQuery, answer_created, answer_written, invalid, refused,
    select::{GetQuery, ListQuery, Selection},
    text, unavailable,
};
use crate::api::{
    Api,
    access::Access,
    error::{ApiError, ErrorBody},
    input::{self, Parameters, Segments, encoded},
};

/// List applications
///
/// Ordered by the bytes of their names. A token that is limited to applications sees these.
#[utoipa::path(
    get, path = "/api/registry/v1alpha1/apps", tag = "registry",
    operation_id = "listApplications", params(ListQuery),
    responses(
        (status = 200, description = "A page of applications",
            body = ref("#/components/schemas/ApplicationList"), content_type = "application/json",
            headers(("Landfall-Continue" = String,
                description = "If there are more: what to give as `continue`, percent-encoded"))),
    ),
    security(("token" = ["registry"])),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    access: Access,
    Parameters(query): Parameters<ListQuery>,
) -> Result<Response, ApiError> {
    let selection = query.selection(&access)?;
    let page = match access.applications() {
        Applications::All => {
            let registry = &api.shared.registry;
            let page = registry.list_applications(selection.which.clone(), selection.secrets);
            page.await.map_err(unavailable)?
        }
        Applications::Only(names) => only(&api, names, &selection).await?,
    };
    Ok(input::page(
        page.next.as_deref(),
        selection.project(&page.items)?,
    ))
}

/// Of the applications that a token holds for, those that exist.
async fn only(
    api: &Api,
    names: &std::collections::BTreeSet<String>,
    selection: &Selection,
) -> Result<Page<ApplicationResource>, ApiError> {
    let which = &selection.which;
    let after = Bound::Excluded(which.after.as_str());
    let mut rest = names.range::<str, _>((after, Bound::Unbounded));
    let mut items = Vec::new();
    for name in rest.by_ref() {
        let found = api
            .shared
            .registry
            .get_application(name, selection.secrets)
            .await
            .map_err(unavailable)?;
        items.extend(found.filter(|found| which.labels.selects(&found.metadata.labels)));
        if items.len() == which.limit {
            break;
        }
    }
    let last = items.last().map(|last| last.metadata.name.clone());
    Ok(Page {
        next: last.filter(|_| rest.next().is_some()),
        items,
    })
}

/// Show an application
#[utoipa::path(
    get, path = "/api/registry/v1alpha1/apps/{app}", tag = "registry",
    operation_id = "getApplication",
    params(("app" = String, Path, description = "The application"), GetQuery),
    responses(
        (status = 200, description = "The application",
            body = ref("#/components/schemas/Application"), content_type = "application/json"),
        (status = 404, description = "`unknown_application`", body = ErrorBody),
    ),
    security(("token" = ["registry"])),
)]
pub(super) async fn get(
    State(api): State<Arc<Api>>,
    access: Access,
    Segments(application): Segments<String>,
    Parameters(query): Parameters<GetQuery>,
) -> Result<Response, ApiError> {
    let (fields, secrets) = query.resolve(&access)?;
    let registry = &api.shared.registry;
    let found = registry.get_application(&application, secrets);
    match found.await.map_err(unavailable)? {
        Some(resource) => fields.project(&resource),
        None => Err(ApiError::unknown_application(&application)),
    }
}

/// Create an application
#[utoipa::path(
    post, path = "/api/registry/v1alpha1/apps", tag = "registry",
    operation_id = "createApplication",
    request_body(content(
        (ref("#/components/schemas/ApplicationDocument") = "application/json",
            example = json!({"metadata": {"name": "my-app"}})),
        (ref("#/components/schemas/ApplicationDocument") = "application/yaml"),
    )),
    responses(
        (status = 201, description = "The new application",
            body = ref("#/components/schemas/Application"), content_type = "application/json",
            headers(("Location" = String, description = "Its path"))),
        (status = 409, description = "`already_exists`, `taken`", body = ErrorBody),
        (status = 415, description = "`unsupported_media_type`", body = ErrorBody),
    ),
    security(("token" = ["registry"])),
)]
pub(super) async fn create(
    State(api): State<Arc<Api>>,
    access: Access,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let text = text(&headers, body).await?;
    let document = ApplicationDocument::parse(&text, None).map_err(invalid)?;
    access.contains(&document.metadata.name)?;
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

/// Replace an application
///
/// If the document has `metadata.resourceVersion` or `metadata.uid`, they must be those of the
/// stored application. With `apply=true` it also creates what does not exist.
#[utoipa::path(
    put, path = "/api/registry/v1alpha1/apps/{app}", tag = "registry",
    operation_id = "putApplication",
    params(("app" = String, Path, description = "The application"), PutQuery),
    request_body(content(
        (ref("#/components/schemas/AddressedApplicationDocument") = "application/json",
            example = json!({"metadata": {"labels": {"site": "north"}}})),
        (ref("#/components/schemas/AddressedApplicationDocument") = "application/yaml"),
    )),
    responses(
        (status = 200, description = "The application as it is now",
            body = ref("#/components/schemas/Application"), content_type = "application/json",
            headers(("Landfall-Result" = String, description = "`updated` or `unchanged`"))),
        (status = 201, description = "The application, which is new (with `apply=true`)",
            body = ref("#/components/schemas/Application"), content_type = "application/json",
            headers(("Landfall-Result" = String, description = "`created`"))),
        (status = 404, description = "`unknown_application`", body = ErrorBody),
        (status = 409, description = "`conflict`, `taken`", body = ErrorBody),
        (status = 415, description = "`unsupported_media_type`", body = ErrorBody),
    ),
    security(("token" = ["registry"])),
)]
pub(super) async fn put(
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

/// Delete an application
///
/// Its devices go with it.
#[utoipa::path(
    delete, path = "/api/registry/v1alpha1/apps/{app}", tag = "registry",
    operation_id = "deleteApplication",
    params(("app" = String, Path, description = "The application"), DeleteQuery),
    responses(
        (status = 204, description = "It is gone"),
        (status = 404, description = "`unknown_application`", body = ErrorBody),
        (status = 409, description = "`conflict`", body = ErrorBody),
    ),
    security(("token" = ["registry"])),
)]
pub(super) async fn delete(
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
