//! Several instances as one: over NATS, each tells the others what they need to know.
//!
//! - `line`: the line to NATS, for which nobody waits long;
//! - `peers`: who is there; every instance says so twice a second;
//! - `wire`: what goes over NATS;
//! - `directory`: which instance may have a device's connections;
//! - `listing`: an instance's connections, as another one asks for them;
//! - `held`: commands that the others hold, shown and revoked;
//! - `missing`: who has not answered what all were asked;
//! - `offer`: a command handed to the instances that may hold its device, and their reports;
//! - `claim`: a session that the others are told of, until it is in the table;
//! - `patience`: how long several instances' answers are waited for;
//! - `pulse`: whether this process has hung;
//! - `standing`: who else has a device, before it is said to be connected or gone;
//! - `listen`: what the others say, and what is done about it.
//!
//! Nothing here is durable, and nothing waits for an instance that is gone: who has not been heard
//! of for two seconds is no longer asked, and what it was asked counts as lost. An instance
//! that is cut off from NATS goes on alone.

mod claim;
mod connect;
mod directory;
mod held;
mod line;
mod listen;
mod listing;
mod missing;
mod offer;
mod patience;
mod peers;
mod pulse;
mod standing;
mod wire;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use async_nats::{HeaderMap, Request};
use futures_util::future::join_all;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::command::{CommandRequest, SessionReport};
use crate::connection::Link;
use crate::records::{Epoch, SessionRecord};
pub use claim::Claim;
pub use connect::ClusterOptions;
use directory::{Directory, entry};
use line::{Line, LineError};
pub use listen::run;
pub use missing::Missing;
pub use offer::Reach;
use peers::Peers;
use pulse::Pulse;
pub use standing::Standing;
pub use wire::ConnectionPage;
use wire::{Appeared, META};

/// How long another instance may take to answer a question.
const ANSWER: Duration = Duration::from_secs(1);
/// Most devices that are named to others; of more, they look at all that they hold commands for.
const MOST_NAMED: usize = 100;
/// Most commands that are kept for their askers' word.
const MOST_KEPT: usize = 10_000;

/// This instance's end of the line to the others.
pub struct Cluster {
    options: ClusterOptions,
    /// Of this process: a restarted instance is another one.
    id: String,
    instance: Arc<str>,
    /// While NATS was reached at least once.
    line: RwLock<Option<Line>>,
    started: Instant,
    /// Since when NATS is reached.
    up: watch::Sender<Option<Instant>>,
    pulse: Pulse,
    peers: Peers,
    directory: Directory,
    /// Commands that others were handed, by number: where their reports go.
    open: Mutex<HashMap<u64, Open>>,
    last_number: AtomicU64,
    /// Commands that others have asked about, by asker and number.
    kept: Mutex<HashMap<Asked, Kept>>,
}

/// Who asked, under which number.
type Asked = (String, u64);

/// A command that waits for its asker's word.
struct Kept {
    request: CommandRequest,
    /// Its asker takes a report for the last that says so.
    reads_last: bool,
    since: Instant,
}

struct Open {
    /// Who was handed it.
    peer: Arc<str>,
    reporter: mpsc::UnboundedSender<SessionReport>,
}

impl Cluster {
    /// The end of the line of an instance of this name.
    pub fn new(options: ClusterOptions, instance: Arc<str>) -> Self {
        Self {
            options,
            id: uuid::Uuid::new_v4().simple().to_string(),
            instance,
            line: RwLock::new(None),
            started: Instant::now(),
            up: watch::Sender::new(None),
            pulse: Pulse::new(),
            peers: Peers::default(),
            directory: Directory::default(),
            open: Mutex::default(),
            last_number: AtomicU64::new(0),
            kept: Mutex::default(),
        }
    }

    /// Messages may have been lost, either way.
    fn doubt(&self) {
        self.directory.doubt_all();
        self.directory.doubt_own();
    }

    /// The line, unless nothing waits for it.
    fn line(&self) -> Option<Line> {
        let line = self.line.read().unwrap_or_else(PoisonError::into_inner);
        line.as_ref().filter(|line| !line.is_away()).cloned()
    }

    fn open(&self) -> MutexGuard<'_, HashMap<u64, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Asked, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a command that would be taken until its asker says go. [`Reach::Full`]: too many are kept.
    fn keep(&self, asked: Asked, request: CommandRequest, reads_last: bool) -> Reach {
        let mut kept = self.kept();
        if kept.len() >= MOST_KEPT {
            return Reach::Full;
        }
        let command = Kept {
            request,
            reads_last,
            since: Instant::now(),
        };
        kept.insert(asked, command);
        Reach::Taken
    }

    fn take_kept(&self, asked: &Asked) -> Option<Kept> {
        self.kept().remove(asked)
    }

    /// Forgets what its askers have given up.
    fn forget_kept(&self) {
        let patience = ANSWER * 2;
        self.kept()
            .retain(|_, kept| kept.since.elapsed() < patience);
    }

    /// Forgets commands whose senders wait no more, and gives up those of instances that are gone: they may
    /// have delivered them.
    fn forget_open(&self) {
        self.open().retain(|_, open| {
            let is_live = self.peers.is_live(&open.peer);
            if !is_live {
                let _ = open.reporter.send(SessionReport::Lost);
            }
            is_live && !open.reporter.is_closed()
        });
    }

    fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The subject that all instances listen to.
    fn to_all(&self, what: &str) -> String {
        format!("{}.all.{what}", self.options.prefix)
    }

