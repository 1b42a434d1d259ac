//! What a request brings: path, query and body, each refused in our own words.

use std::{fmt::Write as _, future::poll_fn, pin::Pin, time::Duration};

use axum::{
    body::{Body, BodyDataStream},
    extract::{FromRequestParts, Path, Query},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use serde::{Deserialize, de::DeserializeOwned};
use utoipa::IntoParams;

use super::error::ApiError;

/// Longest time that a request may take to bring its body; a body of any length, to bring more.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

/// The path's percent-decoded segments.
pub(super) struct Segments<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Segments<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::from_request_parts(parts, state).await {
            Ok(Path(segments)) => Ok(Self(segments)),
            Err(rejection) => Err(ApiError::bad_request("bad_path", rejection.body_text())),
        }
    }
}

/// The query; parameters that are not known are refused.
pub(super) struct Parameters<T>(pub(super) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Query::from_request_parts(parts, state).await {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => Err(ApiError::bad_request("bad_query", rejection.body_text())),
        }
    }
}

/// Reads the whole body, of at most `limit` bytes.
pub(super) async fn body(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, ApiError> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit as u64) {
        return Err(ApiError::too_large(limit));
    }
    match tokio::time::timeout(BODY_TIMEOUT, collect(body.into_data_stream(), limit)).await {
        Ok(collected) => collected,
        Err(_) => Err(too_slow()),
    }
}

fn too_slow() -> ApiError {
    ApiError::new(
        StatusCode::REQUEST_TIMEOUT,
        "timeout",
        "the body did not come in time",
    )
}

/// The next bytes of a body that may be of any length, `None` at its end.
pub(super) async fn chunk(data: &mut BodyDataStream) -> Option<Result<Bytes, ApiError>> {
    match tokio::time::timeout(BODY_TIMEOUT, next_chunk(data)).await {
        Ok(chunk) => chunk,
        Err(_) => Some(Err(too_slow())),
    }
}

async fn next_chunk(data: &mut BodyDataStream) -> Option<Result<Bytes, ApiError>> {
    let chunk = poll_fn(|cx| Pin::new(&mut *data).poll_next(cx)).await?;
    Some(chunk.map_err(|_| ApiError::bad_request("bad_body", "the body broke off")))
}

async fn collect(mut data: BodyDataStream, limit: usize) -> Result<Bytes, ApiError> {
    let mut collected = BytesMut::new();
    while let Some(chunk) = next_chunk(&mut data).await {
        let chunk = chunk?;
        if collected.len() + chunk.len() > limit {
            return Err(ApiError::too_large(limit));
        }
        collected.extend_from_slice(&chunk);
    }
    Ok(collected.freeze())
}

/// `limit` and `continue` of a list that is ordered by name.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Paging {
    /// Most items of the page; default 100.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// The name to go on after: `Landfall-Continue` of the page before.
    #[serde(rename = "continue")]
    #[param(rename = "continue")]
    after: Option<String>,
}

/// Items of a page, if the request does not say.
const DEFAULT_PAGE: usize = 100;
/// Most items of a page.
const MOST_ITEMS: usize = 1_000;

impl Paging {
    pub(super) fn limit(&self) -> Result<usize, ApiError> {
        Self::check(self.limit)
    }

    /// The size of a page that is asked for in so many words.
    pub(super) fn check(limit: Option<usize>) -> Result<usize, ApiError> {
        match limit.unwrap_or(DEFAULT_PAGE) {
            limit @ 1..=MOST_ITEMS => Ok(limit),
            _ => Err(ApiError::bad_request(
                "bad_query",
                format_args!("limit is 1 to {MOST_ITEMS}"),
            )),
        }
    }

    /// The name to go on after.
    pub(super) fn after(&self) -> Option<&str> {
        self.after.as_deref()
    }
}

/// Answers with a page of a list; `next` is what to give as `continue` for more, percent-encoded as
/// a query needs it.
pub(super) fn page(next: Option<&str>, items: impl IntoResponse) -> Response {
    match next {
        Some(next) => ([("landfall-continue", encoded(next))], items).into_response(),
        None => items.into_response(),
    }
}

/// All but RFC 3986's unreserved characters percent-encoded: names need not be ASCII, headers are.
pub(super) fn encoded(name: &str) -> String {
    name.bytes()
        .fold(String::with_capacity(name.len()), |mut encoded, byte| {
            match byte {
                b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
                byte if byte.is_ascii_alphanumeric() => encoded.push(char::from(byte)),
                byte => {
                    // Writing to a string does not fail.
                    let _ = write!(encoded, "%{byte:02X}");
                }
            }
            encoded
        })
}
