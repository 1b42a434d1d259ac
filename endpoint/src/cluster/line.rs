//! The line to NATS, for which nobody waits longer than for an answer.
//!
//! While the client connects again it takes nothing off its bounded queue, and the time-out of its
//! requests begins behind that: whoever sends would wait for as long as NATS is away.

use std::fmt::Display;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_nats::{Client, Event, HeaderMap, Message, Request, Subscriber, ToSubject};
use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::{ANSWER, ClusterOptions};

/// A connection to NATS, or what becomes one again.
#[derive(Clone)]
pub(super) struct Line {
    client: Client,
    lost: Lost,
}

/// Since when there is no connection.
#[derive(Clone, Default)]
struct Lost(Arc<Mutex<Option<Instant>>>);

/// Why nothing was sent, or no answer came.
#[derive(Debug, thiserror::Error)]
pub(super) enum LineError {
    #[error("NATS is away")]
    Away,
    #[error("nothing was taken, or answered, in time")]
    TimedOut,
    #[error("{0}")]
    Refused(String),
}

impl Line {
    /// Connects; connects again by itself. `on_loss` is called when messages, either way, may have been
    /// lost.
    pub(super) async fn connect(
        options: &ClusterOptions,
        on_loss: impl Fn() + Send + Sync + 'static,
    ) -> Result<Self, String> {
        let lost = Lost::default();
        let noted = lost.clone();
        let on_event = move |event: &Event| {
            noted.note(event);
            if let Event::Connected | Event::Disconnected | Event::SlowConsumer(_) = event {
                on_loss();
            }
        };
        let client = options.connect(on_event).await?;
        Ok(Self { client, lost })
    }

    /// It has been without connection for so long that nothing waits for it.
    pub(super) fn is_away(&self) -> bool {
        self.lost.is_long()
    }

    pub(super) fn new_inbox(&self) -> String {
        self.client.new_inbox()
    }

    pub(super) async fn subscribe(&self, subject: impl ToSubject) -> Result<Subscriber, LineError> {
        self.within(self.client.subscribe(subject)).await
    }

    pub(super) async fn publish(
        &self,
        subject: impl ToSubject,
        payload: Bytes,
    ) -> Result<(), LineError> {
        self.within(self.client.publish(subject, payload)).await
    }

    pub(super) async fn publish_with_headers(
        &self,
        subject: impl ToSubject,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), LineError> {
        let sent = self.client.publish_with_headers(subject, headers, payload);
        self.within(sent).await
    }

    pub(super) async fn publish_with_reply(
        &self,
        subject: impl ToSubject,
        reply: impl ToSubject,
        payload: Bytes,
    ) -> Result<(), LineError> {
        let sent = self.client.publish_with_reply(subject, reply, payload);
        self.within(sent).await
    }

    /// What was published is on its way.
    pub(super) async fn flush(&self) -> Result<(), LineError> {
        self.within(self.client.flush()).await
    }

    pub(super) async fn request(
        &self,
        subject: impl ToSubject,
        request: Request,
    ) -> Result<Message, LineError> {
        self.within(self.client.send_request(subject, request))
            .await
    }

    /// A line that broke a moment ago may be back in time.
    async fn within<T, E: Display>(
        &self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, LineError> {
        if self.is_away() {
            return Err(LineError::Away);
        }
        match timeout(ANSWER, work).await {
            Ok(done) => done.map_err(|error| LineError::Refused(error.to_string())),
            Err(_) => Err(LineError::TimedOut),
        }
    }
}

impl Lost {
    fn since(&self) -> MutexGuard<'_, Option<Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, event: &Event) {
        match event {
            Event::Connected => *self.since() = None,
            Event::Disconnected => *self.since() = Some(Instant::now()),
            _ => {}
        }
    }

    fn is_long(&self) -> bool {
        self.since().is_some_and(|since| since.elapsed() >= ANSWER)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_line_is_away_when_it_has_been_lost_for_as_long_as_an_answer_takes() {
        let lost = Lost::default();
        assert!(!lost.is_long());
        lost.note(&Event::Disconnected);
        assert!(!lost.is_long(), "it may be back in a moment");
        advance(ANSWER).await;
        assert!(lost.is_long());
        lost.note(&Event::LameDuckMode);
        assert!(lost.is_long());
        lost.note(&Event::Connected);
        assert!(!lost.is_long());
    }
}
