//! Tokens of this API: created, listed, revoked.

use std::sync::Arc;

use axum::{
    Json,
    body::Body,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use landfall_registry::{
    WriteError,
    token::{ApiToken, Applications, NewToken},
};
use serde::Serialize;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    Api,
    access::Access,
    error::{ApiError, ErrorBody},
    input::{self, Segments},
    registry::{invalid, unavailable},
};

/// Largest document of a token, in bytes.
const MOST_DOCUMENT: usize = 64 << 10;

pub(super) fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new()
        .routes(routes!(list, create))
        .routes(routes!(revoke))
        .routes(routes!(own))
}

/// List tokens
///
/// All that were created and not revoked, by name, without their text. The token of
/// `api.token_file` is not among them.
#[utoipa::path(
    get, path = "/api/tokens/v1alpha1/tokens", tag = "tokens", operation_id = "listTokens",
    responses((status = 200, description = "The tokens",
        body = ref("#/components/schemas/TokenList"), content_type = "application/json")),
    security(("token" = ["admin"])),
)]
async fn list(State(api): State<Arc<Api>>) -> Result<Json<Vec<ApiToken>>, ApiError> {
    let tokens = api.shared.registry.list_tokens().await;
    Ok(Json(tokens.map_err(unavailable)?))
}

/// What the asking token may.
#[derive(Serialize, utoipa::ToSchema)]
#[schema(as = OwnToken, example = json!({
    "name": "ci", "roles": ["registry"], "applications": ["my-app"],
}))]
struct Own {
    /// Its name; `(token file)` for the token of `api.token_file`.
    name: String,
    /// `admin`, `registry`, `command`, `events`.
    roles: Vec<String>,
    /// The applications that it is limited to; left out if it holds for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    applications: Option<Vec<String>>,
}

/// Describe the own token
///
/// What the token that asks may.
#[utoipa::path(
    get, path = "/api/tokens/v1alpha1/self", tag = "tokens", operation_id = "getOwnToken",
    responses((status = 200, description = "The token", body = Own)),
    security(("token" = [])),
)]
async fn own(access: Access) -> Json<Own> {
    let roles = access.roles().into_iter();
    Json(Own {
        name: access.name().to_owned(),
        roles: roles.map(|role| role.to_string()).collect(),
        applications: match access.applications() {
            Applications::All => None,
            Applications::Only(names) => Some(names.iter().cloned().collect()),
        },
    })
}

/// A new token, with its text.
#[derive(Serialize)]
struct Created<'a> {
    #[serde(flatten)]
    token: &'a ApiToken,
    secret: &'a str,
}

/// Create a token
///
/// The answer is the only one that ever shows its text.
#[utoipa::path(
    post, path = "/api/tokens/v1alpha1/tokens", tag = "tokens", operation_id = "createToken",
    request_body(content(
        (ref("#/components/schemas/NewToken") = "application/json",
            example = json!({"name": "ci", "roles": ["registry"], "applications": ["my-app"]})),
    )),
    responses(
        (status = 201, description = "The new token",
            body = ref("#/components/schemas/CreatedToken"), content_type = "application/json"),
        (status = 400, description = "`invalid_document`", body = ErrorBody),
        (status = 409, description = "`already_exists`", body = ErrorBody),
    ),
    security(("token" = ["admin"])),
)]
async fn create(
    State(api): State<Arc<Api>>,
    access: Access,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let bytes = input::body(&headers, body, MOST_DOCUMENT).await?;
    let text = str::from_utf8(&bytes)
        .map_err(|_| ApiError::bad_request("invalid_document", "the body is not UTF-8 text"))?;
    let new = NewToken::parse(text).map_err(invalid)?;
    let created = api.shared.registry.create_token(new).await;
    let (token, secret) = created.map_err(refused)?;
    tracing::info!(token = token.name, by = access.name(), "API token created");
    let created = Created {
        token: &token,
        secret: secret.reveal(),
    };
    Ok((StatusCode::CREATED, Json(created)).into_response())
}

/// Revoke a token
///
/// It is refused from then on, on every instance within a second, and streams of events that were
/// opened with it end.
#[utoipa::path(
    delete, path = "/api/tokens/v1alpha1/tokens/{name}", tag = "tokens",
    operation_id = "revokeToken",
    params(("name" = String, Path, description = "The token's name")),
    responses(
        (status = 204, description = "It is revoked"),
        (status = 404, description = "`unknown_token`", body = ErrorBody),
    ),
    security(("token" = ["admin"])),
)]
async fn revoke(
    State(api): State<Arc<Api>>,
    access: Access,
    Segments(name): Segments<String>,
) -> Result<StatusCode, ApiError> {
    let revoked = api.shared.registry.revoke_token(&name).await;
    revoked.map_err(refused)?;
    tracing::info!(token = name, by = access.name(), "API token revoked");
    Ok(StatusCode::NO_CONTENT)
}

fn refused(error: WriteError) -> ApiError {
    match error {
        WriteError::Invalid(problems) => invalid(problems),
        WriteError::Unavailable(error) => unavailable(error),
        WriteError::NotFound => ApiError::not_found("unknown_token", "there is no such token"),
        // What is left says that the name is taken.
        _ => ApiError::new(
            StatusCode::CONFLICT,
            "already_exists",
            "there is a token of this name already",
        ),
    }
}
