//! Held commands on their way: each device's one after the other, when it subscribes.
//!
//! A device has a desk while its commands are being delivered. The desk stops at the first command
//! that cannot be delivered now; the next subscription opens it again, and so does another instance
//! of which something may have been missed. A command that is on its way is waited for as long as it
//! lives, so that no connection gets it twice; then the next one has its turn.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use landfall_registry::Device;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use super::index::Key;
use super::{HeldError, NewHeld};
use crate::command::{
    Command, CommandError, CommandHub, CommandReport, CommandRequest, HeldReport, Lifetime, Outcome,
};
use crate::connection::Link;
use crate::log::Trouble;

/// Between two looks for what has expired, and for what failed for reasons of our own.
const SWEEP: Duration = Duration::from_secs(1);
/// Once one connection has taken a held command, the others may take this long.
const STRAGGLERS: Duration = Duration::from_secs(2);

/// Most devices that are looked for again at once: all of them may have to be.
const MOST_RETRIED: usize = 1_000;

/// What became of a command.
type Settled = Result<CommandReport, CommandError>;

/// The devices whose commands are being delivered, and who waits for that.
#[derive(Default)]
pub(super) struct Desks {
    open: Mutex<HashMap<Key, Desk>>,
    /// Devices whose delivery failed for no fault of theirs, or that may have subscribed unheard.
    retry: Mutex<HashSet<Key>>,
}

#[derive(Default)]
struct Desk {
    at_work: bool,
    /// Somebody opened it while it was at work: look once more.
    again: bool,
    waiters: Vec<(i64, oneshot::Sender<Settled>)>,
}

impl Desks {
    fn open(&self) -> MutexGuard<'_, HashMap<Key, Desk>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whoever waits for a command will be told here.
    fn wait_for(&self, key: &Key, id: i64, waiter: oneshot::Sender<Settled>) {
        let mut open = self.open();
        let desk = open.entry(key.clone()).or_default();
        desk.waiters.push((id, waiter));
    }

    /// True: the caller has to do the work.
    fn begin(&self, key: &Key) -> bool {
        let mut open = self.open();
        let desk = open.entry(key.clone()).or_default();
        desk.again = desk.at_work;
        !std::mem::replace(&mut desk.at_work, true)
    }

    /// True: somebody came meanwhile, the work is to be done once more. Else the desk is closed,
    /// and whoever waits learns that the commands stay held.
    fn pause(&self, key: &Key) -> bool {
        let mut open = self.open();
        let again = open
            .get_mut(key)
            .is_some_and(|desk| std::mem::take(&mut desk.again));
        if !again {
            // The waiters are told by their senders' end.
            open.remove(key);
        }
        again
    }

    /// Tells whoever waits for the command. Gives the result back if nobody does any more.
    fn settle(&self, key: &Key, id: i64, result: Settled) -> Option<Settled> {
        let mut open = self.open();
        let waiters = open.get_mut(key).map(|desk| &mut desk.waiters);
        let at = waiters.and_then(|waiters| {
            let at = waiters.iter().position(|(waited, _)| *waited == id)?;
            Some(waiters.swap_remove(at).1)
        });
        match at {
            Some(waiter) => waiter.send(result).err(),
            None => Some(result),
        }
    }

