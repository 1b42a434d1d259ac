//! The HTTP API: registry, commands, events and connections, and the console, a page that uses it;
//! and, apart from it, health and metrics. `docs/api.md` describes it for its callers.
//!
//! Every request passes the `guard` (host, token, headers), then `access` (roles, applications)
//! before a handler sees it; every failure is an `ApiError`, answered as JSON. Each handler carries
//! its description, out of which `openapi` makes the API's document.

mod access;
mod command;
mod connections;
mod console;
mod error;
mod events;
mod guard;
mod incomplete;
mod input;
mod log_level;
mod openapi;
mod ops;
mod pieces;
mod registry;
mod serve;
#[cfg(test)]
mod tests;
mod token;
mod tokens;

use std::sync::Arc;

use axum::{Router, middleware, routing};
use bytes::Bytes;
use serde_json::Value;
use tokio::sync::Semaphore;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::server::Shared;

use access::Rules;
use guard::Guard;

pub use command::HeldEntry;
pub use connections::ConnectionEntry;
pub(crate) use connections::connection_page;
pub use serve::serve;
pub use token::{Token, TokenError};

/// Reads of the event log at once; more wait without a thread.
const READS_AT_ONCE: usize = 8;
/// Bulk writes at once; more wait before they read their bodies.
const BULKS_AT_ONCE: usize = 4;

/// What the handlers share.
struct Api {
    shared: Arc<Shared>,
    /// Bounds the threads that read the event log.
    reads: Arc<Semaphore>,
    /// Bounds the bulk writes, each of which may hold a batch of documents in memory.
    bulks: Arc<Semaphore>,
    /// The OpenAPI document, as it is answered.
    openapi: Bytes,
}

/// The API that `[api]` serves.
pub fn router(shared: Arc<Shared>) -> Router {
    let (routes, openapi) = described_routes();
    let guard = Guard::with_tokens(Arc::clone(&shared));
    let api = Arc::new(Api {
        shared,
        reads: Arc::new(Semaphore::new(READS_AT_ONCE)),
        bulks: Arc::new(Semaphore::new(BULKS_AT_ONCE)),
        openapi: openapi.to_string().into(),
    });
    let rules = Arc::new(Rules::of(&openapi));
    let routes = routes
        .route_layer(middleware::from_fn_with_state(rules, access::authorize))
        .with_state(api)
        .merge(console::routes());
    guarded(routes, guard)
}

/// All routes, and the document that describes them: neither has one that the other lacks.
fn described_routes() -> (Router<Arc<Api>>, Value) {
    let (routes, described) = OpenApiRouter::with_openapi(openapi::head())
        .merge(registry::routes())
        .merge(tokens::routes())
        .merge(command::routes())
        .routes(routes!(events::read))
        .routes(routes!(events::history::count))
        .routes(routes!(connections::list))
        .routes(routes!(log_level::show, log_level::change))
        .routes(routes!(openapi::show))
        .split_for_parts();
    // Without a document nobody but an administrator is let in anywhere.
    let document = openapi::complete(&described).unwrap_or_else(|error| {
        tracing::error!(%error, "the OpenAPI document cannot be written");
        Value::Null
    });
    (routes, document)
}

/// What `[ops]` serves, without a token: `/metrics`, `/health/live`, `/health/ready`,
/// `/health/startup`.
pub fn ops_router(shared: Arc<Shared>) -> Router {
    let guard = Guard::open(shared.config.ops.as_ref().map(|ops| ops.bind));
    let routes = Router::new()
        .route("/metrics", routing::get(ops::metrics))
        .route("/health/live", routing::get(ops::live))
        .route("/health/ready", routing::get(ops::ready))
        .route("/health/startup", routing::get(ops::startup))
        .with_state(shared);
    guarded(routes, guard)
}

fn guarded(routes: Router, guard: Guard) -> Router {
    routes
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(middleware::from_fn_with_state(Arc::new(guard), guard::pass))
}
