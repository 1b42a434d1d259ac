//! What the other instances say, and what is done about it.

mod commands;
mod held;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use async_nats::{Message, Subscriber};
use futures_util::StreamExt as _;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep, timeout};

use super::directory::entry;
use super::line::Line;
use super::peers::SIGN;
use super::wire::{
    Appeared, Asker, ConnectionPage, ConnectionsQuestion, Left, META, Presence, Question,
    ReportMeta, Roll, Subscribed,
};
use super::{ANSWER, Cluster};
use crate::api::connection_page;
use crate::command::SessionReport;
use crate::log::Trouble;
use crate::server::Shared;

/// Devices that have subscribed elsewhere for which the registry may be asked at once.
const LOOKING_AT_ONCE: usize = 1_024;
/// Between two attempts to reach NATS.
const RETRY: Duration = Duration::from_secs(1);

/// Keeps the line to the others until it is dropped.
pub async fn run(cluster: Arc<Cluster>, shared: Arc<Shared>) {
    // Ends with this task; it goes on whether or not there is a line.
    let mut beating = JoinSet::new();
    beating.spawn(beat(Arc::clone(&cluster)));
    let mut trouble = Trouble::default();
    loop {
        match session(&cluster, &shared).await {
            Ok(()) => {
                trouble.is_over();
                tracing::warn!("the line to the other instances ended");
            }
            Err(error) if trouble.is_news(&error) => {
                tracing::warn!(error, "the other instances cannot be reached");
            }
            Err(_) => {}
        }
        sleep(RETRY).await;
    }
}

async fn beat(cluster: Arc<Cluster>) {
    let mut ticks = interval(SIGN);
    loop {
        ticks.tick().await;
        if cluster.pulse.beat() {
            cluster.directory.doubt_all();
        }
    }
}

async fn session(cluster: &Arc<Cluster>, shared: &Arc<Shared>) -> Result<(), String> {
    let doubted = Arc::clone(cluster);
    let line = Line::connect(&cluster.options, move || doubted.doubt()).await?;
    let mut tasks = JoinSet::new();
    let listener = Arc::new(Listener {
        cluster: Arc::clone(cluster),
        shared: Arc::clone(shared),
        line: line.clone(),
        looking: Arc::new(Semaphore::new(LOOKING_AT_ONCE)),
    });
    for subject in [
        cluster.to_all("*"),
        cluster.to_one(&cluster.id, "go"),
        cluster.to_one(&cluster.id, "report"),
        cluster.to_one(&cluster.id, "connections"),
        cluster.to_one(&cluster.id, "held"),
        cluster.to_one(&cluster.id, "revoke"),
        cluster.to_one(&cluster.id, "sessions"),
        cluster.to_one(&cluster.id, "who"),
        cluster.to_one(&cluster.id, "roll"),
    ] {
        let messages = listener.subscribe(subject).await?;
        tasks.spawn(Arc::clone(&listener).listen(messages));
    }
    let commands = cluster.to_one(&cluster.id, "command");
    let commands = listener.subscribe(commands).await?;
    tasks.spawn(listener.listen_to_commands(commands));
    let set = |line| {
        let held = cluster.line.write();
        *held.unwrap_or_else(PoisonError::into_inner) = line;
    };
    set(Some(line));
    cluster.up.send_replace(Some(Instant::now()));
    tasks.spawn(live(Arc::clone(cluster), Arc::clone(shared)));
    tasks.join_next().await;
    set(None);
    Ok(())
}

/// Gives signs of life, and forgets who gives none.
async fn live(cluster: Arc<Cluster>, shared: Arc<Shared>) {
    let mut ticks = interval(SIGN);
    let mut telling = JoinSet::new();
    loop {
        ticks.tick().await;
        // First, so that who was lost is told of it at once, should it still be there.
        if cluster.peers.sweep() {
            cluster.directory.doubt_own();
        }
        let peers = cluster.peers.reachable();
        let is_there = |peer: &str| peers.iter().any(|there| **there == *peer);
        cluster.directory.keep(is_there);
        let presence = Presence {
            id: cluster.id.clone(),
            instance: cluster.instance.to_string(),
            leaves: shared.is_stopping(),
            epoch: shared.records.clock().highest(),
            doubts: Some(cluster.directory.own_doubts()),
            connections: !shared.sessions.is_empty(),
            holds_for: shared.hub.holds_for_yet(),
        };
        while telling.try_join_next().is_some() {}
        // Told aside, as whoever is not heard of has to be given up however slow the line is. One that
        // takes nothing needs no second sign.
        if telling.is_empty() {
            let cluster = Arc::clone(&cluster);
            telling.spawn(async move { cluster.tell_all("presence", &presence).await });
        }
        cluster.forget_kept();
        cluster.forget_open();
    }
}

struct Listener {
    cluster: Arc<Cluster>,
    shared: Arc<Shared>,
    line: Line,
    /// Places for those who look up who has subscribed.
    looking: Arc<Semaphore>,
}

