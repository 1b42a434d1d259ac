//! The HTTP API: registry, commands, events and connections; and, apart from it, health and
//! metrics. `docs/api.md` describes it for its callers.
//!
//! Every request passes the `guard` (host, token, headers) before a handler sees it; every failure
//! is an `ApiError`, answered as JSON.

mod command;
mod connections;
mod error;
mod events;
mod guard;
mod input;
mod ops;
mod registry;
mod serve;
#[cfg(test)]
mod tests;
mod token;

use std::sync::Arc;

use axum::{Router, middleware, routing};
use tokio::sync::Semaphore;

use crate::server::Shared;

use guard::Guard;

pub use serve::serve;
pub use token::{Token, TokenError};

/// Reads of the event log at once; more wait without a thread.
const READS_AT_ONCE: usize = 8;

/// What the handlers share.
struct Api {
    shared: Arc<Shared>,
    /// Bounds the threads that read the event log.
    reads: Arc<Semaphore>,
}

/// The API that `[api]` serves.
pub fn router(shared: Arc<Shared>) -> Router {
    let guard = Guard::with_token(&shared.config.api);
    let api = Arc::new(Api {
        shared,
        reads: Arc::new(Semaphore::new(READS_AT_ONCE)),
    });
    let routes = Router::new()
        .nest("/api/registry/v1alpha1", registry::routes())
        .route(
            "/api/command/v1alpha1/apps/{app}/devices/{device}",
            routing::post(command::send),
        )
        .route(
            "/api/events/v1alpha1/apps/{app}",
            routing::get(events::read),
        )
        .route(
            "/api/connections/v1alpha1/apps/{app}",
            routing::get(connections::list),
        )
        .with_state(api);
    guarded(routes, guard)
}

/// What `[ops]` serves, without a token: `/metrics`, `/health/live`, `/health/ready`.
pub fn ops_router(shared: Arc<Shared>) -> Router {
    let guard = Guard::open(shared.config.ops.as_ref().map(|ops| ops.bind));
    let routes = Router::new()
        .route("/metrics", routing::get(ops::metrics))
        .route("/health/live", routing::get(ops::live))
        .route("/health/ready", routing::get(ops::ready))
        .with_state(shared);
    guarded(routes, guard)
}

fn guarded(routes: Router, guard: Guard) -> Router {
    routes
        .fallback(error::no_such_route)
        .method_not_allowed_fallback(error::no_such_method)
        .layer(middleware::from_fn_with_state(Arc::new(guard), guard::pass))
}
