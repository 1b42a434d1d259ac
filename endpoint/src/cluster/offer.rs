//! A command handed to the other instances: they are asked who could take it, and those that
//! answer in time are told to go on.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Request};
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::wire::{CommandMeta, Go};
use super::{ANSWER, Cluster, Open, with_meta};
use crate::command::{Command, CommandError, SessionReport};
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

impl Cluster {
    /// Offers a command to all other instances. Their reports go to `reporter`, which is let go of
    /// when no more will come. What is received is how far it came: as soon as one has taken it,
    /// or when all have answered, or have had their time.
    pub fn offer(
        self: &Arc<Self>,
        application: &str,
        command: &Arc<Command>,
        patience: Duration,
        reporter: &mpsc::UnboundedSender<SessionReport>,
    ) -> oneshot::Receiver<Reach> {
        let (tell, told) = oneshot::channel();
        let peers = self.peers.live();
        let (Some(client), false) = (self.client(), peers.is_empty()) else {
            // Nobody else: the sender's end says so.
            let _ = tell.send(Reach::NotConnected);
            return told;
        };
        let mut asked = JoinSet::new();
        for peer in peers {
            let number = self.next_number();
            if !patience.is_zero() {
                let open = Open {
                    peer: Arc::clone(&peer),
                    reporter: reporter.clone(),
                };
                self.open().insert(number, open);
            }
            let ask = Ask {
                cluster: Arc::clone(self),
                client: client.clone(),
                peer,
                number,
            };
            let (command, application) = (Arc::clone(command), application.to_owned());
            asked.spawn(async move { ask.offer(&command, &application, patience).await });
        }
        tokio::spawn(gather(asked, tell));
        told
    }
}

/// Tells the farthest that a command came.
async fn gather(mut asked: JoinSet<Reach>, tell: oneshot::Sender<Reach>) {
    let mut tell = Some(tell);
    let mut farthest = Reach::NotConnected;
    while let Some(answer) = asked.join_next().await {
        farthest = farthest.max(answer.unwrap_or(Reach::NotConnected));
        if farthest == Reach::Taken
            && let Some(tell) = tell.take()
        {
            let _ = tell.send(farthest);
        }
    }
    if let Some(tell) = tell {
        let _ = tell.send(farthest);
    }
}

/// One instance that is asked.
struct Ask {
    cluster: Arc<Cluster>,
    client: Client,
    peer: Arc<str>,
    number: u64,
}

impl Ask {
    async fn offer(&self, command: &Command, application: &str, patience: Duration) -> Reach {
        let reach = self.try_offer(command, application, patience).await;
        let reach = reach.unwrap_or(Reach::NotConnected);
        if reach != Reach::Taken {
            // No report will come.
            self.cluster.open().remove(&self.number);
        }
        reach
    }

    async fn try_offer(
        &self,
        command: &Command,
        application: &str,
        patience: Duration,
    ) -> Result<Reach, CommandError> {
        let origin = (&*self.cluster.id, self.number);
        let meta = CommandMeta::of(command, application, origin, patience)?;
        let headers = with_meta(&meta).ok_or(CommandError::Unavailable)?;
        let request = Request::new()
            .headers(headers)
            .payload(command.payload.clone())
            .timeout(Some(ANSWER));
        let subject = self.cluster.to_one(&self.peer, "command");
        let answer = self.client.send_request(subject, request).await;
        let answer = answer.map_err(|_| CommandError::Unavailable)?;
        let reach = serde_json::from_slice(&answer.payload);
        let reach = reach.map_err(|_| CommandError::Unavailable)?;
        if reach == Reach::Taken {
            self.go().await?;
        }
        Ok(reach)
    }

    /// Has the command delivered. An instance that answers too late is never told: it hung, or was
    /// cut off, and the sender has been told by now that nobody has the command.
    async fn go(&self) -> Result<(), CommandError> {
        let go = Go {
            origin: self.cluster.id.clone(),
            number: self.number,
        };
        let go = serde_json::to_vec(&go).map_err(|_| CommandError::Unavailable)?;
        let subject = self.cluster.to_one(&self.peer, "go");
        let told = self.client.publish(subject, go.into()).await;
        told.map_err(|_| CommandError::Unavailable)
    }
}
