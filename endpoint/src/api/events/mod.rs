//! Events out of the durable log: a page, or a stream that goes on.
//!
//! Both start after an offset and tell the offset to go on with, so a consumer that stores it reads
//! every event at least once, whatever is restarted.

pub(super) mod history;
mod page;
mod stream;
mod watch;

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::Response,
};
use landfall_events::sink::log::{Filter, LogReader, Page, ReadError};
use serde::Deserialize;
use tokio::sync::Semaphore;

use watch::Watch;

use super::{
    Api,
    access::Access,
    error::{ApiError, ErrorBody},
    input::{Parameters, Segments},
    registry::must_exist,
};

/// Events of a page, if the request does not say.
const DEFAULT_LIMIT: usize = 100;
/// Most events of a page.
const MOST_EVENTS: usize = 10_000;
/// Most events that `last` may ask for.
const MOST_LAST: u64 = 10_000;
/// The error code of an offset whose events are gone.
const EXPIRED: &str = "offset_expired";
/// Most bytes of a page, unless its first event is larger: what a request takes in memory.
const PAGE_BYTES: usize = 1 << 20;
/// The same for the pages that a stream is made of: streams are many, and last.
const STREAM_BYTES: usize = 128 << 10;

#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Query {
    /// Start after this offset; left out, with the oldest retained event.
    after: Option<u64>,
    /// Start with the newest so many events instead, or with what comes (0).
    #[param(maximum = 10000)]
    last: Option<u64>,
    /// Most events of the page; default 100.
    #[param(minimum = 1, maximum = 10000)]
    limit: Option<usize>,
    /// The newest events before this offset: pages that go back. Not for streams.
    before: Option<u64>,
    /// Events of this device alone. A page then goes back from the end, or from `before`.
    #[param(max_length = 255)]
    device: Option<String>,
    /// Events of this CloudEvents type alone, as `io.drogue.connection.v1`; likewise.
    #[serde(rename = "type")]
    #[param(rename = "type", max_length = 255)]
    event_type: Option<String>,
}

impl Query {
    /// Whether it asks for the newest events before something, instead of the oldest after it.
    fn goes_back(&self) -> bool {
        self.before.is_some() || self.is_filtered()
    }

    /// Whether it asks for certain events alone.
    fn is_filtered(&self) -> bool {
        self.device.is_some() || self.event_type.is_some()
    }

    fn check(&self, stream: bool) -> Result<(), ApiError> {
        let wrong = |what: &str| Err(ApiError::bad_request("bad_query", what));
        if !(1..=MOST_EVENTS).contains(&self.limit.unwrap_or(DEFAULT_LIMIT)) {
            return wrong(&format!("limit is 1 to {MOST_EVENTS}"));
        }
        if self.last.is_some_and(|last| last > MOST_LAST) || self.last.and(self.after).is_some() {
            return wrong(&format!("last is 0 to {MOST_LAST}, and goes without after"));
        }
        if self.before.is_some() && (stream || self.last.or(self.after).is_some()) {
            return wrong("before is for pages, and goes without after and last");
        }
        if self.is_filtered() && !stream && self.last.or(self.after).is_some() {
            return wrong(
                "pages of certain events go back: device and type go with before, not with after \
                 or last",
            );
        }
        Ok(())
    }
}

