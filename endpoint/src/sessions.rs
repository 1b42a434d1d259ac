//! Who is connected: the table behind take-over, connection events, commands and stop.
//!
//! Beside the connections it knows, for other instances, who is about to enter, and whose last events
//! are not accepted yet.

mod arriving;

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use dashmap::DashMap;

pub use arriving::Arriving;
use arriving::Newcomers;

use crate::connection::Link;
use crate::records::Epoch;

/// The connections of one application, by device; of one device, oldest first.
#[derive(Default)]
struct Devices {
    links: DashMap<Arc<str>, Vec<Arc<Link>>>,
    count: AtomicUsize,
}

/// All connections that were let in and are not over.
#[derive(Default)]
pub struct Sessions {
    applications: RwLock<HashMap<Arc<str>, Arc<Devices>>>,
    count: AtomicUsize,
    /// Clients of devices that are about to enter.
    arriving: Arc<Newcomers>,
    /// Connections that have left, until their last events are accepted.
    parting: DashMap<DeviceKey, Vec<Arc<Link>>>,
}

/// Application and device.
type DeviceKey = (Arc<str>, Box<str>);

impl Sessions {
    /// Number of connections.
    pub fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Whether nobody is connected.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of connections of an application.
    pub fn len_of(&self, application: &str) -> usize {
        self.devices(application)
            .map_or(0, |devices| devices.count.load(Ordering::Relaxed))
    }

    fn devices(&self, application: &str) -> Option<Arc<Devices>> {
        let applications = self
            .applications
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        applications.get(application).cloned()
    }

    /// The application's name, shared by all its connections.
    pub fn application_name(&self, application: &str) -> Arc<str> {
        let applications = self
            .applications
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let known = applications
            .get_key_value(application)
            .map(|(name, _)| Arc::clone(name));
        known.unwrap_or_else(|| application.into())
    }

    fn devices_or_new(&self, application: &Arc<str>) -> Arc<Devices> {
        if let Some(devices) = self.devices(application) {
            return devices;
        }
        let mut applications = self
            .applications
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        Arc::clone(applications.entry(Arc::clone(application)).or_default())
    }

    /// Adds a connection, and returns those that must give way: those with the same client id
    /// `[MQTT-3.1.4-2]` but the one of the highest epoch, and the oldest beyond `per_device`.
    ///
    /// `on_first` runs if the device had none, before any other connection of the device can come
    /// or go: so what it hands to a sink is in order with what `on_last` hands over.
    pub fn add(
        &self,
        link: &Arc<Link>,
        per_device: usize,
        on_first: impl FnOnce(),
    ) -> Vec<Arc<Link>> {
        let identity = &link.identity;
        let devices = self.devices_or_new(&identity.application);
        let device = Arc::clone(&identity.device);
        let mut links = devices.links.entry(device).or_default();
        if links.is_empty() {
            *links = Vec::with_capacity(1);
            on_first();
        }
        let same = |other: &&Arc<Link>| other.identity.client_id == identity.client_id;
        let highest = links.iter().filter(same).map(|other| other.identity.epoch);
        let highest = highest.max().unwrap_or(0).max(identity.epoch);
        let mut leaving: Vec<_> = links
            .iter()
            .chain([link])
            .filter(same)
            .filter(|other| other.identity.epoch < highest)
            .cloned()
            .collect();
        let stays = |other: &&Arc<Link>| other.identity.client_id != identity.client_id;
        let excess = (links.iter().filter(stays).count() + 1).saturating_sub(per_device.max(1));
        leaving.extend(links.iter().filter(stays).take(excess).cloned());
        links.push(Arc::clone(link));
        self.count.fetch_add(1, Ordering::Relaxed);
        devices.count.fetch_add(1, Ordering::Relaxed);
        leaving
    }

    /// Removes a connection. `on_last` runs if it was the device's last.
    pub fn remove(&self, link: &Arc<Link>, on_last: impl FnOnce()) {
        let identity = &link.identity;
        let Some(devices) = self.devices(&identity.application) else {
            return;
        };
        let device = Arc::clone(&identity.device);
        let dashmap::Entry::Occupied(mut entry) = devices.links.entry(device) else {
            return;
        };
        let links = entry.get_mut();
        let before = links.len();
        links.retain(|other| !Arc::ptr_eq(other, link));
        let gone = before - links.len();
        self.count.fetch_sub(gone, Ordering::Relaxed);
        devices.count.fetch_sub(gone, Ordering::Relaxed);
        if links.is_empty() && before > 0 {
            on_last();
            entry.remove();
        }
    }

