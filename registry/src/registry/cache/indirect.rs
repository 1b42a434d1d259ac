//! What is found by another key than its own name: devices by alias or unique user name,
//! applications by the name of an authority.
//!
//! Which keys a change concerns is not known where it is noticed, so nothing is removed: an answer
//! is dated, and good for as long as nothing of its kind has changed. That a device has a certain
//! alias is seen from the device itself, too; this answer outlives changes of other devices.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;

use super::{DeviceKey, DeviceKeyRef, Resources};
use crate::certificate::{AnchorId, DIGEST};
use crate::document::MAX_ALIAS;
use crate::error::Unavailable;
use crate::model::{Application, Device};
use crate::store::{ResourceId, Space, Store};

/// Most applications whose authorities have one name; further ones are not found. It bounds what a
/// certificate can cost.
pub(in crate::registry) const MAX_NAMESAKES: usize = 64;

/// An answer with the number of changes that were known before it was looked up.
#[derive(Clone)]
struct Dated<T> {
    changes: u64,
    answer: T,
}

pub(super) struct Indirect {
    /// Alias or unique user name → name of the device.
    other_names: Cache<DeviceKey, Dated<Option<Box<str>>>>,
    /// Name of an authority → names of applications.
    issuers: Cache<[u8; DIGEST], Dated<Arc<[String]>>>,
    device_changes: AtomicU64,
    application_changes: AtomicU64,
}

impl Indirect {
    pub(super) fn new(devices: usize, applications: usize) -> Indirect {
        Indirect {
            other_names: Cache::new(devices),
            issuers: Cache::new(applications),
            device_changes: AtomicU64::new(0),
            application_changes: AtomicU64::new(0),
        }
    }

    pub(super) fn device_changed(&self) {
        self.device_changes.fetch_add(1, Ordering::AcqRel);
    }

    pub(super) fn application_changed(&self) {
        self.application_changes.fetch_add(1, Ordering::AcqRel);
    }
}

impl Resources {
    /// The device that has the name as an alias or unique user name.
    pub(in crate::registry) async fn device_by_other_name(
        &self,
        store: &Store,
        application: &Application,
        name: &str,
    ) -> Result<Option<Arc<Device>>, Unavailable> {
        // As with names: nothing has so long an alias.
        if name.len() > MAX_ALIAS {
            return Ok(None);
        }
        let Indirect {
            other_names,
            device_changes,
            ..
        } = &self.indirect;
        let key = DeviceKeyRef {
            application: application.id(),
            name,
        };
        loop {
            let changes = device_changes.load(Ordering::Acquire);
            let found = match other_names.get(&key) {
                Some(found) => found,
                None => {
                    let load = self.look_up_other_name(store, key);
                    other_names
                        .get_or_insert_async(&key.to_owned(), load)
                        .await?
                }
            };
            let device = match &found.answer {
                Some(device) => self.device(store, application, device).await?,
                None => None,
            };
            let device = device.filter(|device| device.is_known_as(name));
            if device.is_some() || found.changes >= changes {
                return Ok(device);
            }
            other_names.remove(&key);
        }
    }

    async fn look_up_other_name(
        &self,
        store: &Store,
        key: DeviceKeyRef<'_>,
    ) -> Result<Dated<Option<Box<str>>>, Unavailable> {
        let changes = self.indirect.device_changes.load(Ordering::Acquire);
        let name = key.name.as_bytes();
        let holders = store
            .holders(key.application, Space::DeviceNames, name, name, 1)
            .await?;
        Ok(Dated {
            changes,
            answer: holders.into_iter().next().map(String::into_boxed_str),
        })
    }

    /// Names of the applications with an authority of a name ([`issuer_key`]), at most
    /// [`MAX_NAMESAKES`].
    ///
    /// [`issuer_key`]: crate::certificate::issuer_key
    pub(in crate::registry) async fn applications_by_issuer(
        &self,
        store: &Store,
        issuer: &[u8; DIGEST],
    ) -> Result<Arc<[String]>, Unavailable> {
        let Indirect {
            issuers,
            application_changes,
            ..
        } = &self.indirect;
        loop {
            let changes = application_changes.load(Ordering::Acquire);
            let load = self.look_up_issuer(store, issuer);
            let found = issuers.get_or_insert_async(issuer, load).await?;
            if found.changes >= changes {
                return Ok(found.answer);
            }
            issuers.remove(issuer);
        }
    }

    async fn look_up_issuer(
        &self,
        store: &Store,
        issuer: &[u8; DIGEST],
    ) -> Result<Dated<Arc<[String]>>, Unavailable> {
        let changes = self.indirect.application_changes.load(Ordering::Acquire);
        let first = AnchorId::FIRST.claim(issuer);
        let last = AnchorId::LAST.claim(issuer);
        let names = store
            .holders(
                ResourceId::ROOT,
                Space::TrustAnchors,
                &first,
                &last,
                MAX_NAMESAKES,
            )
            .await?;
        Ok(Dated {
            changes,
            answer: names.into(),
        })
    }
}
