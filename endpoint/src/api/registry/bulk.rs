//! Many documents in one request: read, written and answered in batches, so that neither side
//! holds more than one of them.

use std::sync::Arc;

use axum::{
    body::{Body, BodyDataStream},
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use landfall_registry::{
    BatchError, MAX_BATCH, Outcome,
    document::{
        Document, document_values,
        stream::{Splitter, StreamFormat},
    },
};
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use super::{DocumentType, document_type, media_type, refused, unsupported_media_type};
use crate::api::{
    Api,
    access::Access,
    error::{ApiError, ErrorBody},
    input::{self, Parameters},
    pieces::{self, Pieces},
};

/// Texts of one batch, in bytes: what a request takes in memory is some ten times that.
const BATCH_BYTES: usize = 4 << 20;
/// Documents that a dry run names as invalid before it stops.
const MOST_FAILURES: usize = 100;

/// How documents are written in bulk.
#[derive(Clone, Copy, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
#[into_params(parameter_in = Query, rename_all = "camelCase")]
pub(super) struct BulkQuery {
    /// Read and validate everything, name every invalid document, and change nothing. What depends
    /// on the store (names that are taken, versions, applications that do not exist) is not
    /// checked.
    dry_run: bool,
    /// Tell the result of each document, too. The caller must read while it sends then.
    results: bool,
}

/// A line of the answer: a batch, a document that was refused, or the end.
#[derive(Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BulkLine)]
struct Line {
    /// Documents read so far, those of this line included.
    documents: usize,
    /// New resources: of the batch; in the last line, of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    created: Option<usize>,
    /// The same for resources that were changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    updated: Option<usize>,
    /// The same for resources that were like this already.
    #[serde(skip_serializing_if = "Option::is_none")]
    unchanged: Option<usize>,
    /// With `results=true`: what became of each document of the batch, in order: `created`,
    /// `updated` or `unchanged`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    results: Vec<&'static str>,
    /// The place of a document that was refused, from 1. None of its batch was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    document: Option<usize>,
    /// Why it was refused, for programs.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
    /// Why it was refused, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    /// In the last line only: whether all documents were taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    done: Option<bool>,
}

/// What became of documents.
#[derive(Clone, Copy, Default)]
struct Counts {
    created: usize,
    updated: usize,
    unchanged: usize,
}

/// Write many documents
///
/// Creates or replaces applications and devices, as a PUT with `apply=true` does for one. The body
/// is a stream of documents, of any length: JSON texts, one a line, or YAML documents parted by
/// `---`. They are written in batches of up to 1,000, in order; each batch as a whole or not at
/// all. The answer is a stream, too: one JSON text a line, one line for each batch, and a last one
/// with `done`. The first document that is refused ends it; what was written before stays, and the
/// same request can be sent again.
#[utoipa::path(
    post, path = "/api/registry/v1alpha1/bulk", tag = "registry", operation_id = "bulkApply",
    params(BulkQuery),
    request_body(description = "Documents", content(
        (ref("#/components/schemas/DocumentStream") = "application/x-ndjson"),
        (ref("#/components/schemas/DocumentStream") = "application/yaml"),
    )),
    responses(
        (status = 200, description = "Lines of JSON; the last one has `done`", body = Line,
            content_type = "application/x-ndjson"),
        (status = 415, description = "`unsupported_media_type`", body = ErrorBody),
    ),
    security(("token" = ["registry"])),
)]
pub(super) async fn apply(
    State(api): State<Arc<Api>>,
    access: Access,
    Parameters(query): Parameters<BulkQuery>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let format = format(&headers)?;
    let permit = Arc::clone(&api.bulks).acquire_owned().await;
    let bulk = Bulk {
        api,
        access,
        query,
        input: Some(body.into_data_stream()),
        splitter: Splitter::new(format),
        read: 0,
        failures: 0,
        total: Counts::default(),
        ended: false,
        _permit: permit.ok(),
    };
    let content_type = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((content_type, pieces::body(Bytes::new(), bulk)).into_response())
}

fn format(headers: &HeaderMap) -> Result<StreamFormat, ApiError> {
    match media_type(headers).as_str() {
        "application/x-ndjson" | "application/jsonl" => Ok(StreamFormat::JsonLines),
        _ if document_type(headers) == DocumentType::Yaml => Ok(StreamFormat::Yaml),
        _ => Err(unsupported_media_type(
            "documents in bulk are sent as application/x-ndjson or application/yaml",
        )),
    }
}

/// A request under way.
struct Bulk {
    api: Arc<Api>,
    access: Access,
    query: BulkQuery,
    /// `None` once the body has ended.
    input: Option<BodyDataStream>,
    splitter: Splitter,
    /// Documents read.
    read: usize,
    /// Documents refused.
    failures: usize,
    total: Counts,
    /// The last line is out.
    ended: bool,
    _permit: Option<OwnedSemaphorePermit>,
}

/// A document that is refused: its place, from 1, and why. Without a place it is the stream.
struct Refused {
    document: Option<usize>,
    error: ApiError,
}

impl Pieces for Bulk {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if self.ended {
            return None;
        }
        let line = match self.batch().await {
            Ok(batch) if batch.is_empty() => self.last_line(true),
            Ok(batch) => match self.write(batch).await {
                Ok(line) => line,
                Err(refused) => self.refuse(&refused),
            },
            Err(refused) => self.refuse(&refused),
        };
        // Nothing in a line cannot be written.
        let mut bytes = serde_json::to_vec(&line).unwrap_or_default();
        bytes.push(b'\n');
        Some((bytes.into(), self))
    }
}