    /// The subject that one instance listens to.
    fn to_one(&self, id: &str, what: &str) -> String {
        format!("{}.to.{id}.{what}", self.options.prefix)
    }

    /// Tells all others. Nobody need be there.
    async fn tell_all(&self, what: &str, told: &impl Serialize) {
        let (Some(line), Ok(payload)) = (self.line(), serde_json::to_vec(told)) else {
            return;
        };
        let told = line.publish(self.to_all(what), payload.into()).await;
        if let Err(error) = told {
            if let LineError::TimedOut = error {
                // A line that is lost says so by itself.
                self.directory.doubt_own();
            }
            tracing::debug!(%error, "the other instances could not be told");
        }
    }

    /// A device has connected here: its connection of the same client id elsewhere gives way.
    pub fn appeared(self: &Arc<Self>, link: &Link) {
        let appeared = Appeared::of(&self.id, &link.identity);
        let this = Arc::clone(self);
        tokio::spawn(async move { this.tell_all("appeared", &appeared).await });
    }

    /// A session of the process before, of which something is due: others that claim its device wait for
    /// that.
    pub fn is_due(&self, session: &SessionRecord) {
        let SessionRecord {
            application,
            device,
            epoch,
            ..
        } = session;
        self.directory.enter_own(entry(application, device, *epoch));
    }

    /// A session is over, and the others are not asked what they know of its device.
    pub fn left(self: &Arc<Self>, application: &str, device: &str, epoch: Epoch) {
        let session = entry(application, device, epoch);
        if !self.directory.remove_own(&session) {
            return;
        }
        let left = wire::Left {
            id: self.id.clone(),
            application: application.to_owned(),
            device: device.to_owned(),
            epoch,
        };
        let this = Arc::clone(self);
        // Without a runtime the process ends, and all its sessions.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move { this.tell_all("left", &left).await });
        }
    }

    /// A device has subscribed here, to commands for these devices, or for any that it may read: others may
    /// hold some.
    pub fn subscribed(
        self: &Arc<Self>,
        application: &str,
        device: &str,
        devices: Option<Vec<String>>,
    ) {
        let subscribed = wire::Subscribed {
            id: self.id.clone(),
            application: application.to_owned(),
            device: device.to_owned(),
            devices: devices.filter(|devices| devices.len() <= MOST_NAMED),
        };
        let this = Arc::clone(self);
        tokio::spawn(async move { this.tell_all("subscribed", &subscribed).await });
    }

    /// The others that have not been given up, each with its instance's name; `None`: they are cut off.
    fn reached(&self) -> Option<Vec<(Arc<str>, String)>> {
        self.line().map(|_| self.peers.named())
    }

    /// What one instance answers within a second; `None`: nothing that can be read.
    async fn ask<A: DeserializeOwned>(
        &self,
        peer: &str,
        what: &str,
        question: &impl Serialize,
    ) -> Option<A> {
        let line = self.line()?;
        let request = Request::new().payload(serde_json::to_vec(question).ok()?.into());
        let answer = line.request(self.to_one(peer, what), request).await.ok()?;
        serde_json::from_slice(&answer.payload).ok()
    }

    /// What the others say of their connections of an application: from each at most about `limit`,
    /// of devices after a name; and who did not answer in time.
    pub async fn connections(
        &self,
        application: &str,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<ConnectionPage>, Missing) {
        let Some(peers) = self.reached() else {
            return (Vec::new(), Missing::AllOthers);
        };
        let question = wire::ConnectionsQuestion {
            application: application.to_owned(),
            after: after.map(str::to_owned),
            limit,
        };
        let live = peers
            .into_iter()
            .filter(|(peer, _)| self.peers.is_live(peer));
        let asked = live.map(async |(peer, instance)| {
            let page: Option<ConnectionPage> = self.ask(&peer, "connections", &question).await;
            page.ok_or(instance)
        });
        let (mut pages, mut missing) = (Vec::new(), Vec::new());
        for answer in join_all(asked).await {
            match answer {
                Ok(page) => pages.push(page),
                Err(instance) => missing.push(instance),
            }
        }
        (pages, Missing::named(missing))
    }
}

/// Headers with a JSON object: the payload is the command's or the answer's own.
fn with_meta(meta: &impl Serialize) -> Option<HeaderMap> {
    // Compact JSON has no line breaks, which a header could not carry.
    let meta = serde_json::to_string(meta).ok()?;
    let mut headers = HeaderMap::new();
    headers.insert(META, meta.parse::<async_nats::HeaderValue>().ok()?);
    Some(headers)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[tokio::test]
    async fn a_command_that_cannot_be_kept_is_one_too_many() {
        let options = ClusterOptions {
            servers: Vec::new(),
            connect: Box::new(|| Err("no line".to_owned())),
            prefix: "landfall".to_owned(),
        };
        let cluster = Cluster::new(options, "one".into());
        let request = CommandRequest {
            application: "app".to_owned(),
            device: "d".to_owned(),
            command: "set".to_owned(),
            payload: Bytes::new(),
            content_type: None,
            user_properties: Vec::new(),
            expiry: None,
            timeout: Duration::ZERO,
            wants_answer: false,
        };
        let keep = |number| cluster.keep(("asker".to_owned(), number), request.clone(), true);
        let most = MOST_KEPT as u64;
        assert!((0..most).all(|number| keep(number) == Reach::Taken));
        assert_eq!(keep(most), Reach::Full);
        assert!(cluster.take_kept(&("asker".to_owned(), 0)).is_some());
        assert_eq!(keep(most), Reach::Taken);
    }
}
