//! Who else has a device: asked when one of its clients connects, and before it is said to be gone.
//!
//! A client that connects is *claimed*: every other instance ends its older session, waits until its
//! will and `false` event are accepted, and answers; only then is the new one entered and said to be
//! connected. An instance that does not answer in time is not waited for: when it goes on, it asks in
//! its turn before it says anything of the session, learns of the later one, and says nothing.
//!
//! One that has no session of the device, by the directory, and had none lately, is waited for no longer
//! than need be: if it hangs, it has no part in a take-over between others.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Request;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use landfall_protocol::ReasonCode;
use tokio::time::{Instant, sleep_until, timeout};

use super::directory::{entry, hash};
use super::patience::{Answers, collect};
use super::wire::{Appeared, Known, Question, Roll};
use super::{ANSWER, Claim, Cluster};
use crate::connection::{Identity, settle_device};
use crate::records::Epoch;
use crate::server::Shared;

/// After its line is up, an instance has heard of the others within this time.
pub(super) const HEARD: Duration = Duration::from_millis(1_200);
/// An instance that has just started does not wait longer for its line.
const START: Duration = Duration::from_secs(3);
/// Connections of one message of a roll.
const ROLL: usize = 250;

/// What other instances know of a client's device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Another client of the device is connected to another instance, or this one by a later
    /// session.
    pub elsewhere: bool,
    /// The epoch of a later session of the same client.
    pub later: Option<Epoch>,
}

impl Cluster {
    /// Has the client's older sessions on other instances ended, and what is due of them accepted; and
    /// tells them of the new one. An instance that takes longer than a second is not waited for.
    pub async fn claim(
        self: &Arc<Self>,
        application: &str,
        device: &str,
        client_id: &str,
        epoch: Epoch,
    ) -> (Standing, Claim) {
        self.settled().await;
        let claim = Claim::new(self, application, device, epoch);
        let question = Question {
            id: self.id.clone(),
            application: application.to_owned(),
            device: device.to_owned(),
            client_id: client_id.to_owned(),
            epoch,
            claims: true,
        };
        (self.ask_all(&question).await, claim)
    }

    /// What the others know of the device of a session that is over; they know then that it is. An
    /// instance that takes longer than half a second is not waited for.
    pub async fn standing(self: &Arc<Self>, who: &Identity) -> Standing {
        let session = entry(&who.application, &who.device, who.epoch);
        self.directory.remove_own(&session);
        self.ask_all(&Question {
            id: self.id.clone(),
            application: who.application.to_string(),
            device: who.device.to_string(),
            client_id: who.client_id.to_string(),
            epoch: who.epoch,
            claims: false,
        })
        .await
    }

    /// Waits, after the start alone, until this instance has heard of the others, if it can.
    pub async fn settled(&self) {
        let given_up = self.started + START;
        if Instant::now() >= given_up {
            return;
        }
        let mut up = self.up.subscribe();
        let heard = async {
            // The sender lives in `self`.
            if let Ok(up) = up.wait_for(Option::is_some).await.map(|up| *up)
                && let Some(up) = up
            {
                sleep_until(up + HEARD).await;
            }
        };
        let _ = tokio::time::timeout_at(given_up, heard).await;
    }

    /// Waits, after the start and after a hang, until this instance has heard of the others.
    pub(super) async fn heard(&self) {
        self.settled().await;
        self.awake().await;
    }

    /// Waits, after a hang alone, until what the others have said meanwhile is heard.
    async fn awake(&self) {
        if let Some(until) = self.pulse.hears_until() {
            sleep_until(until).await;
        }
    }

    async fn ask_all(self: &Arc<Self>, question: &Question) -> Standing {
        self.awake().await;
        let peers = self.peers.reachable();
        let (Some(line), false) = (self.line(), peers.is_empty()) else {
            return Standing::default();
        };
        let Ok(payload) = serde_json::to_vec(question) else {
            return Standing::default();
        };
        let payload = bytes::Bytes::from(payload);
        // Who takes a client over waits for its end, which must not wait longer for a third one.
        let patience = match question.claims {
            true => ANSWER,
            false => ANSWER / 2,
        };
        let device = hash(&question.application, &question.device);
        let asked = peers.into_iter().map(|peer| {
            let may_know = self.directory.may_know(&peer, device);
            let (line, subject) = (line.clone(), self.to_one(&peer, "who"));
            let request = Request::new().payload(payload.clone());
            let known = async move {
                let answer = timeout(patience, line.request(subject, request));
                let answer = answer.await.ok()?.ok()?;
                serde_json::from_slice::<Known>(&answer.payload).ok()
            };
            (may_know, async move { (may_know, known.await) })
        });
        let Answers { given, mut open } = collect(asked).await;
        let mut standing = Standing::default();
        for known in given.iter().flatten() {
            standing.elsewhere |= known.connected;
            standing.later = standing.later.max(known.later);
        }
        if question.claims {
            // Who does not answer may not know of the new session.
            if given.iter().any(Option::is_none) {
                self.directory.doubt_own();
            }
            let this = Arc::clone(self);
            tokio::spawn(async move {
                while let Some((_, known)) = open.next().await {
                    if known.is_none() {
                        this.directory.doubt_own();
                    }
                }
            });
        }
        standing
    }

    /// Answers another instance's question.
    pub(super) async fn answer(&self, question: &Question, shared: &Arc<Shared>) -> Known {
        let Question {
            id,
            application,
            device,
            client_id,
            epoch,
            claims,
        } = question;
        shared.records.clock().seen(*epoch);
        let sessions = &shared.sessions;
        let mut later = None;
        let mut older = Vec::new();
        for link in sessions.of_device(application, device) {
            if *link.identity.client_id != **client_id {
                continue;
            }
            if (link.identity.epoch, &self.id) > (*epoch, id) {
                later = later.max(Some(link.identity.epoch));
            } else if *claims {
                link.close(ReasonCode::SESSION_TAKEN_OVER);
                older.push(link);
            }
        }
        if *claims {
            let gone = async {
                let mut parting: Vec<_> = older.iter().map(|link| link.parted()).collect();
                settle_device(shared, application, device).await;
                let last = sessions.parting_of(application, device);
                parting.extend(last.iter().map(|link| link.parted()));
                join_all(parting).await;
            };
            // The other side has waited longer by then, and is to hear the rest.
            if timeout(ANSWER * 3 / 4, gone).await.is_err() {
                // It goes on: what these have not said by now would contradict it.
                older.iter().for_each(|link| link.supersede(*epoch));
            }
        }
        let is_before = |other: Epoch| (other, &self.id) < (*epoch, id);
        let connected = match claims {
            true => sessions.has_earlier(application, device, client_id, *epoch, is_before),
            false => sessions.has_other(application, device, client_id),
        };
        Known {
            connected: later.is_some() || connected,
            later,
        }
    }

    /// Tells an instance that has been away who is connected here: of two sessions of one client the
    /// later one stays.
    pub(super) async fn call_roll(&self, peer: &str, shared: &Shared) {
        let Some(line) = self.line() else { return };
        for links in shared.sessions.all().chunks(ROLL) {
            let connected = links
                .iter()
                .map(|link| Appeared::of(&self.id, &link.identity));
            let roll = Roll {
                connected: connected.collect(),
            };
            let Ok(payload) = serde_json::to_vec(&roll) else {
                return;
            };
            let told = line.publish(self.to_one(peer, "roll"), payload.into());
            if let Err(error) = told.await {
                tracing::debug!(%error, "another instance could not be told who is connected");
                return;
            }
        }
    }
}
