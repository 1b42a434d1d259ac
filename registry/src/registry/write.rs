//! What writes of applications and devices have in common: what is meant, what comes of it.

use crate::document::{Document, Invalid, Problem};
use crate::error::Unavailable;
use crate::store::Place;

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

/// Why no document of several was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// More than [`MAX_BATCH`](super::MAX_BATCH).
    #[error("{0} documents are more than can be written at once, which is 1,000")]
    TooMany(usize),
    /// One of the documents is to blame.
    #[error("document {}: {error}", index + 1)]
    Document {
        /// Its place in the batch, counted from 0.
        index: usize,
        /// What is wrong with it.
        error: WriteError,
    },
    /// The store cannot be read or written.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// Which writes are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intent {
    Create,
    Replace,
    /// Either.
    Apply,
}

impl Place {
    pub(super) fn of(document: &Document) -> Place {
        match document {
            Document::Application(document) => {
                Place::Application(document.metadata.name.as_str().into())
            }
            Document::Device(document) => Place::Device {
                application: document.application.as_str().into(),
                device: document.metadata.name.as_str().into(),
            },
        }
    }
}

/// Runs a write to its end, whether or not its caller waits for it: between the commit and the
/// invalidation of the caches nothing may stop it.
pub(super) async fn to_the_end<T, E>(
    write: impl Future<Output = Result<T, E>> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<Unavailable> + Send + 'static,
{
    let written = tokio::spawn(write).await;
    written.unwrap_or_else(|error| Err(Unavailable(error.to_string()).into()))
}
