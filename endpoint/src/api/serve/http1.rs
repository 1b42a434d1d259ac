//! HTTP/1.1 on one connection.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::sync::watch;

use super::MOST_HEAD;
use crate::connection::BoxStream;

/// Answers requests until the client leaves or is silent for `head_timeout`, or until `end` turns
/// true and what was asked is answered.
pub(super) async fn answer(
    stream: BoxStream,
    router: Router,
    mut end: watch::Receiver<bool>,
    head_timeout: Duration,
) -> hyper::Result<()> {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(head_timeout)
        .max_buf_size(MOST_HEAD.into())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    tokio::select! {
        served = &mut connection => return served,
        _ = end.wait_for(|end| *end) => {}
    }
    connection.as_mut().graceful_shutdown();
    connection.await
}