/// Read events
///
/// A page of the durable log; or, with `Accept: text/event-stream`, a stream that goes on with what
/// comes: `id` is the offset, `data` one event, and `Last-Event-ID` resumes. With `before`, `device`
/// or `type`, a page holds the newest events instead, still oldest first, and a header says where to
/// go on back; a page of one device or type may hold fewer than there are, even none, before that
/// ends.
#[utoipa::path(
    get, path = "/api/events/v1alpha1/apps/{app}", tag = "events", operation_id = "readEvents",
    params(
        ("app" = String, Path, description = "The application"),
        ("Last-Event-ID" = Option<u64>, Header,
            description = "Of a stream that broke off: the offset to go on after"),
        Query,
    ),
    responses(
        (status = 200, description = "Events, oldest first",
            content(
                (ref("#/components/schemas/EventBatch") = "application/cloudevents-batch+json"),
                (String = "text/event-stream"),
            ),
            headers(
                ("Landfall-Next-Offset" = u64,
                    description = "Of a page: what to give as `after` for the next"),
                ("Landfall-Previous-Offset" = u64,
                    description = "Where a look back ended: what to give as `before` for the page \
                        before; left out at the oldest event that is retained"),
            )),
        (status = 404, description = "`unknown_application`, `no_event_log`", body = ErrorBody),
        (status = 410, description = "`offset_expired`; `oldest` is the oldest retained offset",
            body = ErrorBody),
    ),
    security(("token" = ["events"])),
)]
pub(super) async fn read(
    State(api): State<Arc<Api>>,
    access: Access,
    Segments(application): Segments<String>,
    Parameters(query): Parameters<Query>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let stream = accepts_event_stream(&headers);
    query.check(stream)?;
    let log = Log {
        reader: log_reader(&api)?.clone(),
        reads: Arc::clone(&api.reads),
        application: application.into(),
        device: query.device.as_deref().map(Into::into),
        event_type: query.event_type.as_deref().map(Into::into),
        limit: query.limit.unwrap_or(DEFAULT_LIMIT),
        max_bytes: if stream { STREAM_BYTES } else { PAGE_BYTES },
    };
    if stream {
        // An offset in the header comes from a stream that broke off: it is newer than the query's.
        let first = match last_event_id(&headers)? {
            Some(after) => first_page(&api, &log, Some(after)).await?,
            None => log.start(&api, &query).await?,
        };
        let watch = Watch {
            shared: Arc::clone(&api.shared),
            access,
        };
        Ok(stream::respond(log, watch, &first))
    } else if query.goes_back() {
        Ok(page::respond(&last_page(&api, &log, query.before).await?))
    } else {
        Ok(page::respond(&log.start(&api, &query).await?))
    }
}

/// The log that this server has, if any.
fn log_reader(api: &Api) -> Result<&LogReader, ApiError> {
    api.shared.sinks.log_reader().ok_or_else(|| {
        ApiError::not_found(
            "no_event_log",
            "this server has no sink of type log to read",
        )
    })
}

/// The log of one application, and how much of it is read at a time.
struct Log {
    reader: LogReader,
    reads: Arc<Semaphore>,
    application: Arc<str>,
    /// Events of this device alone.
    device: Option<Arc<str>>,
    /// Events of this type alone.
    event_type: Option<Arc<str>>,
    limit: usize,
    max_bytes: usize,
}

impl Log {
    /// Whether certain events alone are read.
    fn is_filtered(&self) -> bool {
        self.device.is_some() || self.event_type.is_some()
    }

    /// The first page, from where the query wants it to start.
    async fn start(&self, api: &Api, query: &Query) -> Result<Page, ApiError> {
        let Some(last) = query.last else {
            return first_page(api, self, query.after).await;
        };
        if self.is_filtered() {
            let newest = usize::try_from(last).unwrap_or(usize::MAX);
            return self.read_back(None, newest).await;
        }
        let latest = first_page(api, self, None).await?.latest();
        match self.read(Some(latest.saturating_sub(last))).await {
            // Fewer are retained.
            Err(error) if error.code() == EXPIRED => self.read(None).await,
            page => page,
        }
    }

