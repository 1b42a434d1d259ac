//! What the other instances say, and what is done about it.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout_at};

use super::peers::SIGN;
use super::wire::{
    Appeared, CommandMeta, ConnectionPage, ConnectionsQuestion, Go, META, Presence, Question,
    Report, ReportMeta, Roll, Subscribed,
};
use super::{Cluster, Reach, with_meta};
use crate::api::connection_page;
use crate::command::SessionReport;
use crate::server::Shared;

/// Between two attempts to reach NATS.
const RETRY: Duration = Duration::from_secs(1);

/// Keeps the line to the others until it is dropped.
pub async fn run(cluster: Arc<Cluster>, shared: Arc<Shared>) {
    // Ends with this task; it goes on whether or not there is a line.
    let mut beating = JoinSet::new();
    beating.spawn(beat(Arc::clone(&cluster)));
    loop {
        match session(&cluster, &shared).await {
            Ok(()) => tracing::warn!("the line to the other instances ended"),
            Err(error) => tracing::warn!(error, "the other instances cannot be reached"),
        }
        sleep(RETRY).await;
    }
}

async fn beat(cluster: Arc<Cluster>) {
    let mut ticks = interval(SIGN);
    loop {
        ticks.tick().await;
        cluster.pulse.beat();
    }
}

async fn session(cluster: &Arc<Cluster>, shared: &Arc<Shared>) -> Result<(), String> {
    let client = cluster.options.connect().await?;
    let mut tasks = JoinSet::new();
    // Commands have a task of their own: they may wait for the registry, and nothing else may.
    for subject in [
        cluster.to_all("*"),
        cluster.to_one(&cluster.id, "command"),
        cluster.to_one(&cluster.id, "go"),
        cluster.to_one(&cluster.id, "report"),
        cluster.to_one(&cluster.id, "connections"),
        cluster.to_one(&cluster.id, "who"),
        cluster.to_one(&cluster.id, "roll"),
    ] {
        let subscribed = client.subscribe(subject).await;
        let messages = subscribed.map_err(|error| error.to_string())?;
        let listener = Listener {
            cluster: Arc::clone(cluster),
            shared: Arc::clone(shared),
            client: client.clone(),
        };
        tasks.spawn(listener.listen(messages));
    }
    let set = |client| {
        let mut held = cluster
            .client
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *held = client;
    };
    set(Some(client));
    cluster.up.send_replace(Some(Instant::now()));
    tasks.spawn(live(Arc::clone(cluster), Arc::clone(shared)));
    tasks.join_next().await;
    set(None);
    Ok(())
}

/// Gives signs of life, and forgets who gives none.
async fn live(cluster: Arc<Cluster>, shared: Arc<Shared>) {
    let mut ticks = interval(SIGN);
    loop {
        ticks.tick().await;
        let presence = Presence {
            id: cluster.id.clone(),
            instance: cluster.instance.to_string(),
            leaves: shared.is_stopping(),
            epoch: shared.records.clock().highest(),
            connections: !shared.sessions.is_empty(),
        };
        cluster.tell_all("presence", &presence).await;
        cluster.peers.sweep();
        cluster.forget_kept();
        // Nobody waits any more, or nobody is there to report.
        cluster
            .open()
            .retain(|_, open| !open.reporter.is_closed() && cluster.peers.is_live(&open.peer));
    }
}

struct Listener {
    cluster: Arc<Cluster>,
    shared: Arc<Shared>,
    client: Client,
}

impl Listener {
    async fn listen(self, mut messages: Subscriber) {
        while let Some(message) = messages.next().await {
            let what = message.subject.rsplit('.').next().unwrap_or_default();
            match what {
                "presence" => self.presence(&message),
                "appeared" => self.appeared(&message),
                "subscribed" => self.subscribed(&message).await,
                "command" => self.command(message).await,
                "go" => self.go(&message).await,
                "report" => self.report(message),
                "connections" => self.connections(message).await,
                "who" => self.who(message),
                "roll" => self.roll(&message),
                // A newer version says more.
                _ => {}
            }
        }
    }

    fn presence(&self, message: &Message) {
        match parsed::<Presence>(&message.payload) {
            Some(presence) if presence.id == self.cluster.id => {}
            Some(presence) if presence.leaves => self.cluster.peers.left(&presence.id),
            Some(presence) => {
                self.shared.records.clock().seen(presence.epoch);
                let is_new = self.cluster.peers.seen(&presence.id, &presence.instance);
                // It was away, with devices: some of them may have come here meanwhile.
                if is_new && presence.connections && !self.shared.sessions.is_empty() {
                    let (cluster, shared) = (Arc::clone(&self.cluster), Arc::clone(&self.shared));
                    tokio::spawn(async move { cluster.call_roll(&presence.id, &shared).await });
                }
            }
            None => {}
        }
    }

    /// Answers aside: the end of a session may have to be waited for.
    fn who(&self, message: Message) {
        let question = parsed::<Question>(&message.payload);
        let (Some(question), Some(sender)) = (question, message.reply) else {
            return;
        };
        let (cluster, shared) = (Arc::clone(&self.cluster), Arc::clone(&self.shared));
        let client = self.client.clone();
        tokio::spawn(async move {
            let known = cluster.answer(&question, &shared).await;
            if let Ok(answer) = serde_json::to_vec(&known) {
                // An asker that is gone asks no more.
                let _ = client.publish(sender, answer.into()).await;
            }
        });
    }