    /// A client of a device is about to enter, as long as what is returned lives.
    pub fn arrive(&self, application: &str, device: &str, client_id: &str) -> Arriving {
        self.arriving
            .arrive((application.into(), device.into()), client_id)
    }

    /// Whether another client of the device than this one, whose session has ended, is connected, or about
    /// to be and recorded: one that is not finds the device gone when it is.
    pub fn has_other(&self, application: &str, device: &str, client_id: &str) -> bool {
        let is_connected =
            |link: &Arc<Link>| *link.identity.client_id != *client_id && !link.is_over();
        let key = (application.into(), device.into());
        self.arriving.has_other(&key, client_id, 0, |_| true)
            || self.of_device(application, device).iter().any(is_connected)
    }

    /// Whether another client of the device than this one, which comes by the epoch `asked`, has come
    /// before it or is about to: of clients that come at once to several instances, each finds those whose
    /// epoch `is_before` its own, so that one finds nobody, and says that the device is connected.
    ///
    /// A connection that is over, and has not decided what to say, counts, and hears of it: then it must
    /// not say that the device is gone.
    pub fn has_earlier(
        &self,
        application: &str,
        device: &str,
        client_id: &str,
        asked: Epoch,
        is_before: impl Fn(Epoch) -> bool,
    ) -> bool {
        let key = (application.into(), device.into());
        let is_arriving = self.arriving.has_other(&key, client_id, asked, &is_before);
        let links = self.of_device(application, device);
        let connected = links.iter().filter(|link| {
            let who = &link.identity;
            *who.client_id != *client_id && is_before(who.epoch) && link.is_relied_on()
        });
        // Each of them is to hear of it.
        connected.count() > 0 || is_arriving
    }

    /// A connection is about to leave; its last events are not accepted yet.
    pub fn part(&self, link: &Arc<Link>) {
        let mut parting = self.parting.entry(key_of(link)).or_default();
        parting.push(Arc::clone(link));
    }

    /// The last events of a connection are accepted.
    pub fn parted(&self, application: &Arc<str>, device: &str, epoch: Epoch) {
        let key = (Arc::clone(application), device.into());
        if let dashmap::Entry::Occupied(mut entry) = self.parting.entry(key) {
            entry.get_mut().retain(|link| link.identity.epoch != epoch);
            if entry.get().is_empty() {
                entry.remove();
            }
        }
    }

    /// Connections of a device that have left, whose last events are not accepted yet.
    pub fn parting_of(&self, application: &str, device: &str) -> Vec<Arc<Link>> {
        let parting = self.parting.get(&(application.into(), device.into()));
        parting.map(|links| links.clone()).unwrap_or_default()
    }

    /// Whether a device is connected.
    pub fn has(&self, application: &str, device: &str) -> bool {
        let devices = self.devices(application);
        devices.is_some_and(|devices| devices.links.contains_key(device))
    }

    /// The connections of a device, oldest first.
    pub fn of_device(&self, application: &str, device: &str) -> Vec<Arc<Link>> {
        let devices = self.devices(application);
        let links = devices
            .as_ref()
            .and_then(|devices| devices.links.get(device));
        links.map(|links| links.clone()).unwrap_or_default()
    }

    /// The connections of an application.
    pub fn of_application(&self, application: &str) -> Vec<Arc<Link>> {
        self.devices(application)
            .map(|devices| all_links(&devices))
            .unwrap_or_default()
    }

    /// All connections.
    pub fn all(&self) -> Vec<Arc<Link>> {
        let applications = self
            .applications
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        let devices: Vec<_> = applications.values().cloned().collect();
        drop(applications);
        devices
            .iter()
            .flat_map(|devices| all_links(devices))
            .collect()
    }
}

fn key_of(link: &Link) -> DeviceKey {
    let identity = &link.identity;
    (
        Arc::clone(&identity.application),
        Box::from(&*identity.device),
    )
}

fn all_links(devices: &Devices) -> Vec<Arc<Link>> {
    devices
        .links
        .iter()
        .flat_map(|links| links.value().clone())
        .collect()
}

#[cfg(test)]
mod tests;
