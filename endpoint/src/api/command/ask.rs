//! What the request of a command says beside its payload: query and headers.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;

use crate::command::{Lifetime, UserProperty};

use super::ApiError;

/// How long to wait for the outcome, if the request does not say.
const DEFAULT_TIMEOUT: f64 = 5.0;
const MOST_TIMEOUT: f64 = 60.0;
/// Longest time that a command may be held: 30 days, in seconds.
const MOST_TTL: u32 = 30 * 24 * 60 * 60;

/// A user property of the command: `NAME=VALUE`. May stand several times.
const USER_PROPERTY: HeaderName = HeaderName::from_static("landfall-user-property");
/// Headers that become user properties of the same name (W3C Trace Context).
const TRACE: [&str; 2] = ["traceparent", "tracestate"];

/// The query.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Query {
    /// The command's name: one topic level.
    pub(super) command: String,
    /// How long to wait for the outcome, in seconds, also with a fraction; default 5. 0: not at
    /// all.
    #[param(minimum = 0.0, maximum = 60.0)]
    timeout: Option<f64>,
    /// Wait for the device's answer, and pass it on.
    #[serde(default)]
    pub(super) response: bool,
    /// Hold the command for this many seconds, until the device has taken it.
    #[param(minimum = 1, maximum = 2_592_000)]
    ttl: Option<u32>,
    /// How many seconds the message is of use. What is left of it reaches MQTT 5 devices; later
    /// than that it is not delivered.
    #[param(minimum = 1)]
    expiry: Option<u32>,
}

/// How long a command is waited for, kept, and of use.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) timeout: Duration,
    pub(super) ttl: Option<Lifetime>,
    pub(super) expiry: Option<Lifetime>,
}

impl Way {
    pub(super) fn of(query: &Query) -> Result<Self, ApiError> {
        let refuse = |message: &str| Err(ApiError::bad_request("bad_query", message));
        if query.response && query.ttl.is_some() {
            return refuse("a held command has no answer: give response or ttl");
        }
        if query.ttl.is_some() && query.expiry.is_some() {
            return refuse("a held command is of use as long as it is held: give ttl or expiry");
        }
        if query.ttl.is_some_and(|ttl| ttl > MOST_TTL) {
            return refuse("ttl is 1 to 2592000 seconds, which are 30 days");
        }
        let timeout = timeout(query.timeout)?;
        if query.response && timeout.is_zero() {
            return refuse("whoever wants the answer waits for it: timeout is above 0");
        }
        Ok(Self {
            timeout,
            ttl: lifetime("ttl", query.ttl)?,
            expiry: lifetime("expiry", query.expiry)?,
        })
    }
}

fn lifetime(name: &str, seconds: Option<u32>) -> Result<Option<Lifetime>, ApiError> {
    let Some(seconds) = seconds else {
        return Ok(None);
    };
    match Lifetime::of_seconds(seconds) {
        Some(lifetime) => Ok(Some(lifetime)),
        None => Err(ApiError::bad_request(
            "bad_query",
            format_args!("{name} is at least 1 second"),
        )),
    }
}

fn timeout(seconds: Option<f64>) -> Result<Duration, ApiError> {
    let seconds = seconds.unwrap_or(DEFAULT_TIMEOUT);
    if !(0.0..=MOST_TIMEOUT).contains(&seconds) {
        return Err(ApiError::bad_request(
            "bad_query",
            format_args!("timeout is 0 to {MOST_TIMEOUT} seconds"),
        ));
    }
    Ok(Duration::from_secs_f64(seconds))
}

pub(super) fn content_type(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    match headers
        .get(header::CONTENT_TYPE)
        .map(|value| value.to_str())
    {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.to_owned())),
        Some(Err(_)) => Err(ApiError::bad_request(
            "bad_header",
            "Content-Type has characters that are not printable ASCII",
        )),
    }
}

pub(super) fn user_properties(headers: &HeaderMap) -> Result<Vec<UserProperty>, ApiError> {
    let mut properties = Vec::new();
    for name in TRACE {
        for value in headers.get_all(name) {
            properties.push((name.to_owned(), text(name, value)?.to_owned()));
        }
    }
    for header in headers.get_all(USER_PROPERTY) {
        let Some((name, value)) = text(USER_PROPERTY.as_str(), header)?.split_once('=') else {
            return Err(ApiError::bad_request(
                "bad_header",
                "Landfall-User-Property is NAME=VALUE",
            ));
        };
        properties.push((name.to_owned(), value.to_owned()));
    }
    Ok(properties)
}

/// MQTT's strings are UTF-8, and so are the values of our own headers.
fn text<'h>(name: &str, value: &'h HeaderValue) -> Result<&'h str, ApiError> {
    std::str::from_utf8(value.as_bytes())
        .map_err(|_| ApiError::bad_request("bad_header", format_args!("{name} is not UTF-8")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_is_five_seconds_unless_the_sender_says_up_to_sixty() {
        assert_eq!(timeout(None).unwrap(), Duration::from_secs(5));
        assert_eq!(timeout(Some(0.0)).unwrap(), Duration::ZERO);
        assert_eq!(timeout(Some(0.25)).unwrap(), Duration::from_millis(250));
        assert_eq!(timeout(Some(60.0)).unwrap(), Duration::from_secs(60));
        for wrong in [-1.0, 60.5, f64::NAN, f64::INFINITY] {
            assert_eq!(timeout(Some(wrong)).unwrap_err().code(), "bad_query");
        }
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        let query = |text: &str| -> Query { serde_json::from_str(text).unwrap() };
        for wrong in [
            r#"{"command":"x","response":true,"ttl":5}"#,
            r#"{"command":"x","expiry":5,"ttl":5}"#,
            r#"{"command":"x","response":true,"timeout":0}"#,
            r#"{"command":"x","ttl":0}"#,
            r#"{"command":"x","expiry":0}"#,
            r#"{"command":"x","ttl":2592001}"#,
        ] {
            assert_eq!(Way::of(&query(wrong)).unwrap_err().code(), "bad_query");
        }
        Way::of(&query(r#"{"command":"x","ttl":2592000,"timeout":0}"#)).unwrap();
        Way::of(&query(r#"{"command":"x","expiry":4294967295}"#)).unwrap();
    }

    #[test]
    fn trace_context_and_our_own_header_become_user_properties() {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static("00-ab-cd-01"));
        headers.append(USER_PROPERTY, HeaderValue::from_static("a=1=2"));
        headers.append(
            USER_PROPERTY,
            HeaderValue::from_bytes("ü=ä".as_bytes()).unwrap(),
        );
        headers.append("x-other", HeaderValue::from_static("no"));
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(
            user_properties(&headers).unwrap(),
            [
                pair("traceparent", "00-ab-cd-01"),
                pair("a", "1=2"),
                pair("ü", "ä")
            ]
        );
        for wrong in [b"no pair".as_slice(), b"a=\xff"] {
            headers.append(USER_PROPERTY, HeaderValue::from_bytes(wrong).unwrap());
            let refused = user_properties(&headers).unwrap_err();
            assert_eq!(refused.code(), "bad_header");
            headers.remove(USER_PROPERTY);
        }
    }
}
