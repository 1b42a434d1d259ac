//! Held commands: seen and revoked.

use std::sync::Arc;

use axum::{Json, extract::State, http::StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::command::{held::HeldCommand, rfc3339};

use super::{Api, ApiError, ErrorBody, input::Segments};

/// A command that waits for its device.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "id": "17", "command": "set-temp", "contentType": "application/json", "size": 13,
    "created": "2026-11-21T11:41:33.018382Z", "expires": "2026-11-22T11:41:33.018382Z",
}))]
#[serde(rename_all = "camelCase")]
pub(super) struct Held {
    /// Its number, by which it is revoked.
    id: String,
    /// The command's name.
    command: String,
    /// Media type of the payload, if the sender gave one.
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    /// Bytes of the payload.
    size: usize,
    /// When it was handed in: RFC 3339, UTC.
    #[schema(format = DateTime)]
    created: String,
    /// When it is dropped: RFC 3339, UTC.
    #[schema(format = DateTime)]
    expires: String,
}

impl From<HeldCommand> for Held {
    fn from(command: HeldCommand) -> Self {
        let HeldCommand { id, created, held } = command;
        Self {
            id: id.to_string(),
            command: held.command,
            content_type: held.content_type,
            size: held.payload.len(),
            created: rfc3339(created),
            expires: rfc3339(held.expires),
        }
    }
}

/// List held commands
///
/// Those that wait for a device, oldest first: at most `[limits] held_commands`.
#[utoipa::path(
    get, path = "/api/command/v1alpha1/apps/{app}/devices/{device}/held", tag = "commands",
    operation_id = "listHeldCommands",
    params(
        ("app" = String, Path, description = "The application"),
        ("device" = String, Path, description = "The device"),
    ),
    responses(
        (status = 200, description = "All that wait", body = Vec<Held>),
        (status = 404, description = "`unknown_application`, `unknown_device`", body = ErrorBody),
    ),
    security(("token" = ["command"])),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Segments((application, device)): Segments<(String, String)>,
) -> Result<Json<Vec<Held>>, ApiError> {
    let held = api.shared.hub.held(&application, &device).await?;
    Ok(Json(held.into_iter().map(Held::from).collect()))
}

/// Revoke a held command
///
/// It is not delivered any more, unless it is on its way to the device at this moment.
#[utoipa::path(
    delete, path = "/api/command/v1alpha1/apps/{app}/devices/{device}/held/{id}", tag = "commands",
    operation_id = "revokeHeldCommand",
    params(
        ("app" = String, Path, description = "The application"),
        ("device" = String, Path, description = "The device"),
        ("id" = String, Path, description = "The command's number"),
    ),
    responses(
        (status = 204, description = "It is revoked"),
        (status = 404, description =
            "`unknown_application`, `unknown_device`, `unknown_command`", body = ErrorBody),
    ),
    security(("token" = ["command"])),
)]
pub(super) async fn revoke(
    State(api): State<Arc<Api>>,
    Segments((application, device, id)): Segments<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let unknown = || {
        ApiError::not_found(
            "unknown_command",
            format_args!("no command `{id}` is held for this device"),
        )
    };
    // A text that is no number is the number of no command.
    let number = id.parse().unwrap_or_default();
    match api.shared.hub.revoke(&application, &device, number).await? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(unknown()),
    }
}
