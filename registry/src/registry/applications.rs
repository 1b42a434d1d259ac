//! Documents of applications.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Registry;
use super::prepare::Kind;
use super::show::{ListQuery, Page, Secrets, page, show};
use super::write::{BatchError, Intent, Outcome, WriteError, Written, to_the_end};
use crate::document::{
    ApplicationDocument, ApplicationResource, ApplicationSpec, Document, Preconditions, Resource,
};
use crate::error::Unavailable;
use crate::secret::Held;
use crate::store::{Claim, Place, ResourceId, Row, Space};

/// Most documents of one [`Registry::apply_batch`].
pub const MAX_BATCH: usize = 1000;

impl Kind for ApplicationSpec<Held> {
    const MAX_SIZE: usize = 256 * 1024;

    fn claims(&self, _: &str) -> Vec<Claim> {
        // Certificates of one authority, an old one and its renewal, are one claim.
        let mut seen = BTreeSet::new();
        let claims = self.anchors().map(|(path, anchor)| Claim {
            space: Space::TrustAnchors,
            value: anchor.id().claim(anchor.issuer_key()),
            path,
        });
        claims
            .filter(|claim| seen.insert(claim.value.clone()))
            .collect()
    }
}

impl Registry {
    /// An application, or `None`.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn get_application(
        &self,
        name: &str,
        secrets: Secrets,
    ) -> Result<Option<ApplicationResource>, Unavailable> {
        let row = self.0.store.get(ResourceId::ROOT, name).await?;
        row.map(|row| resource(&row, secrets)).transpose()
    }

    /// Applications by name.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn list_applications(
        &self,
        query: ListQuery,
        secrets: Secrets,
    ) -> Result<Page<ApplicationResource>, Unavailable> {
        let select = query.into_select();
        let listed = self.0.store.list(ResourceId::ROOT, select).await?;
        page(listed, |row| resource(row, secrets))
    }

    /// Creates an application. What the document says of `uid` and `resourceVersion` is ignored.
    ///
    /// # Errors
    /// [`WriteError`], [`WriteError::AlreadyExists`] above all.
    pub async fn create_application(
        &self,
        document: ApplicationDocument,
    ) -> Result<ApplicationResource, WriteError> {
        Ok(self
            .write_application(document, Intent::Create)
            .await?
            .resource)
    }

    /// Replaces an application, if it is still what the document's preconditions say.
    ///
    /// # Errors
    /// [`WriteError`], [`WriteError::NotFound`] and [`WriteError::Conflict`] above all.
    pub async fn replace_application(
        &self,
        document: ApplicationDocument,
    ) -> Result<Written<ApplicationResource>, WriteError> {
        self.write_application(document, Intent::Replace).await
    }

    /// Deletes an application and all its devices, if it is still what the preconditions say.
    ///
    /// As with Drogue Cloud, the devices need not be deleted before. They are gone at once for
    /// everyone; their space in the file is freed bit by bit.
    ///
    /// # Errors
    /// [`WriteError`], [`WriteError::NotFound`] and [`WriteError::Conflict`] above all.
    pub async fn delete_application(
        &self,
        name: &str,
        preconditions: Preconditions,
    ) -> Result<(), WriteError> {
        let inner = Arc::clone(&self.0);
        let place = Place::Application(name.into());
        to_the_end(async move {
            inner
                .remove::<ApplicationSpec<Held>>(&place, ResourceId::ROOT, preconditions)
                .await
        })
        .await
    }

    /// Creates what does not exist, and replaces what does, if it is still what the document's
    /// preconditions say. A plain password that the stored hash is of changes nothing.
    ///
    /// # Errors
    /// [`WriteError`].
    pub async fn apply(&self, document: Document) -> Result<Written<Resource>, WriteError> {
        Ok(match document {
            Document::Application(document) => {
                let written = self.write_application(document, Intent::Apply).await?;
                written.map(Resource::Application)
            }
            Document::Device(document) => self
                .write_device(document, Intent::Apply)
                .await?
                .map(Resource::Device),
        })
    }

    /// Applies up to [`MAX_BATCH`] documents in one transaction: all of them, or none. Outcomes are
    /// in the order of the documents.
    ///
    /// They count as written at once: an application may come after its devices, and an alias may
    /// go from one device to another. No two are of the same resource. Plain passwords are hashed
    /// on all workers.
    ///
    /// # Errors
    /// [`BatchError`] names the first document that is to blame.
    pub async fn apply_batch(&self, documents: Vec<Document>) -> Result<Vec<Outcome>, BatchError> {
        if documents.len() > MAX_BATCH {
            return Err(BatchError::TooMany(documents.len()));
        }
        let inner = Arc::clone(&self.0);
        let documents: Arc<[Document]> = documents.into();
        let write = async move { inner.write_all(documents, Intent::Apply).await };
        let written = to_the_end(write).await?;
        Ok(written.into_iter().map(|(outcome, _)| outcome).collect())
    }

    async fn write_application(
        &self,
        document: ApplicationDocument,
        intent: Intent,
    ) -> Result<Written<ApplicationResource>, WriteError> {
        let inner = Arc::clone(&self.0);
        let document = Document::Application(document);
        let (outcome, row) = to_the_end(async move { inner.write(document, intent).await }).await?;
        Ok(Written {
            outcome,
            resource: resource(&row, Secrets::Hidden)?,
        })
    }
}

impl<R> Written<R> {
    fn map<T>(self, f: impl FnOnce(R) -> T) -> Written<T> {
        Written {
            outcome: self.outcome,
            resource: f(self.resource),
        }
    }
}

fn resource(row: &Row, secrets: Secrets) -> Result<ApplicationResource, Unavailable> {
    let (metadata, spec) = show::<ApplicationSpec<Held>>(row, None, secrets)?;
    Ok(ApplicationResource { metadata, spec })
}
