//! What applications and devices have in common when documents are written.

use std::sync::Arc;

use tokio::sync::Mutex;
use zeroize::Zeroizing;

use super::Inner;
use super::show::damaged;
use crate::document::{Invalid, Metadata, Preconditions, Problem, Spec, read_stored};
use crate::error::Unavailable;
use crate::secret::SecretId;
use crate::secret::resolve::{Hashing, ResolveError, Resolver, Stored};
use crate::store::{Body, Claim, Expected, PutError, Removed, ResourceId, Row};
use crate::verify::Busy;

/// Times that a write starts over because another process wrote in between.
const ATTEMPTS: usize = 8;

/// Why a document was not written, or a resource not deleted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// The document is not as it must be.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// The application that the device belongs to does not exist.
    #[error("there is no such application")]
    NoApplication,
    /// The resource to be replaced or deleted does not exist.
    #[error("there is no such resource")]
    NotFound,
    /// The resource to be created exists.
    #[error("a resource of this name exists already")]
    AlreadyExists,
    /// The resource is not the one, or no longer as, the caller's `uid` or `resourceVersion` say:
    /// read it again.
    #[error("the resource was changed meanwhile: read it again")]
    Conflict,
    /// A name, alias, unique user name or trust anchor belongs to another resource.
    #[error("{0}")]
    Taken(Problem),
    /// The store cannot be read or written.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The resource is new.
    Created,
    /// The resource is another than before.
    Updated,
    /// The resource was like this already; nothing was written.
    Unchanged,
}

/// A resource that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written<R> {
    /// What that did.
    pub outcome: Outcome,
    /// The resource as a read shows it now.
    pub resource: R,
}

/// Which writes are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    Create,
    Replace,
    /// Either.
    Apply,
}

/// A kind of resource as this module needs it.
pub(super) trait Kind: Spec {
    /// Largest stored document in bytes.
    const MAX_SIZE: usize;

    /// What the resource has for itself alone, each value once.
    fn claims(&self, parent: ResourceId, name: &str) -> Vec<Claim>;
}

/// A resource's place.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) parent: ResourceId,
    /// The application, or that of the device.
    pub(super) application: Box<str>,
    pub(super) device: Option<Box<str>>,
}

impl Place {
    pub(super) fn of_application(name: &str) -> Place {
        Place {
            parent: ResourceId::ROOT,
            application: name.into(),
            device: None,
        }
    }

    pub(super) fn of_device(application: &Row, name: &str) -> Place {
        let device = Some(name.into());
        Place {
            parent: application.id,
            application: application.name.as_str().into(),
            device,
        }
    }

    fn name(&self) -> &str {
        self.device.as_deref().unwrap_or(&self.application)
    }
}

/// Runs a write to its end, whether or not its caller waits for it: between the commit and the
/// invalidation of the caches nothing may stop it.
pub(super) async fn to_the_end<T: Send + 'static>(
    write: impl Future<Output = Result<T, WriteError>> + Send + 'static,
) -> Result<T, WriteError> {
    let written = tokio::spawn(write).await;
    written.unwrap_or_else(|error| Err(Unavailable(error.to_string()).into()))
}

impl Inner {
    /// Writes a document and tells everyone about it.
    pub(super) async fn write<K: Kind>(
        self: &Arc<Inner>,
        place: &Place,
        intent: Intent,
        metadata: Metadata,
        spec: K::Given,
    ) -> Result<(Outcome, Row), WriteError>
    where
        K::Given: Clone,
    {
        let _lock = self.write_lock(place).lock().await;
        for _ in 0..ATTEMPTS {
            let stored = self.store.get(place.parent, place.name()).await?;
            let expected = expected(stored.as_ref(), intent, &metadata.preconditions)?;
            let (body, replaced) = self
                .prepare::<K>(place, metadata.clone(), spec.clone(), stored.clone())
                .await?;
            if let Some(stored) = stored.filter(|stored| is_same(stored, &body)) {
                return Ok((Outcome::Unchanged, stored));
            }
            let claims = body.claims.clone();
            match self
                .store
                .put(place.parent, place.name(), expected, body)
                .await
            {
                Ok(row) => {
                    self.announce(place, &replaced);
                    let created = expected == Expected::Absent;
                    return Ok((
                        if created {
                            Outcome::Created
                        } else {
                            Outcome::Updated
                        },
                        row,
                    ));
                }
                Err(PutError::Stale) => {}
                Err(PutError::NoParent) => return Err(WriteError::NoApplication),
                Err(PutError::Taken(claim)) => return Err(taken(claim, &claims)),
                Err(PutError::Unavailable(unavailable)) => {
                    // Whether it is stored is not known: nobody may rely on what was before.
                    self.announce(place, &replaced);
                    return Err(unavailable.into());
                }
            }
        }
        Err(WriteError::Conflict)
    }

    /// Removes a resource and tells everyone about it.
    pub(super) async fn remove<K: Kind>(
        self: &Arc<Inner>,
        place: &Place,
        preconditions: Preconditions,
    ) -> Result<(), WriteError> {
        let removed = self
            .store
            .remove(place.parent, place.name(), preconditions)
            .await;
        // Whether it is stored is not known: nobody may rely on what was before.
        match removed.inspect_err(|_| self.announce(place, &[]))? {
            Removed::NotFound => Err(WriteError::NotFound),
            Removed::Conflict => Err(WriteError::Conflict),
            Removed::Row(row) => {
                // A damaged document is removed all the same; its remembered log-ins are of no use
                // without the device.
                let secrets = read_stored::<K>(&row.spec).map(|spec| ids(&spec));
                self.announce(place, &secrets.unwrap_or_default());
                Ok(())
            }
        }
    }