    fn retry(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.retry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Some of those to be tried again.
    fn take_retry(&self, most: usize) -> Vec<Key> {
        let mut retry = self.retry();
        let taken: Vec<Key> = retry.iter().take(most).cloned().collect();
        for key in &taken {
            retry.remove(key);
        }
        taken
    }
}

/// Drops what has expired, and tries again what failed for reasons of our own, for ever.
pub async fn sweep(hub: Arc<CommandHub>) {
    let mut trouble = Trouble::default();
    loop {
        sleep(SWEEP).await;
        match hub.held.expire().await {
            Ok(count) => {
                trouble.is_over();
                if count > 0 {
                    tracing::info!(count, "held commands expired");
                }
            }
            Err(error) if trouble.is_news(&error) => {
                tracing::error!(%error, "held commands cannot expire");
            }
            Err(_) => {}
        }
        for key in hub.held.desks.take_retry(MOST_RETRIED) {
            hub.open_desk(key);
        }
    }
}

impl CommandHub {
    /// Keeps a command until its device has taken it or its life is over, and waits for its
    /// delivery as long as the request says, or until it is clear that the device is not there.
    ///
    /// # Errors
    ///
    /// [`CommandError`] says why it is not kept, or what the device said to it.
    pub async fn hold(
        self: &Arc<Self>,
        request: CommandRequest,
        life: Lifetime,
    ) -> Result<CommandReport, CommandError> {
        let result = self.hold_uncounted(request, life).await;
        self.count(&result);
        result
    }

    async fn hold_uncounted(
        self: &Arc<Self>,
        request: CommandRequest,
        life: Lifetime,
    ) -> Result<CommandReport, CommandError> {
        // What no device could get is refused now.
        Command::of(request.clone())?;
        let found = self.find(&request.application, &request.device).await?;
        let patience = request.timeout;
        let expires = SystemTime::now() + life.duration();
        let held = NewHeld {
            application: request.application.into(),
            device: request.device.into(),
            device_uid: found.device.uid().to_owned(),
            command: request.command,
            payload: request.payload,
            content_type: request.content_type,
            user_properties: request.user_properties,
            expires,
        };
        let key = Key::of(&held);
        let (waiter, settled) = oneshot::channel();
        let (desks, at) = (Arc::clone(&self.held.desks), key.clone());
        let enter = move |id| desks.wait_for(&at, id, waiter);
        let is_first = self.held.time_left().is_zero();
        let id = self.held.keep(held, enter).await.map_err(refused)?;
        if let (Some(cluster), true) = (self.cluster(), is_first) {
            // With the next sign of life it would be too late, should this process hang or die before.
            cluster.holds(self.holds_for_yet()).await;
        }
        self.open_desk(key);
        match timeout(patience, settled).await {
            Ok(Ok(result)) => result,
            _ if SystemTime::now() >= expires => Err(CommandError::Expired),
            _ => Ok(CommandReport {
                held: Some(HeldReport { id, expires }),
                ..CommandReport::of(Outcome::Held)
            }),
        }
    }

    /// A connection of `connected` has subscribed: what is held for it, here and on other
    /// instances, is delivered.
    pub fn subscribed(self: &Arc<Self>, link: &Link, connected: &Device) {
        let application = &link.identity.application;
        let devices = link.with_inbox(|inbox| {
            let devices = inbox.devices(connected.name())?.into_iter();
            Some(devices.map(str::to_owned).collect::<Vec<String>>())
        });
        self.deliver_held_to(application, connected, devices.as_deref());
        if let Some(cluster) = self.cluster() {
            cluster.subscribed(application, connected.name(), devices);
        }
    }

    /// Any device that commands wait for may have subscribed elsewhere, unheard here: all are looked for.
    pub fn retry_held(&self) {
        let waiting = self.held.waiting();
        self.held.desks.retry().extend(waiting);
    }

    /// As [`retry_held`](Self::retry_held), for the devices of an application; for these alone, if any are
    /// named.
    pub fn retry_held_of(&self, application: &str, named: Option<&[String]>) {
        let waiting = self.held.devices_waiting(application, named).into_iter();
        let keys = waiting.map(|device| Key::new(application, &device));
        self.held.desks.retry().extend(keys);
    }

    /// How many seconds longer something may be held here, rounded up; 0: nothing is.
    pub fn holds_for_yet(&self) -> u64 {
        let left = self.held.time_left();
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }

    /// Whether anything is held here for any of these devices; for any of the application, if none are
    /// named.
    pub fn holds_for(&self, application: &str, named: Option<&[String]>) -> bool {
        self.held.has_any(application, named)
    }

