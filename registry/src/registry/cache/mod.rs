//! Applications and devices in memory: bounded, with negative answers, loaded once for all who
//! wait (single flight), and no lock held across a look-up.

mod indirect;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Weighter};

use crate::document::Invalid;
use crate::error::Unavailable;
use crate::model::{Application, Device};
use crate::name::MAX_NAME;
use crate::store::{ResourceId, Row, Store};
use indirect::Indirect;
pub(super) use indirect::MAX_NAMESAKES;

/// A resource, or that there is none, and how many entries of the bound it takes.
#[derive(Debug)]
struct Entry<T> {
    resource: Option<Arc<T>>,
    weight: u64,
}

// Derived, it would ask for `T: Clone`.
impl<T> Clone for Entry<T> {
    fn clone(&self) -> Entry<T> {
        Entry {
            resource: self.resource.clone(),
            weight: self.weight,
        }
    }
}

#[derive(Clone)]
struct ByWeight;

impl<K, T> Weighter<K, Entry<T>> for ByWeight {
    fn weight(&self, _: &K, entry: &Entry<T>) -> u64 {
        entry.weight
    }
}

/// A device's name within the application of that id. An application that is created anew under
/// an old name has another id, so that it never sees the old one's devices.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DeviceKey {
    application: ResourceId,
    name: Box<str>,
}

/// A [`DeviceKey`] that borrows.
#[derive(Clone, Copy)]
struct DeviceKeyRef<'a> {
    application: ResourceId,
    name: &'a str,
}

impl DeviceKeyRef<'_> {
    fn to_owned(self) -> DeviceKey {
        DeviceKey {
            application: self.application,
            name: self.name.into(),
        }
    }
}

impl Hash for DeviceKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        DeviceKeyRef {
            application: self.application,
            name: &self.name,
        }
        .hash(state);
    }
}

impl Hash for DeviceKeyRef<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.application.hash(state);
        self.name.hash(state);
    }
}

impl Equivalent<DeviceKey> for DeviceKeyRef<'_> {
    fn equivalent(&self, key: &DeviceKey) -> bool {
        self.application == key.application && self.name == &*key.name
    }
}

/// What the caches hold and how they serve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheStats {
    /// Of applications.
    pub applications: CacheFigures,
    /// Of devices.
    pub devices: CacheFigures,
}

/// One cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CacheFigures {
    /// Entries, answers "there is none" included.
    pub entries: u64,
    /// Look-ups that were answered from memory, since the start.
    pub hits: u64,
    /// Look-ups that were not, since the start.
    pub misses: u64,
}

fn figures<K: Hash + Eq, T>(cache: &Cache<K, Entry<T>, ByWeight>) -> CacheFigures {
    CacheFigures {
        entries: cache.len() as u64,
        hits: cache.hits(),
        misses: cache.misses(),
    }
}

/// The caches.
///
/// A change removes the entry after its commit. A look-up that was under way then finds its
/// placeholder gone and does not store what it read, so that no entry outlives its truth.
pub(super) struct Resources {
    applications: Cache<Box<str>, Entry<Application>, ByWeight>,
    devices: Cache<DeviceKey, Entry<Device>, ByWeight>,
    indirect: Indirect,
}

impl Resources {
    pub(super) fn new(entries: usize) -> Resources {
        let weight = u64::try_from(entries).unwrap_or(u64::MAX);
        // Applications are few against devices; an attacker who makes names up fills this and
        // evicts only what is used less than once in a while (the cache resists scans).
        let applications = (entries / 16).max(16);
        let applications_weight = u64::try_from(applications).unwrap_or(u64::MAX);
        Resources {
            applications: Cache::with_weighter(applications, applications_weight, ByWeight),
            devices: Cache::with_weighter(entries, weight, ByWeight),
            indirect: Indirect::new(entries, applications),
        }
    }

    pub(super) fn stats(&self) -> CacheStats {
        CacheStats {
            applications: figures(&self.applications),
            devices: figures(&self.devices),
        }
    }

    pub(super) fn application_if_cached(&self, name: &str) -> Option<Option<Arc<Application>>> {
        self.applications.get(name).map(|entry| entry.resource)
    }

    pub(super) fn device_if_cached(
        &self,
        application: &Application,
        name: &str,
    ) -> Option<Option<Arc<Device>>> {
        let key = DeviceKeyRef {
            application: application.id(),
            name,
        };
        self.devices.get(&key).map(|entry| entry.resource)
    }

    pub(super) async fn application(
        &self,
        store: &Store,
        name: &str,
    ) -> Result<Option<Arc<Application>>, Unavailable> {
        if let Some(cached) = self.application_if_cached(name) {
            return Ok(cached);
        }
        if name.len() > MAX_NAME {
            return Ok(None);
        }
        let load = async {
            entry(
                store.get(ResourceId::ROOT, name).await?,
                Application::from_row,
            )
        };
        let key: Box<str> = name.into();
        Ok(self
            .applications
            .get_or_insert_async(&key, load)
            .await?
            .resource)
    }

    pub(super) async fn device(
        &self,
        store: &Store,
        application: &Application,
        name: &str,
    ) -> Result<Option<Arc<Device>>, Unavailable> {
        if let Some(cached) = self.device_if_cached(application, name) {
            return Ok(cached);
        }
        // Nothing has such a name, and peers choose what they ask for: it would fill the cache.
        if name.len() > MAX_NAME {
            return Ok(None);
        }
        let load = async { entry(store.get(application.id(), name).await?, Device::from_row) };
        let key = DeviceKey {
            application: application.id(),
            name: name.into(),
        };
        Ok(self.devices.get_or_insert_async(&key, load).await?.resource)
    }

    pub(super) fn forget_everything(&self) {
        self.applications.clear();
        self.devices.clear();
        self.indirect.application_changed();
        self.indirect.device_changed();
    }

    pub(super) fn forget_application(&self, name: &str) {
        self.applications.remove(name);
        self.indirect.application_changed();
    }

    pub(super) fn forget_device(&self, application: ResourceId, name: &str) {
        self.devices.remove(&DeviceKeyRef { application, name });
        self.indirect.device_changed();
    }
}

fn entry<T>(
    row: Option<Row>,
    parse: fn(&Row) -> Result<T, Invalid>,
) -> Result<Entry<T>, Unavailable> {
    let Some(row) = row else {
        return Ok(Entry {
            resource: None,
            weight: 1,
        });
    };
    let resource = parse(&row).map_err(|invalid| {
        Unavailable(format!(
            "the stored document of {} is damaged: {invalid}",
            row.name
        ))
    })?;
    let weight = 1 + u64::try_from(row.size() / 1024).unwrap_or(u64::MAX);
    Ok(Entry {
        resource: Some(Arc::new(resource)),
        weight,
    })
}
