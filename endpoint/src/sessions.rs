//! Who is connected: the table behind take-over, connection events, commands and stop.
//!
//! Beside the connections it knows, for other instances, who is about to enter, and whose last events
//! are not accepted yet.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use dashmap::DashMap;

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
    /// Client ids of devices that are about to enter.
    arriving: DashMap<DeviceKey, Vec<Box<str>>>,
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
    pub fn arrive(self: &Arc<Self>, application: &str, device: &str, client_id: &str) -> Arriving {
        let key: DeviceKey = (application.into(), device.into());
        let mut arriving = self.arriving.entry(key.clone()).or_default();
        arriving.push(client_id.into());
        Arriving {
            sessions: Arc::clone(self),
            key,
            client_id: client_id.into(),
        }
    }

    /// Whether another client of the device than this one is connected, or about to be.
    pub fn has_other(&self, application: &str, device: &str, client_id: &str) -> bool {
        let key: DeviceKey = (application.into(), device.into());
        let arriving = self.arriving.get(&key);
        arriving.is_some_and(|ids| ids.iter().any(|id| **id != *client_id))
            || self
                .of_device(application, device)
                .iter()
                .any(|link| *link.identity.client_id != *client_id && !link.is_over())
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

/// A client that is about to enter the table.
pub struct Arriving {
    sessions: Arc<Sessions>,
    key: DeviceKey,
    client_id: Box<str>,
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let arriving = &self.sessions.arriving;
        if let dashmap::Entry::Occupied(mut entry) = arriving.entry(self.key.clone()) {
            let ids = entry.get_mut();
            if let Some(at) = ids.iter().position(|id| *id == self.client_id) {
                ids.swap_remove(at);
            }
            if ids.is_empty() {
                entry.remove();
            }
        }
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
mod tests {
    use landfall_events::event::Timestamp;
    use landfall_protocol::Version;

    use super::*;
    use crate::connection::Identity;
    use crate::listener::{Carrier, Peer};

    fn link(device: &str, client_id: &str) -> Arc<Link> {
        link_of(device, client_id, 1)
    }

    fn link_of(device: &str, client_id: &str, epoch: Epoch) -> Arc<Link> {
        let identity = Identity {
            application: "app".into(),
            device: device.into(),
            client_id: client_id.into(),
            peer: Peer::Local,
            transport: Carrier::Tcp,
            version: Version::V5,
            since: Timestamp(0),
            epoch,
            credential: None,
        };
        Arc::new(Link::new(identity, 1))
    }

    fn ids(links: &[Arc<Link>]) -> Vec<&str> {
        links.iter().map(|link| &*link.identity.client_id).collect()
    }

    #[test]
    fn the_same_client_id_gives_way() {
        let sessions = Sessions::default();
        let old = link("d", "c");
        assert!(sessions.add(&old, 4, || ()).is_empty());
        assert!(sessions.add(&link("d", "other"), 4, || ()).is_empty());
        assert!(
            sessions.add(&link("e", "c"), 4, || ()).is_empty(),
            "client ids are per device"
        );
        let new = link_of("d", "c", 2);
        let leaving = sessions.add(&new, 4, || ());
        assert!(Arc::ptr_eq(&leaving[0], &old));
        assert_eq!(leaving.len(), 1);
    }

    #[test]
    fn of_the_same_client_id_the_higher_epoch_stays_whichever_comes_last() {
        let sessions = Sessions::default();
        let (high, low) = (link_of("d", "c", 2), link_of("d", "c", 1));
        assert!(sessions.add(&high, 4, || ()).is_empty());
        let leaving = sessions.add(&low, 4, || ());
        assert!(Arc::ptr_eq(&leaving[0], &low));
        assert_eq!(leaving.len(), 1);
    }

    #[test]
    fn who_arrives_counts_as_connected_for_other_clients_of_its_device() {
        let sessions = Arc::new(Sessions::default());
        assert!(!sessions.has_other("app", "d", "a"));
        let arriving = sessions.arrive("app", "d", "a");
        let again = sessions.arrive("app", "d", "a");
        assert!(!sessions.has_other("app", "d", "a"));
        assert!(sessions.has_other("app", "d", "b"));
        drop(arriving);
        assert!(sessions.has_other("app", "d", "b"));
        drop(again);
        assert!(!sessions.has_other("app", "d", "b"));
        let here = link("d", "a");
        sessions.add(&here, 4, || ());
        assert!(sessions.has_other("app", "d", "b"));
        here.finish();
        assert!(!sessions.has_other("app", "d", "b"), "it is over");
    }

    #[test]
    fn who_has_left_is_known_until_its_last_events_are_accepted() {
        let sessions = Sessions::default();
        let (one, two) = (link_of("d", "a", 1), link_of("d", "b", 2));
        sessions.part(&one);
        sessions.part(&two);
        assert_eq!(ids(&sessions.parting_of("app", "d")), ["a", "b"]);
        sessions.parted(&one.identity.application, "d", 1);
        assert_eq!(ids(&sessions.parting_of("app", "d")), ["b"]);
        sessions.parted(&two.identity.application, "d", 2);
        assert!(sessions.parting_of("app", "d").is_empty());
        assert!(sessions.parting.is_empty());
    }

    #[test]
    fn the_oldest_beyond_the_limit_gives_way() {
        let sessions = Sessions::default();
        for id in ["1", "2", "3"] {
            assert!(sessions.add(&link("d", id), 3, || ()).is_empty());
        }
        assert_eq!(ids(&sessions.add(&link("d", "4"), 3, || ())), ["1"]);
    }

    #[test]
    fn first_and_last_connection_of_a_device_are_noticed() {
        let sessions = Sessions::default();
        let (one, two) = (link("d", "1"), link("d", "2"));
        let mut firsts = 0;
        sessions.add(&one, 4, || firsts += 1);
        sessions.add(&two, 4, || firsts += 1);
        assert_eq!(firsts, 1);
        assert_eq!(sessions.len(), 2);
        assert_eq!((sessions.len_of("app"), sessions.len_of("other")), (2, 0));
        let mut lasts = 0;
        sessions.remove(&one, || lasts += 1);
        assert_eq!(lasts, 0);
        sessions.remove(&two, || lasts += 1);
        sessions.remove(&two, || lasts += 1);
        assert_eq!(lasts, 1);
        assert!(sessions.is_empty());
        assert_eq!(sessions.len_of("app"), 0);
        assert!(sessions.of_device("app", "d").is_empty());
    }
}
