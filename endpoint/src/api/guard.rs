//! What every request passes first: is it meant for this host, and may its sender do this?

use std::{net::SocketAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};

use crate::server::Shared;

use super::{access::Access, error::ApiError};

/// The checks of one HTTP listener.
pub(super) struct Guard {
    /// Requests must name a loopback host: whoever reaches a loopback address through a browser
    /// may have been led there by a foreign page whose name resolves to it (DNS rebinding).
    loopback_only: bool,
    /// Knows the tokens that every request below `/api/` needs; none is needed, if `None`.
    tokens: Option<Arc<Shared>>,
}

impl Guard {
    /// Of `[api]`: requests need a token.
    pub(super) fn with_tokens(shared: Arc<Shared>) -> Self {
        let config = &shared.config.api;
        Self {
            loopback_only: config.bind.ip().is_loopback() && !config.behind_proxy,
            tokens: Some(shared),
        }
    }

    /// Of `[ops]`: requests need no token.
    pub(super) fn open(bind: Option<SocketAddr>) -> Self {
        Self {
            loopback_only: bind.is_some_and(|bind| bind.ip().is_loopback()),
            tokens: None,
        }
    }

    /// What the sender of a request may, if it needs to be known.
    async fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Option<Access>, ApiError> {
        if self.loopback_only {
            check_host(uri, headers)?;
        }
        match &self.tokens {
            Some(shared) if uri.path().starts_with("/api/") => {
                authenticate(shared, presented(headers)?).await.map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Checks a request, lets it through, and marks the answer.
pub(super) async fn pass(
    State(guard): State<Arc<Guard>>,
    mut request: Request,
    next: Next,
) -> Response {
    let mut response = match guard.check(request.uri(), request.headers()).await {
        Ok(access) => {
            if let Some(access) = access {
                request.extensions_mut().insert(access);
            }
            next.run(request).await
        }
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

/// The token that a request carries.
fn presented(headers: &HeaderMap) -> Result<&[u8], ApiError> {
    let refuse = |message| {
        Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            message,
        ))
    };
    let Some(value) = headers.get(header::AUTHORIZATION) else {
        return refuse("the request needs the header `Authorization: Bearer TOKEN`");
    };
    match bearer(value.as_bytes()) {
        Some(presented) => Ok(presented),
        None => refuse("the header `Authorization` does not have the form `Bearer TOKEN`"),
    }
}

/// RFC 9110, 11.1: the scheme's name does not depend on case.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"Bearer ")
        .then(|| token.trim_ascii())
}

async fn authenticate(shared: &Shared, presented: &[u8]) -> Result<Access, ApiError> {
    if shared.token.is(presented) {
        return Ok(Access::TokenFile);
    }
    match shared.registry.token(presented).await {
        Ok(Some(token)) => Ok(Access::Token(Arc::new(token))),
        // RFC 6750, 3.1: expired, revoked, malformed or unknown; the caller is not told which.
        Ok(None) => Err(ApiError::new(
            StatusCode::UNAUTHORIZED,
            "invalid_token",
            "this is no token of the API: it may be mistyped, revoked or expired",
        )),
        Err(error) => Err(ApiError::unavailable("the check of tokens", error)),
    }
}