    async fn read(&self, after: Option<u64>) -> Result<Page, ApiError> {
        let (limit, max_bytes) = (self.limit, self.max_bytes);
        let read = move |reader: LogReader, application: &str, filter: Filter<'_>| {
            reader.read_filtered(application, after, filter, limit, max_bytes)
        };
        self.ask(read).await
    }

    /// The newest events before `before`.
    async fn read_back(&self, before: Option<u64>, limit: usize) -> Result<Page, ApiError> {
        let max_bytes = self.max_bytes;
        let read = move |reader: LogReader, application: &str, filter: Filter<'_>| {
            reader.read_back(application, before, filter, limit, max_bytes)
        };
        self.ask(read).await
    }

    async fn ask(
        &self,
        read: impl FnOnce(LogReader, &str, Filter<'_>) -> Result<Page, ReadError> + Send + 'static,
    ) -> Result<Page, ApiError> {
        let permit = Arc::clone(&self.reads).acquire_owned().await;
        let (reader, application) = (self.reader.clone(), Arc::clone(&self.application));
        let (device, event_type) = (self.device.clone(), self.event_type.clone());
        let read = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let filter = Filter {
                device: device.as_deref(),
                event_type: event_type.as_deref(),
            };
            read(reader, &application, filter)
        });
        match read.await {
            Ok(Ok(page)) => Ok(page),
            Ok(Err(ReadError::Expired { oldest })) => Err(expired(oldest)),
            Ok(Err(error)) => Err(ApiError::internal("reading the event log", error)),
            Err(error) => Err(ApiError::internal("reading the event log", error)),
        }
    }
}

/// Reads the newest page before an offset.
async fn last_page(api: &Api, log: &Log, before: Option<u64>) -> Result<Page, ApiError> {
    let page = log.read_back(before, log.limit).await?;
    if page.latest() == 0 {
        must_exist(api, &log.application).await?;
    }
    Ok(page)
}

/// Reads the first page and refuses what can never become right by waiting.
async fn first_page(api: &Api, log: &Log, after: Option<u64>) -> Result<Page, ApiError> {
    let page = log.read(after).await?;
    // A log that never had an event may belong to an application that nobody knows.
    if page.latest() == 0 {
        must_exist(api, &log.application).await?;
    }
    match after {
        Some(after) if after > page.latest() => Err(ApiError::bad_request(
            "unknown_offset",
            format_args!(
                "offset {after} was never given out: the newest is {}",
                page.latest()
            ),
        )
        .with("latest", page.latest())),
        _ => Ok(page),
    }
}

fn expired(oldest: u64) -> ApiError {
    ApiError::new(
        StatusCode::GONE,
        EXPIRED,
        format_args!(
            "events after this offset were dropped by the log's retention; the oldest retained is \
             {oldest}: go on with after={}",
            oldest.saturating_sub(1)
        ),
    )
    .with("oldest", oldest)
}

/// RFC 9110, 12.5.1, as far as it is needed: the type is named, and not refused by `q=0`.
fn accepts_event_stream(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::ACCEPT).iter();
    values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let named = parts
                .next()
                .is_some_and(|media_type| media_type.eq_ignore_ascii_case("text/event-stream"));
            named && !parts.any(|parameter| parameter.eq_ignore_ascii_case("q=0"))
        })
}

/// The offset of the last event that a reconnecting reader has seen.
fn last_event_id(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    match headers.get("last-event-id").map(|id| id.to_str()) {
        None | Some(Ok("")) => Ok(None),
        Some(id) => match id.ok().and_then(|id| id.trim().parse().ok()) {
            Some(offset) => Ok(Some(offset)),
            None => Err(ApiError::bad_request(
                "bad_header",
                "Last-Event-ID is an offset: the id of an event of this stream",
            )),
        },
    }
}

/// Names in a header where a look back ended, if more is to be had there.
fn with_previous_offset(mut response: Response, page: &Page) -> Response {
    if let Some(previous) = page.previous() {
        let headers = response.headers_mut();
        headers.insert("landfall-previous-offset", previous.into());
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepting(value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(header::ACCEPT, value.parse().unwrap())])
    }

    #[test]
    fn a_stream_is_given_to_who_asks_for_one() {
        assert!(accepts_event_stream(&accepting("text/event-stream")));
        assert!(accepts_event_stream(&accepting(
            "application/json, Text/Event-Stream;q=0.9"
        )));
        assert!(!accepts_event_stream(&accepting(
            "text/event-stream;q=0, */*"
        )));
        assert!(!accepts_event_stream(&accepting("*/*")));
        assert!(!accepts_event_stream(&HeaderMap::new()));
    }
}
