//! Events as server-sent events (WHATWG HTML, 9.2): `id` is the offset, `data` one CloudEvent.
//!
//! The stream holds one page at a time and reads the next when that is sent. It ends when the log
//! is closed, which a stopping server does after the last event; and when events are dropped by
//! retention before the reader came to them: its next request, with `Last-Event-ID`, is told so.

use std::{
    convert::Infallible,
    io::Write as _,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::Body,
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_core::Stream;
use landfall_events::sink::log::Page;

use super::Log;

/// A comment is sent after this long without an event, so that proxies keep the connection, and a
/// vanished reader is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const COMMENT: &[u8] = b":\n\n";

pub(super) fn respond(log: Log, first: &Page) -> Response {
    let mut head = b"retry: 1000\n\n".to_vec();
    head.extend(frames(first));
    let follower = Follower {
        log,
        after: first.next_offset(),
        at_end: first.next_offset() >= first.latest(),
    };
    let stream = Frames {
        next: Box::pin(async move { Some((head.into(), follower)) }),
    };
    (
        [
            (header::CONTENT_TYPE, "text/event-stream"),
            // Asks nginx not to hold events back.
            (header::HeaderName::from_static("x-accel-buffering"), "no"),
        ],
        Body::from_stream(stream),
    )
        .into_response()
}

/// Reads on from an offset.
struct Follower {
    log: Log,
    after: u64,
    /// Nothing was left when the log was last read.
    at_end: bool,
}

impl Follower {
    /// The next piece of the stream, or its end.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let mut closed = false;
        if self.at_end {
            let news = self
                .log
                .reader
                .wait_for_new(&self.log.application, self.after);
            match tokio::time::timeout(KEEP_ALIVE, news).await {
                Ok(news) => closed = news.is_err(),
                Err(_) => return Some((Bytes::from_static(COMMENT), self)),
            }
        }
        // Once more after the log was closed: the last events may have come with its end.
        let page = self.log.read(Some(self.after)).await.ok()?;
        if page.is_empty() && closed {
            return None;
        }
        self.after = page.next_offset();
        self.at_end = self.after >= page.latest();
        Some((frames(&page).into(), self))
    }
}

fn frames(page: &Page) -> Vec<u8> {
    let mut out = Vec::new();
    for (offset, event) in page.events() {
        // An event is one line; writing to memory does not fail.
        let _ = write!(out, "id: {offset}\ndata: ");
        out.extend_from_slice(event);
        out.extend_from_slice(b"\n\n");
    }
    out
}

type Next = Pin<Box<dyn Future<Output = Option<(Bytes, Follower)>> + Send>>;

/// The pieces of a follower as a stream.
struct Frames {
    next: Next,
}

impl Stream for Frames {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let ready = std::task::ready!(self.next.as_mut().poll(cx));
        Poll::Ready(ready.map(|(bytes, follower)| {
            self.next = Box::pin(follower.next());
            Ok(bytes)
        }))
    }
}
