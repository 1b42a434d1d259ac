//! The console: one page and its parts, which are in the program itself. It is an ordinary client of
//! the API, and may do what the token may that is typed into it.
//!
//! The page asks nothing of any other host, and runs no script and uses no style but these files:
//! its Content-Security-Policy holds the browser to that. There are no cookies, so no other page can
//! make a request in its user's name; and the `guard` in front keeps out names that only pretend to
//! be this host.

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
    routing,
};

/// A file of the console.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    content: &'static [u8],
}

const HTML: &str = "text/html; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const ICON: &str = "image/svg+xml";

macro_rules! asset {
    ($path:literal, $type:expr, $file:literal) => {
        Asset {
            path: $path,
            content_type: $type,
            content: include_bytes!(concat!("assets/", $file)),
        }
    };
}

const ASSETS: &[Asset] = &[
    asset!("/", HTML, "index.html"),
    asset!("/console/style.css", STYLE, "style.css"),
    asset!("/console/parts.css", STYLE, "parts.css"),
    asset!("/console/icon.svg", ICON, "icon.svg"),
    asset!("/console/main.js", SCRIPT, "main.js"),
    asset!("/console/api.js", SCRIPT, "api.js"),
    asset!("/console/dom.js", SCRIPT, "dom.js"),
    asset!("/console/live.js", SCRIPT, "live.js"),
    asset!("/console/payload.js", SCRIPT, "payload.js"),
    asset!("/console/sparkline.js", SCRIPT, "sparkline.js"),
    asset!("/console/events.js", SCRIPT, "events.js"),
    asset!("/console/document.js", SCRIPT, "document.js"),
    asset!("/console/log-in.js", SCRIPT, "log-in.js"),
    asset!("/console/applications.js", SCRIPT, "applications.js"),
    asset!("/console/application.js", SCRIPT, "application.js"),
    asset!("/console/connected.js", SCRIPT, "connected.js"),
    asset!("/console/device.js", SCRIPT, "device.js"),
    asset!("/console/history.js", SCRIPT, "history.js"),
    asset!("/console/command.js", SCRIPT, "command.js"),
];

/// Nothing but the console's own files and the API; no HTML out of strings either.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
    connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
    require-trusted-types-for 'script'; trusted-types 'none'";

/// What a page has no need of.
const PERMISSIONS: &str = "camera=(), geolocation=(), microphone=(), payment=(), usb=()";

/// The page and its parts; they need no token.
pub(super) fn routes() -> Router {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        router.route(asset.path, routing::get(async || serve(asset)))
    })
}

fn serve(asset: &'static Asset) -> Response {
    let header = HeaderValue::from_static;
    (
        [
            (header::CONTENT_TYPE, header(asset.content_type)),
            (header::CONTENT_SECURITY_POLICY, header(POLICY)),
            (
                HeaderName::from_static("permissions-policy"),
                header(PERMISSIONS),
            ),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                header("same-origin"),
            ),
        ],
        asset.content,
    )
        .into_response()
}
