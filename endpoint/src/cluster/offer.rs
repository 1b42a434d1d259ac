//! A command handed to other instances: they are asked who could take it, and those that answer in time
//! are told to go on.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Request;
use landfall_registry::Found;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::directory::hash;
use super::line::Line;
use super::wire::{CommandMeta, Go};
use super::{Cluster, Open, with_meta};
use crate::command::{Command, CommandError, SessionReport, serving_names};
use crate::connection::Offer;

/// How far a command came, the farthest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Reach {
    /// Neither the device nor a gateway of it is connected.
    NotConnected,
    /// Connected, and not subscribed.
    NotSubscribed,
    /// Subscribed, and as many commands wait as may.
    Full,
    /// Queued.
    Taken,
}

impl From<Offer> for Reach {
    fn from(offer: Offer) -> Self {
        match offer {
            Offer::Taken => Self::Taken,
            Offer::Full => Self::Full,
            Offer::NotSubscribed => Self::NotSubscribed,
        }
    }
}

/// A command as it is offered to other instances.
pub(super) struct Offered {
    pub(super) application: String,
    /// Whose connections may take it, if that is known by name.
    pub(super) served_by: Option<Vec<String>>,
    pub(super) command: Arc<Command>,
    /// How long its sender waits; zero: not at all.
    pub(super) patience: Duration,
}

impl Cluster {
    /// Offers a command to the instances that may have who can take it, and to all others if none of them
    /// takes it, nor anybody `here`. Reports go to `reporter`, which is let go of when no more will come.
    /// What is received is how far it came: as soon as one has taken it, or when all have answered, or
    /// have had their time.
    pub fn offer(
        self: &Arc<Self>,
        found: &Found,
        command: &Arc<Command>,
        patience: Duration,
        here: Reach,
        reporter: &mpsc::UnboundedSender<SessionReport>,
    ) -> oneshot::Receiver<Reach> {
        let (tell, told) = oneshot::channel();
        let peers = self.peers.live();
        let (Some(line), false) = (self.line(), peers.is_empty()) else {
            // Nobody else: the sender's end says so.
            let _ = tell.send(Reach::NotConnected);
            return told;
        };
        let application = found.application.name();
        let served_by: Option<Vec<String>> =
            serving_names(found).map(|names| names.map(str::to_owned).collect());
        let (likely, others) = self.choose(peers, application, served_by.as_deref());
        if likely.is_empty() && here == Reach::Taken {
            let _ = tell.send(Reach::NotConnected);
            return told;
        }
        let round = Round {
            cluster: Arc::clone(self),
            line,
            offered: Offered {
                application: application.to_owned(),
                served_by,
                command: Arc::clone(command),
                patience,
            },
            reporter: reporter.clone(),
        };
        tokio::spawn(async move {
            let round = Arc::new(round);
            let mut tell = Some(tell);
            let mut farthest = round.ask(likely, &mut tell).await;
            if here.max(farthest) == Reach::NotConnected {
                farthest = round.ask(others, &mut tell).await;
            }
            if let Some(tell) = tell {
                let _ = tell.send(farthest);
            }
        });
        told
    }

    /// Instances that may have who can take it, and the others.
    fn choose(
        &self,
        peers: Vec<Arc<str>>,
        application: &str,
        served_by: Option<&[String]>,
    ) -> (Vec<Arc<str>>, Vec<Arc<str>>) {
        // Who has hung knows nothing of the others before it has heard them.
        let (Some(names), None) = (served_by, self.pulse.hears_until()) else {
            return (peers, Vec::new());
        };
        let hashes: Vec<u64> = names.iter().map(|name| hash(application, name)).collect();
        let may_have = |peer: &Arc<str>| self.directory.may_have(peer, &hashes);
        peers.into_iter().partition(may_have)
    }
}

/// A command, and where its reports go.
struct Round {
    cluster: Arc<Cluster>,
    line: Line,
    offered: Offered,
    reporter: mpsc::UnboundedSender<SessionReport>,
}

impl Round {
    /// The farthest that a command came with these instances; told at once if one took it.
    async fn ask(
        self: &Arc<Self>,
        peers: Vec<Arc<str>>,
        tell: &mut Option<oneshot::Sender<Reach>>,
    ) -> Reach {
        let mut asked = JoinSet::new();
        for peer in peers {
            let number = self.cluster.next_number();
            if !self.offered.patience.is_zero() {
                let open = Open {
                    peer: Arc::clone(&peer),
                    reporter: self.reporter.clone(),
                };
                self.cluster.open().insert(number, open);
            }
            let round = Arc::clone(self);
            asked.spawn(async move { round.offer(&peer, number).await });
        }
        let mut farthest = Reach::NotConnected;
        while let Some(answer) = asked.join_next().await {
            farthest = farthest.max(answer.unwrap_or(Reach::NotConnected));
            if farthest == Reach::Taken
                && let Some(tell) = tell.take()
            {
                let _ = tell.send(farthest);
            }
        }
        farthest
    }

    async fn offer(&self, peer: &str, number: u64) -> Reach {
        let reach = self.try_offer(peer, number).await;
        let reach = reach.unwrap_or(Reach::NotConnected);
        if reach != Reach::Taken {
            // No report will come.
            self.cluster.open().remove(&number);
        }
        reach
    }

    async fn try_offer(&self, peer: &str, number: u64) -> Result<Reach, CommandError> {
        let meta = CommandMeta::of(&self.offered, (&self.cluster.id, number))?;
        let headers = with_meta(&meta).ok_or(CommandError::Unavailable)?;
        let request = Request::new()
            .headers(headers)
            .payload(self.offered.command.payload.clone());
        let subject = self.cluster.to_one(peer, "command");
        let answer = self.line.request(subject, request).await;
        let answer = answer.map_err(|_| CommandError::Unavailable)?;
        let reach = serde_json::from_slice(&answer.payload);
        let reach = reach.map_err(|_| CommandError::Unavailable)?;
        if reach == Reach::Taken {
            self.go(peer, number).await?;
        }
        Ok(reach)
    }

    /// Has the command delivered. An instance that answers too late is never told: it hung, or was
    /// cut off, and the sender has been told by now that nobody has the command.
    async fn go(&self, peer: &str, number: u64) -> Result<(), CommandError> {
        let go = Go {
            origin: self.cluster.id.clone(),
            number,
        };
        let go = serde_json::to_vec(&go).map_err(|_| CommandError::Unavailable)?;
        let subject = self.cluster.to_one(peer, "go");
        let told = self.line.publish(subject, go.into()).await;
        told.map_err(|_| CommandError::Unavailable)
    }
}
