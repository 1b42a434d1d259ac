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
    /// Which hosts requests may name.
    hosts: Hosts,
    /// How the origins of its own pages begin.
    scheme: &'static str,
    /// Knows the tokens that every request below `/api/` needs; none is needed, if `None`.
    tokens: Option<Arc<Shared>>,
}

/// Which hosts requests may name, and their pages be of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hosts {
    /// Loopback ones: whoever reaches a loopback address through a browser may have been led there by
    /// a foreign page whose name resolves to it (DNS rebinding).
    Loopback,
    /// Those that the certificate names, which the client has looked at.
    Certified,
    /// Any: a proxy has other names.
    Any,
}

impl Hosts {
    fn of(bind: SocketAddr, has_tls: bool) -> Self {
        match (bind.ip().is_loopback(), has_tls) {
            (true, _) => Self::Loopback,
            (false, true) => Self::Certified,
            (false, false) => Self::Any,
        }
    }
}

impl Guard {
    /// Of `[api]`: requests need a token.
    pub(super) fn with_tokens(shared: Arc<Shared>) -> Self {
        let config = &shared.config.api;
        let has_tls = config.tls.is_some();
        Self {
            hosts: match config.behind_proxy {
                true => Hosts::Any,
                false => Hosts::of(config.bind, has_tls),
            },
            scheme: if has_tls { "https://" } else { "http://" },
            tokens: Some(shared),
        }
    }

    /// Of `[ops]`: requests need no token.
    pub(super) fn open(bind: Option<SocketAddr>) -> Self {
        Self {
            hosts: bind.map_or(Hosts::Any, |bind| Hosts::of(bind, false)),
            scheme: "http://",
            tokens: None,
        }
    }

    /// What the sender of a request may, if it needs to be known.
    async fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<Option<Access>, ApiError> {
        self.check_host(uri, headers)?;
        match &self.tokens {
            Some(shared) if uri.path().starts_with("/api/") => {
                authenticate(shared, presented(headers)?).await.map(Some)
            }
            _ => Ok(None),
        }
    }

    fn check_host(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), ApiError> {
        if self.hosts == Hosts::Any {
            return Ok(());
        }
        // RFC 9112, 3.2.2: a target with an authority counts more than the Host field.
        let host = match uri.authority() {
            Some(authority) => Some(authority.clone()),
            None => authority_in(headers, header::HOST, ""),
        };
        match &host {
            Some(host) if self.hosts == Hosts::Certified || is_loopback(host) => {}
            _ => return Err(self.foreign("the request's Host")),
        }
        // Browsers say which page a request comes from; only a page of this server may make one.
        if headers.contains_key(header::ORIGIN)
            && authority_in(headers, header::ORIGIN, self.scheme) != host
        {
            return Err(self.foreign("the request's Origin"));
        }
        Ok(())
    }

    fn foreign(&self, what: &str) -> ApiError {
        let hint = match self.hosts {
            Hosts::Loopback => {
                "use localhost or a loopback address (behind a proxy, set \
                                api.behind_proxy)"
            }
            Hosts::Certified | Hosts::Any => "behind a proxy, set api.behind_proxy",
        };
        ApiError::new(
            StatusCode::FORBIDDEN,
            "foreign_host",
            format_args!("{what} is not this host: {hint}"),
        )
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

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(hosts: Hosts) -> Guard {
        Guard {
            hosts,
            scheme: "https://",
            tokens: None,
        }
    }

    async fn passes(guard: &Guard, host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        guard.check(&Uri::from_static("/"), &headers).await.is_ok()
    }

    #[tokio::test]
    async fn beyond_loopback_tls_serves_pages_of_the_host_that_is_asked() {
        let certified = guard(Hosts::Certified);
        for (origin, expected) in [
            (None, true),
            (Some("https://landfall.example:8443"), true),
            (Some("https://landfall.example"), false),
            (Some("http://landfall.example:8443"), false),
            (Some("https://attacker.example"), false),
            (Some("null"), false),
        ] {
            let passes = passes(&certified, "landfall.example:8443", origin).await;
            assert_eq!(passes, expected, "{origin:?}");
        }
    }

    #[tokio::test]
    async fn on_loopback_tls_serves_loopback_names_alone() {
        let loopback = guard(Hosts::Loopback);
        assert!(passes(&loopback, "localhost:8080", Some("https://localhost:8080")).await);
        assert!(!passes(&loopback, "localhost:8080", Some("http://localhost:8080")).await);
        assert!(!passes(&loopback, "landfall.example", None).await);
    }
}