    /// Delivers what is held for a device, and for those that select it as their gateway, as far as
    /// its subscriptions go; they read the commands of those that are named alone, if any are.
    pub fn deliver_held_to(
        self: &Arc<Self>,
        application: &str,
        connected: &Device,
        named: Option<&[String]>,
    ) {
        for device in self.held.devices_waiting(application, named) {
            let key = Key::new(application, &device);
            let is_known = self.registry.device_if_cached(application, &device);
            let is_foreign = is_known.flatten().is_some_and(|found| {
                found.device.name() != connected.name() && !found.device.selects_gateway(connected)
            });
            if !is_foreign {
                self.open_desk(key);
            }
        }
    }

    fn open_desk(self: &Arc<Self>, key: Key) {
        if self.held.desks.begin(&key) {
            let hub = Arc::clone(self);
            tokio::spawn(async move {
                loop {
                    hub.deliver_held(&key).await;
                    if !hub.held.desks.pause(&key) {
                        return;
                    }
                }
            });
        }
    }

    /// Delivers a device's commands until one cannot be delivered now.
    async fn deliver_held(&self, key: &Key) {
        loop {
            let next = match self.held.first(&key.application, &key.device).await {
                Ok(Some(next)) => next,
                Ok(None) => return,
                Err(error) => return self.stuck(key, &error),
            };
            let (id, expires) = (next.id, next.held.expires);
            let result = self.deliver_one(next.held).await;
            let is_over = SystemTime::now() >= expires;
            match &result {
                Ok(_) => {}
                Err(error) if is_over || error.is_final() => {
                    tracing::info!(
                        application = &*key.application,
                        device = &*key.device,
                        id,
                        %error,
                        "a held command cannot be delivered and is dropped"
                    );
                }
                Err(CommandError::QueueFull | CommandError::Unavailable) => {
                    self.held.desks.retry().insert(key.clone());
                    return;
                }
                Err(_) => return,
            }
            // Delivered again if it cannot be removed: better twice than never.
            let removed = self.held.remove(&key.application, &key.device, id).await;
            // Who waited counts it.
            if let Some(result) = self.held.desks.settle(key, id, result) {
                self.count(&result);
            }
            if let Err(error) = removed {
                return self.stuck(key, &error);
            }
        }
    }

    fn stuck(&self, key: &Key, error: &HeldError) {
        tracing::error!(%error, "held commands wait for their store");
        self.held.desks.retry().insert(key.clone());
    }

    async fn deliver_one(&self, held: NewHeld) -> Result<CommandReport, CommandError> {
        let found = self.find(&held.application, &held.device).await?;
        if found.device.uid() != held.device_uid {
            return Err(CommandError::UnknownDevice);
        }
        let left = held.expires.duration_since(SystemTime::now());
        let left = left.map_err(|_| CommandError::Expired)?;
        let seconds = u32::try_from(left.as_secs() + 1).unwrap_or(u32::MAX);
        let command = Arc::new(Command::of(CommandRequest {
            application: held.application.to_string(),
            device: held.device.to_string(),
            command: held.command,
            payload: held.payload,
            content_type: held.content_type,
            user_properties: held.user_properties,
            expiry: Lifetime::of_seconds(seconds),
            timeout: left,
            wants_answer: false,
        })?);
        let reports = self.hand_over(&found, &command, left).await?;
        let deadline = Instant::now() + left;
        self.gather(&command, reports, deadline, STRAGGLERS).await
    }
}

// What `map_err` hands over.
#[allow(clippy::needless_pass_by_value)]
pub(super) fn refused(error: HeldError) -> CommandError {
    match error {
        HeldError::Full => CommandError::QueueFull,
        HeldError::Store(_) => {
            tracing::error!(%error, "a command cannot be held");
            CommandError::Unavailable
        }
    }
}
