//! Held commands: seen and revoked.

use std::sync::Arc;

use axum::{
    Json,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cluster::Missing;
use crate::command::held::{HeldCommand, Revocation};
use crate::command::{CommandError, rfc3339};
use crate::server::Shared;

use super::{Api, ApiError, ErrorBody, incomplete, input::Segments};

/// A command that waits for its device.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Held, example = json!({
    "id": "17", "command": "set-temp", "contentType": "application/json", "size": 13,
    "created": "2026-11-21T11:41:33.018382Z", "expires": "2026-11-22T11:41:33.018382Z",
    "instance": "landfall",
}))]
#[serde(rename_all = "camelCase")]
pub struct HeldEntry {
    /// Its number, by which it is revoked; of several instances, no two give the same.
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
    /// The instance that holds it.
    instance: String,
}

impl HeldEntry {
    /// As an instance of this name holds it.
    pub(crate) fn of(command: HeldCommand, instance: &str) -> Self {
        let HeldCommand { id, created, held } = command;
        Self {
            id: id.to_string(),
            command: held.command,
            content_type: held.content_type,
            size: held.payload.len(),
            created: rfc3339(created),
            expires: rfc3339(held.expires),
            instance: instance.to_owned(),
        }
    }
}

/// List held commands
///
/// Those that wait for a device on all instances, oldest first: at most `[limits] held_commands` of each.
#[utoipa::path(
    get, path = "/api/command/v1alpha1/apps/{app}/devices/{device}/held", tag = "commands",
    operation_id = "listHeldCommands",
    params(
        ("app" = String, Path, description = "The application"),
        ("device" = String, Path, description = "The device"),
    ),
    responses(
        (status = 200, description = "All that wait", body = Vec<HeldEntry>,
            headers(("Landfall-Incomplete" = String,
                description = "If instances are missing that may hold more: their names, \
                    percent-encoded, with commas between them; `*`: all others"))),
        (status = 404, description = "`unknown_application`, `unknown_device`", body = ErrorBody),
    ),
    security(("token" = ["command"])),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Segments((application, device)): Segments<(String, String)>,
) -> Result<Response, ApiError> {
    let shared = &api.shared;
    let mut lists = vec![held_here(shared, &application, &device).await?];
    let mut missing = Missing::NOBODY;
    if let Some(cluster) = &shared.cluster {
        let (others, unheard) = cluster.held(&application, &device).await;
        lists.extend(others);
        missing = unheard;
    }
    let list = Json(in_order(lists)).into_response();
    Ok(incomplete::tell(&missing, list))
}

async fn held_here(
    shared: &Shared,
    application: &str,
    device: &str,
) -> Result<Vec<HeldEntry>, CommandError> {
    let held = shared.hub.held(application, device).await?.into_iter();
    Ok(held
        .map(|held| HeldEntry::of(held, &shared.instance))
        .collect())
}

/// All lists as one, by the time of the hand-in; no list's own order, in which it is delivered, is
/// changed, whatever a clock says.
fn in_order(lists: Vec<Vec<HeldEntry>>) -> Vec<HeldEntry> {
    let mut all: Vec<(String, HeldEntry)> = Vec::new();
    for list in lists {
        let mut latest = String::new();
        for entry in list {
            // Texts of one length, which sort as the times do.
            latest = latest.max(entry.created.clone());
            all.push((latest.clone(), entry));
        }
    }
    all.sort_by(|(a, one), (b, other)| (a, &one.instance).cmp(&(b, &other.instance)));
    all.into_iter().map(|(_, entry)| entry).collect()
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
        (status = 503, description =
            "`holder_unavailable`: the instance that took it does not answer; `missing` names those \
             that do not. It may be held, and may be revoked when that instance goes on",
            body = ErrorBody),
    ),
    security(("token" = ["command"])),
)]
pub(super) async fn revoke(
    State(api): State<Arc<Api>>,
    Segments((application, device, id)): Segments<(String, String, String)>,
) -> Result<StatusCode, ApiError> {
    let shared = &api.shared;
    // A text that is no number is the number of no command.
    let number = id.parse().unwrap_or_default();
    let mut revoked = shared.hub.revoke(&application, &device, number).await?;
    if let (Revocation::Elsewhere, Some(cluster)) = (revoked, &shared.cluster) {
        let asked = cluster.revoke_held(&application, &device, number).await;
        revoked = asked.map_err(|missing| holder_unavailable(&id, missing))?;
    }
    match revoked {
        Revocation::Revoked => Ok(StatusCode::NO_CONTENT),
        Revocation::Unknown | Revocation::Elsewhere => Err(ApiError::not_found(
            "unknown_command",
            format_args!("no command `{id}` is held for this device"),
        )),
    }
}

fn holder_unavailable(id: &str, missing: Missing) -> ApiError {
    let missing = match missing {
        Missing::Named(names) => names,
        Missing::AllOthers => vec!["*".to_owned()],
    };
    ApiError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "holder_unavailable",
        format_args!("the instance that took command `{id}` does not answer; it may be held there"),
    )
    .with("missing", missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(instance: &str, second: u32, command: &str) -> HeldEntry {
        HeldEntry {
            id: String::new(),
            command: command.to_owned(),
            content_type: None,
            size: 0,
            created: format!("2026-11-21T11:41:{second:02}.018382Z"),
            expires: String::new(),
            instance: instance.to_owned(),
        }
    }

    #[test]
    fn lists_are_merged_by_time_and_none_out_of_its_own_order() {
        let one = vec![
            entry("one", 3, "a"),
            // Its clock was set back.
            entry("one", 1, "b"),
            entry("one", 7, "c"),
        ];
        let two = vec![
            entry("two", 2, "d"),
            entry("two", 3, "e"),
            entry("two", 4, "f"),
        ];
        let names = |lists| {
            let all = in_order(lists).into_iter();
            all.map(|entry| entry.command).collect::<Vec<_>>().concat()
        };
        assert_eq!(names(vec![one, two]), "dabefc");
        assert_eq!(names(vec![Vec::new(), Vec::new()]), "");
    }
}
