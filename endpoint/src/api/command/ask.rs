//! What the request of a command says beside its payload: query and headers.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use serde::Deserialize;

use crate::command::{UserProperty, Wishes};

use super::ApiError;

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
    response: bool,
    /// Hold the command for this many seconds, until the device has taken it.
    #[param(minimum = 1, maximum = 2_592_000)]
    ttl: Option<u32>,
    /// How many seconds the message is of use. What is left of it reaches MQTT 5 devices; later
    /// than that it is not delivered.
    #[param(minimum = 1)]
    expiry: Option<u32>,
}

impl Query {
    pub(super) fn wishes(&self) -> Wishes {
        Wishes {
            timeout: self.timeout,
            response: self.response,
            ttl: self.ttl,
            expiry: self.expiry,
        }
    }
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
