//! Who is connected.

use std::sync::Arc;

use axum::{Json, extract::State, response::Response};
use landfall_events::event::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::connection::Link;

use super::{
    Api,
    error::{ApiError, ErrorBody},
    input::{self, Paging, Parameters, Segments},
    registry::must_exist,
};

/// One connection.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "device": "sensor01", "clientId": "mosq-1", "since": "2026-11-21T11:41:33.018382Z",
    "peer": "127.0.0.1:46302", "transport": "tcp", "version": "3.1.1", "instance": "landfall",
}))]
#[serde(rename_all = "camelCase")]
struct Connection<'a> {
    /// The device that is connected.
    device: &'a str,
    /// Its MQTT client id; made up if it gave none.
    client_id: &'a str,
    /// When it was let in: RFC 3339, UTC.
    #[schema(format = DateTime)]
    since: String,
    /// Address and port that the device connects from.
    peer: String,
    /// How it connects, for example `tcp`.
    transport: &'static str,
    /// MQTT version: `3.1`, `3.1.1` or `5`.
    version: &'static str,
    /// The instance that it is connected to.
    instance: &'a str,
}

/// List connected devices
///
/// Ordered by device, each device's oldest connection first. A page never parts the connections of
/// one device, so it may be a little longer than its limit.
#[utoipa::path(
    get, path = "/api/connections/v1alpha1/apps/{app}", tag = "connections",
    operation_id = "listConnections",
    params(("app" = String, Path, description = "The application"), Paging),
    responses(
        (status = 200, description = "A page of connections", body = Vec<Connection>,
            headers(("Landfall-Continue" = String,
                description = "If there are more: what to give as `continue`, percent-encoded"))),
        (status = 404, description = "`unknown_application`", body = ErrorBody),
    ),
    security(("token" = ["registry", "command"])),
)]
pub(super) async fn list(
    State(api): State<Arc<Api>>,
    Segments(application): Segments<String>,
    Parameters(paging): Parameters<Paging>,
) -> Result<Response, ApiError> {
    let limit = paging.limit()?;
    must_exist(&api, &application).await?;
    let mut links = api.shared.sessions.of_application(&application);
    links.retain(|link| paging.is_after(&link.identity.device));
    links.sort_by(|a, b| order(a).cmp(&order(b)));
    let more = cut_between_devices(&mut links, limit);
    let connections: Vec<_> = links
        .iter()
        .map(|link| describe(link, &api.shared.instance))
        .collect();
    let next = links
        .last()
        .filter(|_| more)
        .map(|link| &*link.identity.device);
    Ok(input::page(next, Json(connections)))
}

fn order(link: &Link) -> (&str, std::time::SystemTime) {
    (&link.identity.device, link.identity.since)
}

/// Shortens the list to `limit` and what belongs to the last device; tells whether any are left.
fn cut_between_devices(links: &mut Vec<Arc<Link>>, limit: usize) -> bool {
    let Some(last) = limit.checked_sub(1).and_then(|last| links.get(last)) else {
        return false;
    };
    let device = Arc::clone(&last.identity.device);
    let end = links.partition_point(|link| *link.identity.device <= *device);
    let more = end < links.len();
    links.truncate(end);
    more
}

fn describe<'a>(link: &'a Link, instance: &'a str) -> Connection<'a> {
    let who = &link.identity;
    Connection {
        device: &who.device,
        client_id: &who.client_id,
        since: String::from_utf8_lossy(&Timestamp::from(who.since).rfc3339()).into_owned(),
        peer: who.peer.to_string(),
        transport: who.transport,
        version: who.version.as_str(),
        instance,
    }
}
