//! Documents of devices.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Registry;
use super::prepare::Kind;
use super::show::{ListQuery, Page, Secrets, page, show};
use super::write::{Intent, WriteError, Written, to_the_end};
use crate::document::{DeviceDocument, DeviceResource, DeviceSpec, Document, Preconditions};
use crate::error::Unavailable;
use crate::secret::Held;
use crate::store::{Claim, Place, ResourceId, Row, Space};

impl Kind for DeviceSpec<Held> {
    const MAX_SIZE: usize = 64 * 1024;

    fn claims(&self, name: &str) -> Vec<Claim> {
        let mut seen = BTreeSet::from([name]);
        let names = self.other_names().filter(|(_, other)| seen.insert(other));
        let claims = names.map(|(path, other)| Claim {
            space: Space::DeviceNames,
            value: other.as_bytes().to_vec(),
            path,
        });
        claims.collect()
    }
}

impl Registry {
    /// A device, or `None` if it or its application does not exist.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn get_device(
        &self,
        application: &str,
        name: &str,
        secrets: Secrets,
    ) -> Result<Option<DeviceResource>, Unavailable> {
        let Some(parent) = self.0.store.get(ResourceId::ROOT, application).await? else {
            return Ok(None);
        };
        let row = self.0.store.get(parent.id, name).await?;
        row.map(|row| resource(&row, application, secrets))
            .transpose()
    }

    /// An application's devices by name; `None` if there is no such application.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn list_devices(
        &self,
        application: &str,
        query: ListQuery,
        secrets: Secrets,
    ) -> Result<Option<Page<DeviceResource>>, Unavailable> {
        let Some(parent) = self.0.store.get(ResourceId::ROOT, application).await? else {
            return Ok(None);
        };
        let listed = self.0.store.list(parent.id, query.into_select()).await?;
        page(listed, |row| resource(row, application, secrets)).map(Some)
    }

    /// Creates a device. What the document says of `uid` and `resourceVersion` is ignored.
    ///
    /// # Errors
    /// [`WriteError`], [`WriteError::AlreadyExists`] and [`WriteError::NoApplication`] above all.
    pub async fn create_device(
        &self,
        document: DeviceDocument,
    ) -> Result<DeviceResource, WriteError> {
        Ok(self.write_device(document, Intent::Create).await?.resource)
    }

    /// Replaces a device, if it is still what the document's preconditions say.
    ///
    /// # Errors
    /// [`WriteError`], [`WriteError::NotFound`] and [`WriteError::Conflict`] above all.
    pub async fn replace_device(
        &self,
        document: DeviceDocument,
    ) -> Result<Written<DeviceResource>, WriteError> {
        self.write_device(document, Intent::Replace).await
    }

    /// Deletes a device, if it is still what the preconditions say.
    ///
    /// # Errors
    /// [`WriteError`], [`WriteError::NotFound`] and [`WriteError::Conflict`] above all.
    pub async fn delete_device(
        &self,
        application: &str,
        name: &str,
        preconditions: Preconditions,
    ) -> Result<(), WriteError> {
        let inner = Arc::clone(&self.0);
        let application = application.to_owned();
        let name = name.to_owned();
        to_the_end(async move {
            let parent = inner.store.get(ResourceId::ROOT, &application);
            let parent = parent.await?.ok_or(WriteError::NoApplication)?.id;
            let place = Place::Device {
                application: application.into(),
                device: name.into(),
            };
            inner
                .remove::<DeviceSpec<Held>>(&place, parent, preconditions)
                .await
        })
        .await
    }

    pub(super) async fn write_device(
        &self,
        document: DeviceDocument,
        intent: Intent,
    ) -> Result<Written<DeviceResource>, WriteError> {
        let inner = Arc::clone(&self.0);
        let application = document.application.clone();
        let document = Document::Device(document);
        let (outcome, row) = to_the_end(async move { inner.write(document, intent).await }).await?;
        Ok(Written {
            outcome,
            resource: resource(&row, &application, Secrets::Hidden)?,
        })
    }
}

fn resource(row: &Row, application: &str, secrets: Secrets) -> Result<DeviceResource, Unavailable> {
    let (metadata, spec) = show::<DeviceSpec<Held>>(row, Some(application), secrets)?;
    Ok(DeviceResource { metadata, spec })
}