    fn roll(&self, message: &Message) {
        let roll = parsed::<Roll>(&message.payload);
        for appeared in roll.iter().flat_map(|roll| &roll.connected) {
            self.compare(appeared);
        }
    }

    fn appeared(&self, message: &Message) {
        match parsed::<Appeared>(&message.payload) {
            Some(appeared) if appeared.id != self.cluster.id => self.compare(&appeared),
            _ => {}
        }
    }

    /// Of two connections of one client the later one stays; if that is ours, the other side is
    /// told.
    fn compare(&self, appeared: &Appeared) {
        self.shared.records.clock().seen(appeared.epoch);
        let sessions = &self.shared.sessions;
        for link in sessions.of_device(&appeared.application, &appeared.device) {
            if *link.identity.client_id != *appeared.client_id {
                continue;
            }
            let own = (link.identity.epoch, &self.cluster.id);
            if own < (appeared.epoch, &appeared.id) {
                link.supersede(appeared.epoch);
            } else {
                self.cluster.appeared(&link);
            }
        }
    }

    async fn subscribed(&self, message: &Message) {
        let Some(subscribed) = parsed::<Subscribed>(&message.payload) else {
            return;
        };
        let Subscribed {
            id,
            application,
            device,
        } = subscribed;
        if id == self.cluster.id || !self.shared.hub.holds_for(&application) {
            return;
        }
        if let Ok(Some(found)) = self.shared.registry.device(&application, &device).await {
            self.shared.hub.deliver_held_to(&application, &found.device);
        }
    }

    /// Says how far a command would come here, and keeps it until its asker says go.
    async fn command(&self, message: Message) {
        let (Some(meta), Some(sender)) = (meta::<CommandMeta>(&message), message.reply) else {
            return;
        };
        let asked = (meta.origin.clone(), meta.number);
        let request = meta.into_request(message.payload);
        let reach = self.shared.hub.reach_here(request.clone()).await;
        if reach == Reach::Taken && !self.cluster.keep(asked, request) {
            return;
        }
        if let Ok(answer) = serde_json::to_vec(&reach) {
            // An asker that is gone asks no more.
            let _ = self.client.publish(sender, answer.into()).await;
        }
    }

    /// Hands a command to the connections here.
    async fn go(&self, message: &Message) {
        let Some(Go { origin, number }) = parsed(&message.payload) else {
            return;
        };
        let Some(request) = self.cluster.take_kept(&(origin.clone(), number)) else {
            return;
        };
        let (patience, deadline) = (request.timeout, Instant::now() + request.timeout);
        let reports = self.shared.hub.offer_here(request).await;
        if !patience.is_zero() {
            let forward = Forward {
                client: self.client.clone(),
                subject: self.cluster.to_one(&origin, "report"),
                number,
                instance: Arc::clone(&self.cluster.instance),
            };
            tokio::spawn(forward.run(reports, deadline));
        }
    }

    fn report(&self, message: Message) {
        let Some(ReportMeta { number, report }) = meta(&message) else {
            return;
        };
        let mut open = self.cluster.open();
        match report.into_report(message.payload) {
            Some(report) => {
                if let Some(open) = open.get(&number) {
                    // A sender that has given up is no longer interested.
                    let _ = open.reporter.send(report);
                }
            }
            None => drop(open.remove(&number)),
        }
    }

    async fn connections(&self, message: Message) {
        let question = parsed::<ConnectionsQuestion>(&message.payload);
        let (Some(question), Some(sender)) = (question, message.reply) else {
            return;
        };
        let (connections, more) = connection_page(
            &self.shared,
            &question.application,
            question.after.as_deref(),
            question.limit,
        );
        let page = ConnectionPage { connections, more };
        if let Ok(answer) = serde_json::to_vec(&page) {
            let _ = self.client.publish(sender, answer.into()).await;
        }
    }
}

/// The way back of a command's reports.
struct Forward {
    client: Client,
    subject: String,
    number: u64,
    instance: Arc<str>,
}

impl Forward {
    /// Until all sessions are done, or the sender has stopped waiting.
    async fn run(self, mut reports: mpsc::UnboundedReceiver<SessionReport>, deadline: Instant) {
        while let Ok(Some(report)) = timeout_at(deadline, reports.recv()).await {
            let (report, payload) = Report::of(report, &self.instance);
            self.send(report, payload).await;
        }
        self.send(Report::Done, bytes::Bytes::new()).await;
    }

    async fn send(&self, report: Report, payload: bytes::Bytes) {
        let number = self.number;
        let Some(headers) = with_meta(&ReportMeta { number, report }) else {
            return;
        };
        let subject = self.subject.clone();
        let sent = self.client.publish_with_headers(subject, headers, payload);
        if let Err(error) = sent.await {
            tracing::debug!(%error, "a command's outcome could not be told");
        }
    }
}

fn parsed<T: DeserializeOwned>(payload: &[u8]) -> Option<T> {
    serde_json::from_slice(payload).ok()
}

fn meta<T: DeserializeOwned>(message: &Message) -> Option<T> {
    let headers = message.headers.as_ref()?;
    serde_json::from_str(headers.get(META)?.as_str()).ok()
}
