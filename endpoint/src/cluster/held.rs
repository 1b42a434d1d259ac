//! Commands that other instances hold, shown and revoked.

use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;

use super::wire::{HeldPage, HeldQuestion, Holds, RevokeQuestion};
use super::{Cluster, Missing};
use crate::api::HeldEntry;
use crate::command::held::Revocation;

impl Cluster {
    /// Tells the others that commands may be held here for so many seconds.
    pub async fn holds(&self, seconds: u64) {
        let holds = Holds {
            id: self.id.clone(),
            holds_for: seconds,
        };
        self.tell_all("holds", &holds).await;
    }

    /// What the others hold for a device, each one's oldest first; and whose commands are not among them,
    /// if they hold any: who does not answer within a second, and who is away and held some.
    pub async fn held(&self, application: &str, device: &str) -> (Vec<Vec<HeldEntry>>, Missing) {
        self.heard().await;
        let Some(peers) = self.reached() else {
            return (Vec::new(), Missing::AllOthers);
        };
        let asked = peers.into_iter().map(async |(peer, instance)| {
            let held = self.held_by(&peer, application, device).await;
            (peer, instance, held)
        });
        let (mut lists, mut missing) = (Vec::new(), Vec::new());
        for (peer, instance, held) in join_all(asked).await {
            match held {
                Some(held) => lists.push(held),
                None if self.peers.may_hold(&peer) => missing.push(instance),
                None => {}
            }
        }
        // Last: whoever was given up meanwhile is among them.
        missing.extend(self.peers.away());
        (lists, Missing::named(missing))
    }

    /// All that one instance holds for a device; `None`: it did not say.
    async fn held_by(&self, peer: &str, application: &str, device: &str) -> Option<Vec<HeldEntry>> {
        let mut all = Vec::new();
        let mut after = None;
        loop {
            let question = HeldQuestion {
                application: application.to_owned(),
                device: device.to_owned(),
                after,
            };
            let answer: Option<HeldPage> = self.ask(peer, "held", &question).await?;
            let HeldPage { held, more_after } = answer?;
            all.extend(held);
            // It goes up, whatever the other side says.
            match more_after {
                Some(more) if after.is_none_or(|after| after < more) => after = Some(more),
                Some(_) => return None,
                None => return Some(all),
            }
        }
    }

    /// Revokes a command that another instance holds. The one that has given its number decides, however
    /// long the others take. `Err`: it did not answer; who did not, or is away and held some.
    ///
    /// # Errors
    ///
    /// It may be held, and may be revoked when who holds it goes on.
    pub async fn revoke_held(
        &self,
        application: &str,
        device: &str,
        number: i64,
    ) -> Result<Revocation, Missing> {
        self.heard().await;
        let peers = self.reached().ok_or(Missing::AllOthers)?;
        let question = RevokeQuestion {
            application: application.to_owned(),
            device: device.to_owned(),
            number,
        };
        let mut asked: FuturesUnordered<_> = peers
            .into_iter()
            .map(async |(peer, instance)| {
                let answer: Option<Option<Revocation>> = self.ask(&peer, "revoke", &question).await;
                (peer, instance, answer.flatten())
            })
            .collect();
        let mut missing = Vec::new();
        while let Some((peer, instance, answer)) = asked.next().await {
            match answer {
                Some(done @ (Revocation::Revoked | Revocation::Unknown)) => return Ok(done),
                Some(Revocation::Elsewhere) => {}
                None if self.peers.may_hold(&peer) => missing.push(instance),
                None => {}
            }
        }
        missing.extend(self.peers.away());
        Err(Missing::named(missing))
    }
}
