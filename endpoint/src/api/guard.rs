//! What every request passes first: is it meant for this host, and may its sender do this?

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::config::ApiConfig;

use super::{error::ApiError, token::Token};

/// The checks of one HTTP listener.
pub(super) struct Guard {
    /// Requests must name a loopback host: whoever reaches a loopback address through a browser
    /// may have been led there by a foreign page whose name resolves to it (DNS rebinding).
    loopback_only: bool,
    /// What paths below `/api/` need.
    access: Access,
}

enum Access {
    /// Nothing.
    Open,
    /// The token.
    Token(Token),
    /// There is no token, so nobody can have it.
    Closed,
}

impl Guard {
    /// Reads the token, or makes it. Without one every request is refused; `serve` has made sure
    /// of it before, and says what is wrong.
    pub(super) fn with_token(config: &ApiConfig) -> Self {
        let access = match Token::load_or_create(&config.token_file) {
            Ok(token) => Access::Token(token),
            Err(error) => {
                tracing::error!(%error, "the API is closed");
                Access::Closed
            }
        };
        Self {
            loopback_only: config.bind.ip().is_loopback() && !config.behind_proxy,
            access,
        }
    }

    pub(super) fn open(bind: Option<SocketAddr>) -> Self {
        Self {
            loopback_only: bind.is_some_and(|bind| bind.ip().is_loopback()),
            access: Access::Open,
        }
    }

    fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.loopback_only {
            check_host(uri, headers)?;
        }
        if !uri.path().starts_with("/api/") {
            return Ok(());
        }
        match &self.access {
            Access::Open => Ok(()),
            Access::Token(token) => check_token(token, headers),
            Access::Closed => Err(ApiError::unavailable("the API", "there is no token")),
        }
    }
}

/// Checks a request, lets it through, and marks the answer.
pub(super) async fn pass(
    State(guard): State<Arc<Guard>>,
    request: Request,
    next: Next,
) -> Response {
    let mut response = match guard.check(request.uri(), request.headers()) {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    for (name, value) in SECURITY_HEADERS {
        response
            .headers_mut()
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
    response
}

/// Nothing here is a page: nothing may be framed, sniffed, cached, or load anything.
const SECURITY_HEADERS: [(HeaderName, &str); 5] = [
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; frame-ancestors 'none'",
    ),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (header::CACHE_CONTROL, "no-store"),
    (header::REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

fn check_host(uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = |what| {
        Err(ApiError::new(
            StatusCode::FORBIDDEN,
            "foreign_host",
            format_args!(
                "{what} is not this host: use localhost or a loopback address (behind a proxy, set \
                 api.behind_proxy)"
            ),
        ))
    };
    // RFC 9112, 3.2.2: a target with an authority counts more than the Host field.
    let host = match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => authority_in(headers, header::HOST, ""),
    };
    match &host {
        Some(host) if is_loopback(host) => {}
        _ => return refuse("the request's Host"),
    }
    // Browsers say which page a request comes from; only a page of this server may make one.
    if headers.contains_key(header::ORIGIN)
        && authority_in(headers, header::ORIGIN, "http://") != host
    {
        return refuse("the request's Origin");
    }
    Ok(())
}

/// The one value of a header as host and port, without the prefix it must have.
fn authority_in(headers: &HeaderMap, name: HeaderName, prefix: &str) -> Option<Authority> {
    let mut values = headers.get_all(name).iter();
    let value = values.next()?.to_str().ok()?;
    match values.next() {
        Some(_) => None,
        None => value.strip_prefix(prefix)?.parse().ok(),
    }
}

fn is_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<std::net::IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

fn check_token(token: &Token, headers: &HeaderMap) -> Result<(), ApiError> {
    let refuse = |code, message| Err(ApiError::new(StatusCode::UNAUTHORIZED, code, message));
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return refuse(
            "unauthorized",
            "the request needs the header `Authorization: Bearer TOKEN`",
        );
    };
    match bearer(value.as_bytes()) {
        Some(presented) if token.is(presented) => Ok(()),
        Some(_) => refuse("invalid_token", "this is not the API's token"),
        None => refuse(
            "unauthorized",
            "the header `Authorization` does not have the form `Bearer TOKEN`",
        ),
    }
}

/// RFC 9110, 11.1: the scheme's name does not depend on case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}
