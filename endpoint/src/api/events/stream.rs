//! Events as server-sent events (WHATWG HTML, 9.2): `id` is the offset, `data` one CloudEvent.
//!
//! The stream holds one page at a time and reads the next when that is sent. It ends when the log
//! is closed, which a stopping server does after the last event; when the token that it was opened
//! with is revoked or expires; and when events are dropped by retention before the reader came to
//! them: its next request, with `Last-Event-ID`, is told so.

use std::{io::Write as _, time::Duration};

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use landfall_events::sink::log::Page;

use super::{Log, watch::Watch, with_previous_offset};
use crate::api::pieces::{self, Pieces};

/// A comment is sent after this long without an event, so that proxies keep the connection, and a
/// vanished reader is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
const COMMENT: &[u8] = b":\n\n";

pub(super) fn respond(log: Log, watch: Watch, first: &Page) -> Response {
    let mut head = b"retry: 1000\n\n".to_vec();
    head.extend(frames(first));
    let follower = Follower {
        log,
        watch,
        after: first.next_offset(),
        at_end: first.next_offset() >= first.latest(),
    };
    let response = (
        [
            (header::CONTENT_TYPE, "text/event-stream"),
            // Asks nginx not to hold events back.
            (header::HeaderName::from_static("x-accel-buffering"), "no"),
        ],
        pieces::body(head.into(), follower),
    );
    with_previous_offset(response.into_response(), first)
}

/// Reads on from an offset.
struct Follower {
    log: Log,
    watch: Watch,
    after: u64,
    /// Nothing was left when the log was last read.
    at_end: bool,
}

impl Pieces for Follower {
    async fn next(mut self) -> Option<(Bytes, Self)> {
        let quiet = tokio::time::sleep(KEEP_ALIVE);
        tokio::pin!(quiet);
        loop {
            let mut closed = false;
            if self.at_end {
                let news = self
                    .log
                    .reader
                    .wait_for_new(&self.log.application, self.after);
                tokio::select! {
                    news = news => closed = news.is_err(),
                    () = &mut quiet => return Some((self.sign_of_life(), self)),
                    () = self.watch.over() => return None,
                }
            } else if quiet.is_elapsed() {
                return Some((self.sign_of_life(), self));
            }
            if !self.watch.stands().await {
                return None;
            }
            // Once more after the log was closed: the last events may have come with its end.
            let page = self.log.read(Some(self.after)).await.ok()?;
            let moved = page.next_offset() > self.after;
            self.after = page.next_offset();
            self.at_end = self.after >= page.latest();
            if !page.is_empty() {
                return Some((frames(&page).into(), self));
            }
            if closed && !moved {
                return None;
            }
        }
    }
}

impl Follower {
    /// What is sent while there is no event: how far the log was looked through, so that a reader of
    /// certain events goes on from there and not from the last one of them.
    fn sign_of_life(&self) -> Bytes {
        match self.log.is_filtered() {
            true => format!("id: {}\n\n", self.after).into(),
            false => Bytes::from_static(COMMENT),
        }
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
