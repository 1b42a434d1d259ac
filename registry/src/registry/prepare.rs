//! From a document, and what is stored in its place, to what is to be stored.

use zeroize::Zeroizing;

use super::show::damaged;
use super::write::WriteError;
use crate::document::{
    ApplicationSpec, DeviceSpec, Document, Invalid, Metadata, Spec, read_stored,
};
use crate::error::Unavailable;
use crate::secret::resolve::{Hashing, ResolveError, Resolver, Stored};
use crate::secret::{Held, SecretId};
use crate::store::{Body, Claim, Expected, Row};

/// A kind of resource as this module needs it.
pub(super) trait Kind: Spec {
    /// Largest stored document in bytes.
    const MAX_SIZE: usize;

    /// What the resource has for itself alone, each value once.
    fn claims(&self, name: &str) -> Vec<Claim>;
}

/// What to store for a document.
#[derive(Clone)]
pub(super) struct Prepared {
    /// What it was prepared against.
    pub(super) expected: Expected,
    pub(super) body: Body,
    /// Stored secrets that are no longer there then.
    pub(super) replaced: Vec<SecretId>,
    /// Whether this is stored already.
    pub(super) unchanged: bool,
}

/// It may take a slow hash for each secret.
pub(super) fn prepare(
    document: &Document,
    stored: Option<&Row>,
    hashing: Hashing,
) -> Result<Prepared, WriteError> {
    match document {
        Document::Application(document) => prepare_kind::<ApplicationSpec<Held>>(
            &document.metadata,
            document.spec.clone(),
            stored,
            hashing,
        ),
        Document::Device(document) => prepare_kind::<DeviceSpec<Held>>(
            &document.metadata,
            document.spec.clone(),
            stored,
            hashing,
        ),
    }
}

fn prepare_kind<K: Kind>(
    metadata: &Metadata,
    spec: K::Given,
    stored: Option<&Row>,
    hashing: Hashing,
) -> Result<Prepared, WriteError> {
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
        claims: spec.claims(&metadata.name),
    };
    let size = body.labels.len() + body.annotations.len() + body.spec.len();
    if size > K::MAX_SIZE {
        let reason = format!("takes {size} bytes, at most {} are allowed", K::MAX_SIZE);
        return Err(Invalid::one("", reason).into());
    }
    Ok(Prepared {
        expected: stored.map_or(Expected::Absent, |row| Expected::Revision(row.revision)),
        unchanged: stored.is_some_and(|stored| is_same(stored, &body)),
        body,
        replaced,
    })
}

fn is_same(stored: &Row, body: &Body) -> bool {
    stored.labels == body.labels
        && stored.annotations == body.annotations
        && stored.spec == body.spec
}

pub(super) fn ids<K: Kind>(spec: &K) -> Vec<SecretId> {
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
