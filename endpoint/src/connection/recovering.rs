//! Sessions of a process that died: their wills and `false` events come once, before new connections
//! of their devices.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::stream::{self, StreamExt as _};
use landfall_events::event::Timestamp;
use landfall_protocol::Version;
use landfall_registry::Found;
use tokio::time::{sleep, timeout};

use super::departing::Departing;
use super::owned::OwnedPublish;
use super::uplink::Uplink;
use super::{Identity, Link};
use crate::listener::{Carrier, Peer};
use crate::records::{Dead, SessionRecord};
use crate::server::Shared;

/// Devices of one application whose sessions are concluded at once.
const AT_ONCE: usize = 64;
/// Between two attempts to ask the registry.
const RETRY: Duration = Duration::from_secs(1);
/// What was said may take this long to be accepted before the device may come back.
const ACCEPTED: Duration = Duration::from_secs(1);
/// What is due waits for room in the sinks, however long.
const PATIENCE: Duration = Duration::from_secs(u32::MAX as u64);

/// Says what is due of all sessions of the process before.
pub async fn settle_all(shared: Arc<Shared>) {
    let dead = shared.dead.all();
    if dead.is_empty() {
        return;
    }
    let devices = dead.len();
    tracing::warn!(devices, "the last process died under connected devices");
    let dead = dead.into_iter().filter_map(|dead| {
        let application = dead.sessions.first()?.application.clone();
        Some((application, dead))
    });
    by_application(dead.collect(), |dead| {
        let shared = Arc::clone(&shared);
        async move { settle(&shared, dead).await }
    })
    .await;
    tracing::info!(devices, "what was due of devices' former sessions is said");
}

/// Has the devices settled, [`AT_ONCE`] of each application: one whose wills wait for an endpoint of its
/// own rules holds up no other.
async fn by_application<A: Eq + Hash, D, F: Future<Output = ()>>(
    devices: Vec<(A, D)>,
    settle: impl Fn(D) -> F + Clone,
) {
    let mut applications = HashMap::<A, Vec<D>>::new();
    for (application, device) in devices {
        applications.entry(application).or_default().push(device);
    }
    let settled = applications
        .into_values()
        .map(|devices| stream::iter(devices).for_each_concurrent(AT_ONCE, settle.clone()));
    join_all(settled).await;
}

/// Says what is due of a device's sessions of the process before, if anything is.
pub async fn settle_device(shared: &Arc<Shared>, application: &str, device: &str) {
    if let Some(dead) = shared.dead.of_device(application, device) {
        settle(shared, dead).await;
    }
}

async fn settle(shared: &Arc<Shared>, dead: Arc<Dead>) {
    let say = || conclude(Arc::clone(shared), Arc::clone(&dead));
    shared.dead.settle(&dead, say).await;
}

async fn conclude(shared: Arc<Shared>, dead: Arc<Dead>) {
    let Some(first) = dead.sessions.first() else {
        return;
    };
    if let Some(cluster) = &shared.cluster {
        cluster.settled().await;
    }
    let found = look_up(&shared, first).await;
    let stands = |session: &&SessionRecord| {
        let uid = found.as_ref().map(|found| found.device.uid());
        uid == Some(&*session.device_uid)
    };
    let last = dead.sessions.iter().rfind(stands);
    for session in &dead.sessions {
        match &found {
            Some(found) if stands(&session) => {
                let is_last = last.is_some_and(|last| last.epoch == session.epoch);
                conclude_one(&shared, found.clone(), session, is_last).await;
            }
            _ => {
                // Nobody is left of whom anything could be said.
                let SessionRecord {
                    application,
                    device,
                    client_id,
                    ..
                } = session;
                tracing::warn!(
                    application,
                    device,
                    client_id,
                    "deleted since it was connected"
                );
                shared.records.forget(session.epoch);
                if let Some(cluster) = &shared.cluster {
                    cluster.left(application, device, session.epoch);
                }
            }
        }
    }
}

async fn look_up(shared: &Shared, session: &SessionRecord) -> Option<Found> {
    loop {
        let found = shared
            .registry
            .device(&session.application, &session.device);
        match found.await {
            Ok(found) => return found,
            Err(error) => tracing::warn!(%error, "what is due of former sessions waits"),
        }
        sleep(RETRY).await;
    }
}

async fn conclude_one(shared: &Arc<Shared>, found: Found, session: &SessionRecord, is_last: bool) {
    let route = shared.sinks.route(&found.application);
    let identity = Identity {
        application: shared.sessions.application_name(&session.application),
        device: Arc::from(&*session.device),
        client_id: session.client_id.clone(),
        peer: Peer::Local,
        transport: Carrier::Record,
        version: Version::V5,
        since: Timestamp::now(),
        epoch: session.epoch,
        credential: None,
    };
    let link = Arc::new(Link::new(identity, route.len()));
    link.finish();
    let mut uplink = Uplink::new(shared, found, route, &link);
    let will = session.will.as_deref().map(OwnedPublish::of_record);
    let departing = Departing {
        shared,
        link: &link,
        uplink: &mut uplink,
        last: 0,
        patience: PATIENCE,
    };
    departing.conclude(will.as_ref(), is_last).await;
    // Its record is removed then, before a new one of the device is written. A sink that is away
    // keeps nobody out for long: the order stands.
    let _ = timeout(ACCEPTED, link.parted()).await;
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::pending;

    use super::*;

    /// How many of each application's devices are settled while so many of the first one's wait.
    fn settled(waiting: usize) -> (usize, usize) {
        let devices = (0..AT_ONCE * 4).map(|n| (n % 2, (n % 2, n / 2)));
        let counts = [Cell::new(0), Cell::new(0)];
        let all = by_application(devices.collect(), |(application, number)| {
            let count = &counts[application];
            async move {
                if application == 0 && number < waiting {
                    pending::<()>().await;
                }
                count.set(count.get() + 1);
            }
        });
        tokio::pin!(all);
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        for _ in 0..AT_ONCE {
            let _ = all.as_mut().poll(&mut cx);
        }
        (counts[0].get(), counts[1].get())
    }

    #[test]
    fn an_application_whose_devices_wait_holds_up_no_other() {
        assert_eq!(settled(AT_ONCE), (0, AT_ONCE * 2));
    }

    #[test]
    fn a_device_that_waits_holds_up_no_other_of_its_application() {
        assert_eq!(settled(AT_ONCE - 1), (AT_ONCE + 1, AT_ONCE * 2));
    }
}
