//! Between log-in and the table: what is left of the device's former sessions is said, the session's
//! record is written, and other instances give the client up.

use std::sync::Arc;
use std::time::Duration;

use super::gate::Request;
use super::log_in::{Denied, LoggedIn, check_application_limit};
use super::recovering::settle_device;
use crate::cluster::Claim;
use crate::records::{Epoch, SessionRecord};
use crate::server::Shared;
use crate::sessions::Arriving;

/// A client may connect while another instance gives it up, and again if that one had it later. The
/// last claim is for the session that begins, whatever comes of it.
const CLAIMS: usize = 3;

/// A session that may begin.
pub(super) struct Entry {
    /// Its number, under which it is recorded.
    pub(super) epoch: Epoch,
    /// Whether another client of the device is connected to another instance.
    pub(super) elsewhere: bool,
    /// What other instances were told of it.
    pub(super) claim: Option<Claim>,
    /// Until it is in the table.
    _arriving: Option<Arriving>,
}

/// Prepares a session; its record is on disk when this returns.
pub(super) async fn enter(
    request: &Request,
    logged_in: &LoggedIn,
    shared: &Arc<Shared>,
) -> Result<Entry, Denied> {
    let found = &logged_in.found;
    let (application, device) = (found.application.name(), found.device.name());
    let patience = Duration::from_millis(request.patience);
    let former = settle_device(shared, application, device);
    if tokio::time::timeout(patience, former).await.is_err() {
        let cause = "what is due of the device's former sessions cannot be said yet";
        return Err(Denied::unavailable(&cause));
    }
    let Some(cluster) = &shared.cluster else {
        let epoch = record(request, logged_in, shared).await?;
        check_limit(epoch, application, shared)?;
        return Ok(Entry {
            epoch,
            elsewhere: false,
            claim: None,
            _arriving: None,
        });
    };
    let arriving = shared
        .sessions
        .arrive(application, device, &request.client_id);
    let mut epoch = record_arrival(&arriving, request, logged_in, shared).await?;
    check_limit(epoch, application, shared)?;
    let mut claims = 1;
    let (elsewhere, claim) = loop {
        let claimed = cluster.claim(application, device, &request.client_id, epoch);
        let (standing, claim) = claimed.await;
        let Some(later) = standing.later.filter(|_| claims < CLAIMS) else {
            break (standing.elsewhere, Some(claim));
        };
        // Its clock is ahead of ours: the client is here now, so this is the later session.
        shared.records.clock().seen(later);
        shared.records.forget(epoch);
        epoch = record_arrival(&arriving, request, logged_in, shared).await?;
        claims += 1;
    };
    Ok(Entry {
        epoch,
        elsewhere,
        claim,
        _arriving: Some(arriving),
    })
}

/// Records the session by an epoch that stands, whatever other instances were told meanwhile.
async fn record_arrival(
    arriving: &Arriving,
    request: &Request,
    logged_in: &LoggedIn,
    shared: &Shared,
) -> Result<Epoch, Denied> {
    loop {
        let epoch = record(request, logged_in, shared).await?;
        if arriving.is_recorded(epoch) {
            return Ok(epoch);
        }
        shared.records.forget(epoch);
    }
}

async fn record(request: &Request, logged_in: &LoggedIn, shared: &Shared) -> Result<Epoch, Denied> {
    let found = &logged_in.found;
    let record = SessionRecord {
        epoch: 0,
        application: found.application.name().into(),
        device: found.device.name().into(),
        device_uid: found.device.uid().into(),
        client_id: request.client_id.clone(),
        will: request.will.as_ref().map(|will| Box::new(will.to_record())),
    };
    let entered = shared.records.enter(record).await;
    entered.map_err(|error| Denied::unavailable(&error))
}

/// Others may have entered while the record was written.
fn check_limit(epoch: Epoch, application: &str, shared: &Shared) -> Result<(), Denied> {
    check_application_limit(application, shared).inspect_err(|_| shared.records.forget(epoch))
}
