//! Who is connected: the table behind take-over, connection events, commands and stop.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use dashmap::DashMap;

use crate::connection::Link;

/// The connections of one application, by device; of one device, oldest first.
#[derive(Default)]
struct Devices {
    links: DashMap<Box<str>, Vec<Arc<Link>>>,
    count: AtomicUsize,
}

/// All connections that were let in and are not over.
#[derive(Default)]
pub struct Sessions {
    applications: RwLock<HashMap<Arc<str>, Arc<Devices>>>,
    count: AtomicUsize,
}

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

    /// Adds a connection, and returns those that must give way to it: those with the same client
    /// id `[MQTT-3.1.4-2]`, and the oldest beyond `per_device`.
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
        let mut links = devices
            .links
            .entry(Box::from(&*identity.device))
            .or_default();
        if links.is_empty() {
            *links = Vec::with_capacity(1);
            on_first();
        }
        let mut leaving: Vec<_> = links
            .iter()
            .filter(|other| other.identity.client_id == identity.client_id)
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
        let dashmap::Entry::Occupied(mut entry) = devices.links.entry(Box::from(&*identity.device))
        else {
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

fn all_links(devices: &Devices) -> Vec<Arc<Link>> {
    devices
        .links
        .iter()
        .flat_map(|links| links.value().clone())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use landfall_protocol::Version;

    use super::*;
    use crate::connection::Identity;
    use crate::listener::Peer;

    fn link(device: &str, client_id: &str) -> Arc<Link> {
        let identity = Identity {
            application: "app".into(),
            device: device.into(),
            client_id: client_id.into(),
            peer: Peer::Local,
            transport: "tcp",
            version: Version::V5,
            since: SystemTime::UNIX_EPOCH,
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
        let leaving = sessions.add(&link("d", "c"), 4, || ());
        assert!(Arc::ptr_eq(&leaving[0], &old));
        assert_eq!(leaving.len(), 1);
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
