//! Changes of the registry act on live connections at once.

use std::sync::Arc;
use std::time::SystemTime;

use landfall_protocol::ReasonCode;
use landfall_registry::Change;
use tokio::sync::broadcast::error::RecvError;

use super::Shared;
use crate::connection::Link;

/// Follows the registry's changes until the server stops.
pub(super) async fn watch(shared: Arc<Shared>) {
    let mut changes = shared.registry.changes();
    loop {
        let affected = match changes.recv().await {
            Ok(Change::Device {
                application,
                device,
            }) => shared.sessions.of_device(&application, &device),
            Ok(Change::Application(application)) => shared.sessions.of_application(&application),
            // Some changes were missed: look at everybody.
            Ok(Change::Everything) | Err(RecvError::Lagged(_)) => shared.sessions.all(),
            Err(RecvError::Closed) => return,
        };
        for link in affected {
            check(&link, &shared).await;
        }
    }
}

/// Closes a connection whose device or credential is gone; else gives it the new documents.
async fn check(link: &Link, shared: &Shared) {
    let who = &link.identity;
    let found = match shared.registry.device(&who.application, &who.device).await {
        Ok(found) => found,
        Err(error) => {
            tracing::warn!(%error, "a change in the registry could not be followed");
            return;
        }
    };
    let now = SystemTime::now();
    let stands = found.as_ref().is_some_and(|found| match &who.credential {
        Some(credential) => found.stands(credential, now),
        None => found.enabled(),
    });
    match found {
        Some(found) if stands => link.update(found),
        _ => link.close(ReasonCode::ADMINISTRATIVE_ACTION),
    }
}