    /// What to store for a document, and which stored secrets that replaces. It may take a slow
    /// hash for each secret.
    async fn prepare<K: Kind>(
        &self,
        place: &Place,
        metadata: Metadata,
        spec: K::Given,
        stored: Option<Row>,
    ) -> Result<(Body, Vec<SecretId>), WriteError> {
        let (place, hashing) = (place.clone(), self.hashing);
        let prepared = self
            .document_workers
            .run(move || prepare::<K>(&place, &metadata, spec, stored.as_ref(), hashing))
            .await;
        prepared.unwrap_or_else(|busy| match busy {
            Busy::Full => {
                Err(Unavailable("too many documents are being written".to_owned()).into())
            }
            Busy::Failed(unavailable) => Err(unavailable.into()),
        })
    }

    fn announce(&self, place: &Place, replaced: &[SecretId]) {
        match &place.device {
            Some(device) => self.resources.forget_device(place.parent, device),
            None => self.resources.forget_application(&place.application),
        }
        for secret in replaced {
            self.remembered.forget(*secret);
        }
        let (application, device) = (place.application.clone(), place.device.clone());
        // Nobody need be listening.
        let _ = self.changes.send(super::Change {
            application,
            device,
        });
    }

    fn write_lock(&self, place: &Place) -> &Mutex<()> {
        use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
        static ALONE: Mutex<()> = Mutex::const_new(());
        let hash =
            BuildHasherDefault::<DefaultHasher>::default().hash_one((place.parent, place.name()));
        let index = usize::try_from(hash % super::WRITE_LOCKS as u64).unwrap_or_default();
        self.write_locks.get(index).unwrap_or(&ALONE)
    }
}

fn prepare<K: Kind>(
    place: &Place,
    metadata: &Metadata,
    spec: K::Given,
    stored: Option<&Row>,
    hashing: Hashing,
) -> Result<(Body, Vec<SecretId>), WriteError> {
    let mut secrets = Stored::default();
    let mut replaced = Vec::new();
    if let Some(row) = stored {
        let stored: K = read_stored(&row.spec).map_err(|invalid| damaged(row, &invalid))?;
        stored.visit(&mut |slot, held| secrets.add(&slot.path, held));
        replaced = ids(&stored);
    }
    let mut resolver = Resolver::new(&secrets, hashing);
    let resolved = K::resolve(spec, &mut |slot, given| resolver.resolve(slot, given));
    let spec = resolver.finish(resolved).map_err(|error| match error {
        ResolveError::Invalid(invalid) => WriteError::Invalid(invalid),
        failed @ ResolveError::Failed(_) => Unavailable(failed.to_string()).into(),
    })?;

    let new = ids(&spec);
    replaced.retain(|id| !new.contains(id));
    let body = Body {
        labels: json(&metadata.labels)?,
        annotations: json(&metadata.annotations)?,
        spec: Zeroizing::new(spec.to_stored().map_err(unwritable)?),
        claims: spec.claims(place.parent, place.name()),
    };
    let size = body.labels.len() + body.annotations.len() + body.spec.len();
    if size > K::MAX_SIZE {
        let reason = format!("takes {size} bytes, at most {} are allowed", K::MAX_SIZE);
        return Err(Invalid::one("", reason).into());
    }
    Ok((body, replaced))
}

fn expected(
    stored: Option<&Row>,
    intent: Intent,
    preconditions: &Preconditions,
) -> Result<Expected, WriteError> {
    match (stored, intent) {
        (Some(_), Intent::Create) => Err(WriteError::AlreadyExists),
        (None, Intent::Replace) => Err(WriteError::NotFound),
        // What it says of the server's side is of an earlier resource, or of another server.
        (None, Intent::Create | Intent::Apply) => Ok(Expected::Absent),
        (Some(stored), Intent::Replace | Intent::Apply) if preconditions.hold_for(stored) => {
            Ok(Expected::Revision(stored.revision))
        }
        (Some(_), _) => Err(WriteError::Conflict),
    }
}

fn is_same(stored: &Row, body: &Body) -> bool {
    stored.labels == body.labels
        && stored.annotations == body.annotations
        && stored.spec == body.spec
}

fn taken(claim: Option<usize>, claims: &[Claim]) -> WriteError {
    let claim = claim.and_then(|index| claims.get(index));
    let path = claim
        .map_or("metadata.name", |claim| &claim.path)
        .to_owned();
    let reason = "belongs to another resource already, as its name, alias, user name or anchor";
    WriteError::Taken(Problem {
        path,
        reason: reason.to_owned(),
        example: "",
    })
}

fn ids<K: Kind>(spec: &K) -> Vec<SecretId> {
    let mut ids = Vec::new();
    spec.visit(&mut |_, held| ids.push(held.id));
    ids
}

fn json<T: serde::Serialize>(value: &T) -> Result<String, WriteError> {
    serde_json::to_string(value).map_err(unwritable)
}

// An error of a document that cannot be written says nothing of the values.
#[allow(clippy::needless_pass_by_value)]
fn unwritable(error: serde_json::Error) -> WriteError {
    Unavailable(format!("the document cannot be stored: {error}")).into()
}
