//! Writing documents: read what is stored, prepare, commit, start over if someone else was faster.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::MutexGuard;
use tokio::task::{JoinError, JoinSet};

use super::Inner;
use super::prepare::{Kind, Prepared, ids, prepare};
use super::write::{BatchError, Intent, Outcome, WriteError};
use crate::document::{Document, Invalid, Preconditions, Problem, read_stored};
use crate::error::Unavailable;
use crate::secret::SecretId;
use crate::secret::resolve::Hashing;
use crate::store::{
    Claim, CommitError, Expected, Place, Put, Refusal, Removed, ResourceId, Row, Stored,
};
use crate::verify::Busy;

/// Times that a write starts over because another process wrote in between. Of two processes that write
/// the same all the time, each loses half of its attempts: as many in a row it never loses.
const ATTEMPTS: usize = 32;
/// Documents that a worker prepares in one go: few enough that those of others come in between.
const CHUNK: usize = 16;

/// A document on its way.
struct Work {
    /// Its place among the documents of the write.
    index: usize,
    place: Place,
    stored: Stored,
    prepared: Option<Prepared>,
}

impl Inner {
    /// Writes one document and tells everyone about it.
    pub(super) async fn write(
        self: &Arc<Inner>,
        document: Document,
        intent: Intent,
    ) -> Result<(Outcome, Row), WriteError> {
        let written = self.write_all(Arc::new([document]), intent).await;
        let mut written = written.map_err(|error| match error {
            BatchError::Document { error, .. } => error,
            BatchError::Unavailable(unavailable) => unavailable.into(),
            BatchError::TooMany(_) => lost().into(),
        })?;
        Ok(written.pop().ok_or_else(lost)?)
    }

    /// Writes all the documents or none, and tells everyone about it.
    pub(super) async fn write_all(
        self: &Arc<Inner>,
        documents: Arc<[Document]>,
        intent: Intent,
    ) -> Result<Vec<(Outcome, Row)>, BatchError> {
        let mut works = works(&documents)?;
        let _locks = self.write_locks(&works).await;
        let mut outdated = 0;
        for _ in 0..ATTEMPTS {
            self.read(&mut works).await?;
            self.prepare_all(&documents, intent, &mut works).await?;
            let changed = works.iter().filter(|work| work.is_changed());
            let puts: Vec<Put> = changed.clone().filter_map(Work::put).collect();
            match self.commit(puts).await {
                Ok(rows) => {
                    for (work, row) in changed.zip(&rows) {
                        self.announce(&work.place, Some(row.parent), work.replaced());
                    }
                    return outcomes(works, rows);
                }
                Err(CommitError::Refused { index, refusal }) => {
                    let Some(work) = changed.clone().nth(index) else {
                        return Err(lost().into());
                    };
                    outdated = work.index;
                    if refusal != Refusal::Stale {
                        return Err(work.blame(refused(refusal, work.claims())));
                    }
                }
                Err(CommitError::Unavailable(unavailable)) => {
                    // Whether it is stored is not known: nobody may rely on what was before.
                    for work in changed {
                        self.announce(&work.place, work.stored.parent, work.replaced());
                    }
                    return Err(unavailable.into());
                }
            }
        }
        Err(BatchError::Document {
            index: outdated,
            error: WriteError::Conflict,
        })
    }

    /// Removes a resource and tells everyone about it.
    pub(super) async fn remove<K: Kind>(
        self: &Arc<Inner>,
        place: &Place,
        parent: ResourceId,
        preconditions: Preconditions,
    ) -> Result<(), WriteError> {
        let removed = self.store.remove(parent, place.name(), preconditions).await;
        // Whether it is stored is not known: nobody may rely on what was before.
        match removed.inspect_err(|_| self.announce(place, Some(parent), &[]))? {
            Removed::NotFound => Err(WriteError::NotFound),
            Removed::Conflict => Err(WriteError::Conflict),
            Removed::Row(row) => {
                // A damaged document is removed all the same; its remembered log-ins are of no use
                // without the device.
                let secrets = read_stored::<K>(&row.spec).map(|spec| ids(&spec));
                self.announce(place, Some(parent), &secrets.unwrap_or_default());
                Ok(())
            }
        }
    }

    async fn read(&self, works: &mut [Work]) -> Result<(), Unavailable> {
        let places = works.iter().map(|work| work.place.clone()).collect();
        let stored = self.store.get_all(places).await?;
        for (work, stored) in works.iter_mut().zip(stored) {
            work.stored = stored;
        }
        Ok(())
    }

    /// Prepares what was not prepared yet against what is stored now, on all workers.
    async fn prepare_all(
        &self,
        documents: &Arc<[Document]>,
        intent: Intent,
        works: &mut [Work],
    ) -> Result<(), BatchError> {
        let places: HashSet<Place> = works.iter().map(|work| work.place.clone()).collect();
        let mut tasks = Vec::new();
        for (work, document) in works.iter().zip(documents.iter()) {
            let is_orphan = match &work.place {
                Place::Device { application, .. } if work.stored.parent.is_none() => {
                    !places.contains(&Place::Application(application.clone()))
                }
                _ => false,
            };
            if is_orphan {
                return Err(work.blame(WriteError::NoApplication));
            }
            let preconditions = &document.metadata().preconditions;
            let expected = expected(work.stored.row.as_ref(), intent, preconditions);
            let expected = expected.map_err(|error| work.blame(error))?;
            if work
                .prepared
                .as_ref()
                .is_none_or(|prepared| prepared.expected != expected)
            {
                tasks.push((work.index, work.stored.row.clone()));
            }
        }
        let mut chunks = JoinSet::new();
        while !tasks.is_empty() {
            let chunk = tasks.split_off(tasks.len().saturating_sub(CHUNK));
            let (documents, hashing) = (Arc::clone(documents), self.hashing);
            let workers = Arc::clone(&self.document_workers);
            chunks.spawn(async move {
                let prepare = move || prepare_chunk(&documents, chunk, hashing);
                workers.run(prepare).await
            });
        }
        let mut failed: Option<(usize, WriteError)> = None;
        while let Some(chunk) = chunks.join_next().await {
            for (index, prepared) in computed(chunk)? {
                match (prepared, works.get_mut(index)) {
                    (Ok(prepared), Some(work)) => work.prepared = Some(prepared),
                    // The first one is told, whichever was found first.
                    (Err(error), _) if failed.as_ref().is_none_or(|(first, _)| index < *first) => {
                        failed = Some((index, error));
                    }
                    _ => {}
                }
            }
        }
        match failed {
            Some((_, WriteError::Unavailable(unavailable))) => Err(unavailable.into()),
            Some((index, error)) => Err(BatchError::Document { index, error }),
            None => Ok(()),
        }
    }

