//! Commands that other instances have for devices that may be here.

use std::sync::Arc;

use async_nats::{Message, Subject, Subscriber};
use bytes::Bytes;
use futures_util::StreamExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Listener, meta, parsed};
use crate::cluster::line::Line;
use crate::cluster::wire::{CommandMeta, Go, Report, ReportMeta};
use crate::cluster::{ANSWER, Kept, Reach, with_meta};
use crate::command::SessionReport;

/// Commands of others for which the registry may be asked at once.
const LOOKING_AT_ONCE: usize = 1_024;

impl Listener {
    /// Answers whether commands would be taken here. The registry is asked aside, and as long as the
    /// asker waits: while it hangs, those for devices that it need not be asked about go on.
    pub(super) async fn listen_to_commands(self: Arc<Self>, mut messages: Subscriber) {
        let mut looking = JoinSet::new();
        while let Some(message) = messages.next().await {
            let (Some(meta), Some(asker)) = (meta::<CommandMeta>(&message), message.reply) else {
                continue;
            };
            if !self.may_serve(&meta) {
                self.tell_reach(asker, Reach::NotConnected).await;
                continue;
            }
            while looking.try_join_next().is_some() {}
            if looking.len() >= LOOKING_AT_ONCE {
                looking.join_next().await;
            }
            let look = Arc::clone(&self).look(meta, message.payload, asker);
            looking.spawn(timeout(ANSWER, look));
        }
    }

    /// Whether somebody is connected here who may take the command.
    fn may_serve(&self, meta: &CommandMeta) -> bool {
        let sessions = &self.shared.sessions;
        meta.serving().is_none_or(|(application, names)| {
            names.iter().any(|name| sessions.has(application, name))
        })
    }

    /// Says how far a command would come here, and keeps it until its asker says go.
    async fn look(self: Arc<Self>, meta: CommandMeta, payload: Bytes, asker: Subject) {
        let asked = (meta.origin.clone(), meta.number);
        let reads_last = meta.reads_last;
        let request = meta.into_request(payload);
        let reach = match self.shared.hub.reach_here(request.clone()).await {
            Reach::Taken => self.cluster.keep(asked, request, reads_last),
            reach => reach,
        };
        self.tell_reach(asker, reach).await;
    }

    async fn tell_reach(&self, asker: Subject, reach: Reach) {
        if let Ok(answer) = serde_json::to_vec(&reach) {
            // An asker that is gone asks no more.
            let _ = self.line.publish(asker, answer.into()).await;
        }
    }

    /// Hands a command to the connections here.
    pub(super) async fn go(&self, message: &Message) {
        let Some(Go { origin, number }) = parsed(&message.payload) else {
            return;
        };
        let kept = self.cluster.take_kept(&(origin.clone(), number));
        let Some(Kept {
            request,
            reads_last,
            ..
        }) = kept
        else {
            return;
        };
        let (patience, deadline) = (request.timeout, Instant::now() + request.timeout);
        let reports = self.shared.hub.offer_here(request).await;
        if !patience.is_zero() {
            let forward = Forward {
                line: self.line.clone(),
                subject: self.cluster.to_one(&origin, "report"),
                number,
                reads_last,
                is_lost: false,
                instance: Arc::clone(&self.cluster.instance),
            };
            tokio::spawn(forward.run(reports, deadline));
        }
    }
}

/// The way back of a command's reports.
struct Forward {
    line: Line,
    subject: String,
    number: u64,
    reads_last: bool,
    /// A session has lost it, which is told with the next report.
    is_lost: bool,
    instance: Arc<str>,
}

impl Forward {
    /// Until all sessions are done, or the sender has stopped waiting.
    async fn run(mut self, mut reports: mpsc::UnboundedReceiver<SessionReport>, deadline: Instant) {
        while let Ok(Some(report)) = timeout_at(deadline, reports.recv()).await {
            let is_last = self.reads_last && reports.is_closed() && reports.is_empty();
            let Some((report, payload)) = Report::of(report, &self.instance) else {
                self.is_lost = true;
                continue;
            };
            self.send(report, payload, is_last).await;
            if is_last {
                return;
            }
        }
        self.send(Report::Done, Bytes::new(), true).await;
    }

    async fn send(&self, report: Report, payload: Bytes, is_last: bool) {
        let meta = ReportMeta {
            number: self.number,
            report,
            is_last,
            is_lost: self.is_lost,
        };
        let Some(headers) = with_meta(&meta) else {
            return;
        };
        let subject = self.subject.clone();
        let sent = self.line.publish_with_headers(subject, headers, payload);
        if let Err(error) = sent.await {
            tracing::debug!(%error, "a command's outcome could not be told");
        }
    }
}
