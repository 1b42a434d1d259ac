//! HTTP/2 on one connection (RFC 9113).
//!
//! Unlike that of HTTP/1.1, hyper's has no patience of its own: a client that never asks, sends half
//! a head, or does not take what it asked for would keep its connection for ever. So the server's
//! turns are counted: while none is at work, the client has something to do, and time runs.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{Router, body::Body};
use bytes::Bytes;
use hyper::{
    Request,
    body::{Frame, Incoming, SizeHint},
    server::conn::http2,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{sync::watch, time::timeout};

use super::MOST_HEAD;
use crate::connection::BoxStream;

/// Requests of one connection that are answered at once.
const MOST_STREAMS: u32 = 32;
/// For a client to confirm that it asks nothing more.
const FAREWELL: Duration = Duration::from_secs(1);

/// Answers requests until the client leaves or lets the server wait for `patience`, or until `end`
/// turns true and what was asked is answered.
pub(super) async fn answer(
    stream: BoxStream,
    router: Router,
    mut end: watch::Receiver<bool>,
    patience: Duration,
) -> hyper::Result<()> {
    let turns = Turns::default();
    let mut seen = turns.0.subscribe();
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |request: Request<Incoming>| {
        let turn = turns.begin();
        let answering = router.call(request);
        let turns = turns.clone();
        async move {
            let answer = answering.await?;
            drop(turn);
            let turn = None;
            Ok::<_, Infallible>(answer.map(|body| Attended { body, turns, turn }))
        }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(MOST_STREAMS)
        .max_header_list_size(MOST_HEAD.into())
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        served = &mut connection => return served,
        () = idle(&mut seen, patience) => {}
        _ = end.wait_for(|end| *end) => {}
    }
    connection.as_mut().graceful_shutdown();
    tokio::select! {
        served = connection => served,
        () = idle(&mut seen, FAREWELL) => Ok(()),
    }
}

/// Waits until the server has had nothing to do for `period`.
async fn idle(turns: &mut watch::Receiver<usize>, period: Duration) {
    // Without a sender the connection is over, too.
    while turns.wait_for(|turns| *turns == 0).await.is_ok() {
        if timeout(period, turns.changed()).await.is_err() {
            return;
        }
    }
}

/// How many requests the server is at work for.
#[derive(Clone, Default)]
struct Turns(Arc<watch::Sender<usize>>);

impl Turns {
    fn begin(&self) -> Turn {
        self.0.send_modify(|turns| *turns += 1);
        Turn(self.clone())
    }
}

/// Over when dropped.
struct Turn(Turns);

impl Drop for Turn {
    fn drop(&mut self) {
        let Turns(turns) = &self.0;
        turns.send_modify(|turns| *turns = turns.saturating_sub(1));
    }
}

/// An answer's body. It is the server's turn while the next piece is waited for, and the client's
/// from then on until it has taken that.
struct Attended {
    body: Body,
    turns: Turns,
    turn: Option<Turn>,
}

impl hyper::body::Body for Attended {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Self { body, turns, turn } = self.get_mut();
        turn.get_or_insert_with(|| turns.begin());
        let polled = Pin::new(body).poll_frame(cx);
        if polled.is_ready() {
            *turn = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