    async fn commit(&self, puts: Vec<Put>) -> Result<Vec<Row>, CommitError> {
        match puts.is_empty() {
            true => Ok(Vec::new()),
            false => self.store.commit(puts).await,
        }
    }

    fn announce(&self, place: &Place, parent: Option<ResourceId>, replaced: &[SecretId]) {
        for secret in replaced {
            self.verifier.remembered.forget(*secret);
        }
        self.follower.forget(place, parent);
    }

    /// The locks of all the places, always taken in the same order.
    async fn write_locks(&self, works: &[Work]) -> Vec<MutexGuard<'_, ()>> {
        let mut indices: Vec<usize> = works.iter().map(|work| lock_of(&work.place)).collect();
        indices.sort_unstable();
        indices.dedup();
        let mut guards = Vec::with_capacity(indices.len());
        for lock in indices
            .into_iter()
            .filter_map(|index| self.write_locks.get(index))
        {
            guards.push(lock.lock().await);
        }
        guards
    }
}

impl Work {
    fn is_changed(&self) -> bool {
        self.prepared
            .as_ref()
            .is_some_and(|prepared| !prepared.unchanged)
    }

    fn put(&self) -> Option<Put> {
        let prepared = self.prepared.as_ref()?;
        Some(Put {
            place: self.place.clone(),
            expected: prepared.expected,
            body: prepared.body.clone(),
        })
    }

    fn replaced(&self) -> &[SecretId] {
        self.prepared
            .as_ref()
            .map_or(&[], |prepared| &prepared.replaced)
    }

    fn claims(&self) -> &[Claim] {
        self.prepared
            .as_ref()
            .map_or(&[], |prepared| &prepared.body.claims)
    }

    fn blame(&self, error: WriteError) -> BatchError {
        let index = self.index;
        BatchError::Document { index, error }
    }
}

/// One piece of work for each document; no two of the same resource, as it would depend on their
/// order which of them stays.
fn works(documents: &[Document]) -> Result<Vec<Work>, BatchError> {
    let mut seen = HashSet::new();
    let mut works = Vec::with_capacity(documents.len());
    for (index, document) in documents.iter().enumerate() {
        let place = Place::of(document);
        if !seen.insert(place.clone()) {
            let reason = "this resource stands in an earlier document of the batch already";
            let error = Invalid::one("metadata.name", reason).into();
            return Err(BatchError::Document { index, error });
        }
        works.push(Work {
            index,
            place,
            stored: Stored::default(),
            prepared: None,
        });
    }
    Ok(works)
}

type Chunk = Vec<(usize, Result<Prepared, WriteError>)>;

fn prepare_chunk(
    documents: &[Document],
    chunk: Vec<(usize, Option<Row>)>,
    hashing: Hashing,
) -> Chunk {
    let prepared = chunk.into_iter().filter_map(|(index, stored)| {
        let document = documents.get(index)?;
        Some((index, prepare(document, stored.as_ref(), hashing)))
    });
    prepared.collect()
}

fn computed(chunk: Result<Result<Chunk, Busy>, JoinError>) -> Result<Chunk, Unavailable> {
    let chunk = chunk.map_err(|error| Unavailable(error.to_string()))?;
    chunk.map_err(|busy| match busy {
        Busy::Full => Unavailable("too many documents are being written".to_owned()),
        Busy::Failed(unavailable) => unavailable,
    })
}

/// What came of each document; `rows` are those of the changed ones.
fn outcomes(works: Vec<Work>, rows: Vec<Row>) -> Result<Vec<(Outcome, Row)>, BatchError> {
    let mut rows = rows.into_iter();
    let outcomes = works.into_iter().map(|work| {
        let outcome = match &work.prepared {
            Some(prepared) if prepared.unchanged => {
                return Some((Outcome::Unchanged, work.stored.row?));
            }
            Some(prepared) if prepared.expected == Expected::Absent => Outcome::Created,
            _ => Outcome::Updated,
        };
        Some((outcome, rows.next()?))
    });
    let outcomes: Option<_> = outcomes.collect();
    Ok(outcomes.ok_or_else(lost)?)
}

fn lock_of(place: &Place) -> usize {
    use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
    let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(place);
    usize::try_from(hash % super::WRITE_LOCKS as u64).unwrap_or_default()
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

fn refused(refusal: Refusal, claims: &[Claim]) -> WriteError {
    match refusal {
        Refusal::Stale => WriteError::Conflict,
        Refusal::NoParent => WriteError::NoApplication,
        Refusal::Taken(claim) => taken(claim, claims),
    }
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

fn lost() -> Unavailable {
    Unavailable("a write was lost on its way".to_owned())
}
