//! Bodies that are made piece by piece, as fast as their readers take them.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::body::Body;
use bytes::Bytes;
use futures_core::Stream;

/// Makes the pieces of a body.
pub(super) trait Pieces: Sized + Send + 'static {
    /// The next piece, and who makes the one after it; `None` at the end.
    fn next(self) -> impl Future<Output = Option<(Bytes, Self)>> + Send;
}

/// A body that starts with `head` and goes on with pieces. It is dropped with its reader.
pub(super) fn body(head: Bytes, pieces: impl Pieces) -> Body {
    Body::from_stream(Made {
        next: Box::pin(std::future::ready(Some((head, pieces)))),
    })
}

type Next<P> = Pin<Box<dyn Future<Output = Option<(Bytes, P)>> + Send>>;

struct Made<P> {
    next: Next<P>,
}

impl<P: Pieces> Stream for Made<P> {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let ready = std::task::ready!(self.next.as_mut().poll(cx));
        Poll::Ready(ready.map(|(bytes, pieces)| {
            self.next = Box::pin(pieces.next());
            Ok(bytes)
        }))
    }
}
