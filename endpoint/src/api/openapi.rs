//! The OpenAPI document: made of the handlers' own descriptions and the registry's schemas.
//!
//! A route cannot be left out of it, because routes are only made together with their description;
//! and what it says of roles is what is enforced, because the rules are read out of it.

use std::sync::Arc;

use axum::{extract::State, http::header, response::IntoResponse};
use bytes::Bytes;
use landfall_registry::document::schema;
use serde_json::{Map, Value, json};
use utoipa::openapi::{Info, OpenApi};

use super::Api;

/// Describe this API
///
/// This document.
#[utoipa::path(
    get, path = "/api/openapi.json", tag = "about", operation_id = "getOpenApi",
    responses((status = 200, description = "An OpenAPI 3.1 document", body = Object)),
    security(("token" = [])),
)]
pub(super) async fn show(State(api): State<Arc<Api>>) -> impl IntoResponse {
    let content_type = [(header::CONTENT_TYPE, "application/json")];
    (content_type, Bytes::clone(&api.openapi))
}

/// What the handlers do not say, to begin with.
pub(super) fn head() -> OpenApi {
    let mut info = Info::new("Landfall", env!("CARGO_PKG_VERSION"));
    info.description = Some(
        "Registry, commands, events, connections and tokens of a Landfall server. Failures are \
         answered with `Error`; the codes are listed in the documentation of the HTTP API. The \
         scopes of `token` are roles: one of those named is needed, or `admin`."
            .to_owned(),
    );
    OpenApi::new(info, utoipa::openapi::Paths::new())
}

/// The whole document, out of what the handlers say.
pub(super) fn complete(described: &OpenApi) -> Result<Value, serde_json::Error> {
    let mut document = serde_json::to_value(described)?;
    let token = json!({
        "type": "http", "scheme": "bearer",
        "description": "The token of `api.token_file`, or one that was created: RFC 6750.",
    });
    insert(
        &mut document,
        "/components",
        "securitySchemes",
        json!({ "token": token }),
    );
    insert(
        &mut document,
        "/components",
        "responses",
        json!({ "Failure": failure() }),
    );
    for (name, schema) in schema::all() {
        insert(&mut document, "/components/schemas", name, schema);
    }
    let paths = document
        .pointer_mut("/paths")
        .and_then(Value::as_object_mut);
    for item in paths.into_iter().flat_map(Map::values_mut) {
        for operation in item.as_object_mut().into_iter().flat_map(Map::values_mut) {
            let failure = json!({ "$ref": "#/components/responses/Failure" });
            insert(operation, "/responses", "default", failure);
        }
    }
    Ok(document)
}

/// Puts a member into the object at a place.
fn insert(document: &mut Value, place: &str, name: &str, member: Value) {
    if let Some(object) = document.pointer_mut(place).and_then(Value::as_object_mut) {
        object.insert(name.to_owned(), member);
    }
}

fn failure() -> Value {
    json!({
        "description": "The request failed; `error` says why",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
    })
}
