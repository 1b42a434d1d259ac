//! Who is connected.

use std::sync::Arc;

use axum::{Json, extract::State, response::Response};
use landfall_events::event::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::cluster::Missing;
use crate::connection::Link;
use crate::server::Shared;

use super::{
    Api,
    error::{ApiError, ErrorBody},
    incomplete,
    input::{self, Paging, Parameters, Segments},
    registry::must_exist,
};

/// One connection.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Connection, example = json!({
    "device": "sensor01", "clientId": "mosq-1", "since": "2026-11-21T11:41:33.018382Z",
    "peer": "127.0.0.1:46302", "transport": "tcp", "version": "3.1.1", "instance": "landfall",
}))]
#[serde(rename_all = "camelCase")]
pub struct ConnectionEntry {
    /// The device that is connected.
    device: String,
    /// Its MQTT client id; made up if it gave none.
    client_id: String,
    /// When it was let in: RFC 3339, UTC.
    #[schema(format = DateTime)]
    since: String,
    /// Address and port that the device connects from.
    peer: String,
    /// How it connects, for example `tcp`.
    transport: String,
    /// MQTT version: `3.1`, `3.1.1` or `5`.
    version: String,
    /// The instance that it is connected to.
    instance: String,
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
        (status = 200, description = "A page of connections", body = Vec<ConnectionEntry>,
            headers(
                ("Landfall-Continue" = String,
                    description = "If there are more: what to give as `continue`, percent-encoded"),
                ("Landfall-Incomplete" = String,
                    description = "If instances did not answer: their names, percent-encoded, with \
                        commas between them; `*`: all others"),
            )),
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
    let shared = &api.shared;
    let (mut connections, mut more) = connection_page(shared, &application, paging.after(), limit);
    let mut missing = Missing::NOBODY;
    if let Some(cluster) = &shared.cluster {
        let (pages, unheard) = cluster
            .connections(&application, paging.after(), limit)
            .await;
        missing = unheard;
        for page in pages {
            connections.extend(page.connections);
            more |= page.more;
        }
        connections.sort_by(|a, b| (&a.device, &a.since).cmp(&(&b.device, &b.since)));
        more |= cut_between_devices(&mut connections, limit);
    }
    let last = connections.last();
    let next = last.filter(|_| more).map(|last| last.device.clone());
    let page = input::page(next.as_deref(), Json(connections));
    Ok(incomplete::tell(&missing, page))
}

/// About `limit` connections of an application on this instance, of devices after a name, ordered
/// by device, and whether there are more. Those of one device are never parted.
pub(crate) fn connection_page(
    shared: &Shared,
    application: &str,
    after: Option<&str>,
    limit: usize,
) -> (Vec<ConnectionEntry>, bool) {
    let mut links = shared.sessions.of_application(application);
    links.retain(|link| after.is_none_or(|after| *link.identity.device > *after));
    links.sort_by(|a, b| order(a).cmp(&order(b)));
    // Only what is shown is described.
    let end = end_of_page(&links, limit, |link| &link.identity.device);
    let more = end < links.len();
    links.truncate(end);
    let describe = |link: &Arc<Link>| describe(link, &shared.instance);
    (links.iter().map(describe).collect(), more)
}

fn order(link: &Link) -> (&str, Timestamp) {
    (&link.identity.device, link.identity.since)
}

/// Shortens the list to `limit` and what belongs to the last device; tells whether any are left.
fn cut_between_devices(connections: &mut Vec<ConnectionEntry>, limit: usize) -> bool {
    let end = end_of_page(connections, limit, |connection| &connection.device);
    let more = end < connections.len();
    connections.truncate(end);
    more
}

/// Where a page of at least `limit` entries ends, after the last of a device's.
fn end_of_page<T>(entries: &[T], limit: usize, device: impl Fn(&T) -> &str) -> usize {
    let Some(last) = limit.checked_sub(1).and_then(|last| entries.get(last)) else {
        return entries.len();
    };
    let last = device(last);
    entries.partition_point(|entry| device(entry) <= last)
}

fn describe(link: &Link, instance: &str) -> ConnectionEntry {
    let who = &link.identity;
    ConnectionEntry {
        device: who.device.to_string(),
        client_id: who.client_id.to_string(),
        since: String::from_utf8_lossy(&who.since.rfc3339()).into_owned(),
        peer: who.peer.to_string(),
        transport: who.transport.as_str().to_owned(),
        version: who.version.as_str().to_owned(),
        instance: instance.to_owned(),
    }
}
