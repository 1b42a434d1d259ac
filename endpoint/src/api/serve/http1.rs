//! HTTP/1.1 on one connection.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::sync::watch;
use tokio_io_timeout::TimeoutStream;

use super::MOST_HEAD;
use crate::connection::BoxStream;

/// Answers requests until the client leaves, is silent for `patience` or takes nothing of an answer for
/// as long, or until `end` turns true and what was asked is answered.
pub(super) async fn answer(
    stream: BoxStream,
    router: Router,
    mut end: watch::Receiver<bool>,
    patience: Duration,
) -> hyper::Result<()> {
    // Unlike that of a head, hyper has no time-out of an answer.
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(patience));
    let stream = Box::pin(stream);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(patience)
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