impl Bulk {
    /// The next documents; none at the end of the stream.
    async fn batch(&mut self) -> Result<Vec<Document>, Refused> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < MAX_BATCH && bytes < BATCH_BYTES {
            let next = self.next_text().await.map_err(|error| Refused {
                document: None,
                error,
            })?;
            let Some(text) = next else { break };
            bytes += text.len();
            self.read_documents(&text, &mut batch)?;
        }
        Ok(batch)
    }

    async fn next_text(&mut self) -> Result<Option<String>, ApiError> {
        let broken = |error| ApiError::bad_request("invalid_document", error);
        loop {
            if let Some(next) = self.splitter.next().map_err(broken)? {
                return Ok(Some(next.text));
            }
            let Some(input) = &mut self.input else {
                return Ok(None);
            };
            match input::chunk(input).await {
                Some(chunk) => self.splitter.push(&chunk?),
                None => {
                    self.input = None;
                    let last = self.splitter.finish().map_err(broken)?;
                    return Ok(last.map(|last| last.text));
                }
            }
        }
    }

    /// Reads the documents of a text: one, or the items of a list.
    fn read_documents(&mut self, text: &str, batch: &mut Vec<Document>) -> Result<(), Refused> {
        let next = self.read + 1;
        let refuse = |document, error| Refused {
            document: Some(document),
            error,
        };
        let invalid = |error| ApiError::bad_request("invalid_document", error);
        let values = document_values(text).map_err(|error| {
            let reasons: Vec<_> = error
                .documents
                .iter()
                .map(|d| d.invalid.to_string())
                .collect();
            refuse(next, invalid(reasons.join("; ")))
        })?;
        // A list counts as a batch of its own, so that the bound holds.
        if batch.len() + values.len() > MAX_BATCH && values.len() > 1 {
            let reason = format!(
                "a list of {} items does not fit into a batch of {MAX_BATCH}: send the items as \
                 documents of their own",
                values.len()
            );
            return Err(refuse(next, invalid(reason)));
        }
        for value in values {
            self.read += 1;
            let document = Document::read(value)
                .map_err(|error| refuse(self.read, invalid(error.to_string())))?;
            let application = match &document {
                Document::Application(document) => &document.metadata.name,
                Document::Device(document) => &document.application,
            };
            self.access
                .contains(application)
                .map_err(|error| refuse(self.read, error))?;
            batch.push(document);
        }
        Ok(())
    }

    async fn write(&mut self, batch: Vec<Document>) -> Result<Line, Refused> {
        if self.query.dry_run {
            return Ok(Line::after(self.read));
        }
        let first = self.read - batch.len() + 1;
        let outcomes = self.api.shared.registry.apply_batch(batch).await;
        let outcomes = outcomes.map_err(|error| unwritten(error, first))?;
        let mut counts = Counts::default();
        for outcome in &outcomes {
            match outcome {
                Outcome::Created => counts.created += 1,
                Outcome::Updated => counts.updated += 1,
                Outcome::Unchanged => counts.unchanged += 1,
            }
        }
        self.total.add(counts);
        let mut line = Line::after(self.read).with(counts);
        if self.query.results {
            line.results = outcomes.into_iter().map(super::result).collect();
        }
        Ok(line)
    }

    /// The line about what is refused. A dry run goes on behind it, if it can.
    fn refuse(&mut self, refused: &Refused) -> Line {
        self.failures += 1;
        let goes_on =
            self.query.dry_run && refused.document.is_some() && self.failures < MOST_FAILURES;
        let mut line = match goes_on {
            true => Line::after(self.read),
            false => self.last_line(false),
        };
        line.document = refused.document;
        line.error = Some(refused.error.code());
        line.message = Some(refused.error.message().to_owned());
        line
    }

    fn last_line(&mut self, complete: bool) -> Line {
        self.ended = true;
        let mut line = Line::after(self.read);
        line.done = Some(complete && self.failures == 0);
        if self.query.dry_run {
            return line;
        }
        let Counts {
            created, updated, ..
        } = self.total;
        let by = self.access.name();
        tracing::info!(created, updated, by, complete, "documents written in bulk");
        line.with(self.total)
    }
}

impl Line {
    fn after(documents: usize) -> Self {
        Self {
            documents,
            ..Self::default()
        }
    }

    fn with(self, counts: Counts) -> Self {
        Self {
            created: Some(counts.created),
            updated: Some(counts.updated),
            unchanged: Some(counts.unchanged),
            ..self
        }
    }
}

impl Counts {
    fn add(&mut self, more: Self) {
        self.created += more.created;
        self.updated += more.updated;
        self.unchanged += more.unchanged;
    }
}

/// A batch that was not written; its first document is `first`.
fn unwritten(error: BatchError, first: usize) -> Refused {
    match error {
        BatchError::Document { index, error } => Refused {
            document: Some(first + index),
            error: refused(error, "resource"),
        },
        BatchError::Unavailable(error) => Refused {
            document: None,
            error: super::unavailable(error),
        },
        error @ BatchError::TooMany(_) => Refused {
            document: None,
            error: ApiError::internal("writing a batch", error),
        },
    }
}
