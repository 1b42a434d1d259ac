//! Changes of the registry act on live connections at once.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use landfall_protocol::ReasonCode;
use landfall_registry::{Change, Unavailable};
use tokio::sync::broadcast::error::RecvError;
use tokio::time::sleep;

use super::Shared;
use crate::connection::Link;

/// How soon a change that could not be followed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Follows the registry's changes until the server stops.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut changes = shared.registry.changes();
    // Connections whose documents changed and could not be read.
    let mut unsettled: Vec<Arc<Link>> = Vec::new();
    loop {
        let change = tokio::select! {
            change = changes.recv() => Some(change),
            () = sleep(RETRY), if !unsettled.is_empty() => None,
        };
        if change.is_some() {
            // Before the table is looked through: who enters it later sees that.
            shared.changes_seen.fetch_add(1, Ordering::SeqCst);
        }
        let affected = match change {
            None => std::mem::take(&mut unsettled),
            Some(Ok(Change::Device {
                application,
                device,
            })) => shared.sessions.of_device(&application, &device),
            Some(Ok(Change::Application(application))) => {
                shared.sessions.of_application(&application)
            }
            // Some changes were missed: look at everybody.
            Some(Ok(Change::Everything) | Err(RecvError::Lagged(_))) => shared.sessions.all(),
            Some(Err(RecvError::Closed)) => return,
        };
        check_all(affected, &mut unsettled, &shared).await;
    }
}

/// Checks connections until the registry fails; those that are left are tried again.
async fn check_all(affected: Vec<Arc<Link>>, unsettled: &mut Vec<Arc<Link>>, shared: &Shared) {
    let mut affected = affected.into_iter();
    while let Some(link) = affected.next() {
        if let Err(error) = check(&link, shared).await {
            tracing::warn!(%error, "a change in the registry could not be followed yet");
            unsettled.push(link);
            unsettled.extend(affected);
            // No connection twice, however often its documents change meanwhile.
            unsettled.sort_by_key(Arc::as_ptr);
            unsettled.dedup_by(|a, b| Arc::ptr_eq(a, b));
            return;
        }
    }
}

/// Checks one connection, however often the registry has to be asked.
pub(super) async fn check_one(link: Arc<Link>, shared: &Shared) {
    while let Err(error) = check(&link, shared).await {
        tracing::warn!(%error, "a change in the registry could not be followed yet");
        sleep(RETRY).await;
        if link.is_over() {
            return;
        }
    }
}

/// Closes a connection whose device or credential is gone; else gives it the new documents.
async fn check(link: &Link, shared: &Shared) -> Result<(), Unavailable> {
    let who = &link.identity;
    let found = shared
        .registry
        .device(&who.application, &who.device)
        .await?;
    let now = SystemTime::now();
    let stands = found.as_ref().is_some_and(|found| match &who.credential {
        Some(credential) => found.stands(credential, now),
        None => found.enabled(),
    });
    match found {
        Some(found) if stands => link.update(found),
        _ => link.close(ReasonCode::ADMINISTRATIVE_ACTION),
    }
    Ok(())
}