impl Listener {
    async fn subscribe(&self, subject: String) -> Result<Subscriber, String> {
        let subscribed = self.line.subscribe(subject).await;
        subscribed.map_err(|error| error.to_string())
    }

    async fn listen(self: Arc<Self>, mut messages: Subscriber) {
        while let Some(message) = messages.next().await {
            let what = message.subject.rsplit('.').next().unwrap_or_default();
            match what {
                "presence" => self.presence(&message),
                "holds" => self.holds(&message),
                "appeared" => self.appeared(&message),
                "left" => self.left(&message),
                "subscribed" => self.subscribed(&message),
                "go" => self.go(&message).await,
                "report" => self.report(message),
                "connections" => self.connections(message).await,
                "held" => self.held(message),
                "revoke" => self.revoke(message),
                "sessions" => self.sessions(message),
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
            Some(presence) if presence.leaves => {
                let peers = &self.cluster.peers;
                peers.left(&presence.id);
                peers.holds(&presence.id, presence.holds_for);
            }
            Some(presence) => {
                self.shared.records.clock().seen(presence.epoch);
                let directory = &self.cluster.directory;
                let number = directory.heard(&presence.id, presence.doubts);
                if let Some(number) = number {
                    let cluster = Arc::clone(&self.cluster);
                    tokio::spawn(cluster.ask_for_list(presence.id.clone(), number));
                }
                let peers = &self.cluster.peers;
                let is_new = peers.seen(&presence.id, &presence.instance);
                peers.holds(&presence.id, presence.holds_for);
                // Of a subscription there, nothing may have been heard here.
                if presence.connections && (is_new || number.is_some()) {
                    self.shared.hub.retry_held();
                }
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
        // Before the answer: whoever has it relies on that.
        let session = entry(&question.application, &question.device, question.epoch);
        let directory = &self.cluster.directory;
        match question.claims {
            true => directory.came(&question.id, session),
            false => directory.gone(&question.id, session),
        }
        let (cluster, shared) = (Arc::clone(&self.cluster), Arc::clone(&self.shared));
        let line = self.line.clone();
        tokio::spawn(async move {
            let known = cluster.answer(&question, &shared).await;
            if let Ok(answer) = serde_json::to_vec(&known) {
                // An asker that is gone asks no more.
                let _ = line.publish(sender, answer.into()).await;
            }
        });
    }

    fn left(&self, message: &Message) {
        if let Some(left) = parsed::<Left>(&message.payload) {
            let session = entry(&left.application, &left.device, left.epoch);
            self.cluster.directory.gone(&left.id, session);
        }
    }

    /// Lists the sessions here, aside.
    fn sessions(&self, message: Message) {
        let asker = parsed::<Asker>(&message.payload);
        if let (Some(asker), Some(inbox)) = (asker, message.reply) {
            self.cluster.peers.reckon_with(&asker.id, &asker.instance);
            let cluster = Arc::clone(&self.cluster);
            tokio::spawn(cluster.list_for(self.line.clone(), inbox));
        }
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

    /// Looks the device up aside: nothing else that is told waits for the registry. Who cannot be looked up
    /// now, or in time, is looked for later, as one of those that commands wait for.
    fn subscribed(&self, message: &Message) {
        let Some(subscribed) = parsed::<Subscribed>(&message.payload) else {
            return;
        };
        let Subscribed {
            id,
            application,
            device,
            devices,
        } = subscribed;
        let hub = &self.shared.hub;
        if id == self.cluster.id || !hub.holds_for(&application, devices.as_deref()) {
            return;
        }
        let Ok(place) = Arc::clone(&self.looking).try_acquire_owned() else {
            return hub.retry_held_of(&application, devices.as_deref());
        };
        let shared = Arc::clone(&self.shared);
        tokio::spawn(async move {
            let found = shared.registry.device(&application, &device);
            match timeout(ANSWER, found).await {
                Ok(Ok(Some(found))) => {
                    let hub = &shared.hub;
                    hub.deliver_held_to(&application, &found.device, devices.as_deref());
                }
                Ok(Ok(None)) => {}
                Ok(Err(_)) | Err(_) => {
                    let hub = &shared.hub;
                    hub.retry_held_of(&application, devices.as_deref());
                }
            }
            drop(place);
        });
    }

    fn report(&self, message: Message) {
        let Some(meta) = meta::<ReportMeta>(&message) else {
            return;
        };
        let ReportMeta {
            number,
            report,
            is_last,
            is_lost,
        } = meta;
        let report = report.into_report(message.payload);
        let is_last = is_last || report.is_none();
        let lost = is_lost.then_some(SessionReport::Lost);
        let mut open = self.cluster.open();
        if let Some(open) = open.get(&number) {
            for report in lost.into_iter().chain(report) {
                // A sender that has given up is no longer interested.
                let _ = open.reporter.send(report);
            }
        }
        if is_last {
            open.remove(&number);
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
            let _ = self.line.publish(sender, answer.into()).await;
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
