//! Finds the sessions that serve a device, and hands the command to each.

use std::sync::Arc;
use std::time::Duration;

use landfall_protocol::QoS;
use landfall_registry::{Found, Registry};
use prometheus::IntCounterVec;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::gather::gather;
use super::held::HeldCommands;
use super::{
    Command, CommandError, CommandReport, CommandRequest, Handed, Lifetime, Outcome,
    SessionFailure, SessionReport,
};
use crate::cluster::{Cluster, Reach};
use crate::connection::Link;
use crate::sessions::Sessions;

/// The way from command sources to sessions.
pub struct CommandHub {
    pub(super) registry: Registry,
    sessions: Arc<Sessions>,
    instance: Arc<str>,
    queue: usize,
    outcomes: IntCounterVec,
    pub(super) held: HeldCommands,
    cluster: Option<Arc<Cluster>>,
}

/// Whose connections serve a device: its own, and those of the gateways it names. `None`: it selects
/// by labels, so that only a look at each gateway tells.
pub(crate) fn serving_names(found: &Found) -> Option<impl Iterator<Item = &str>> {
    let device = &found.device;
    let name = device.name();
    let gateways = device
        .gateway_names()
        .filter(move |gateway| *gateway != name);
    (!device.selects_by_labels()).then(|| std::iter::once(name).chain(gateways))
}

impl SessionFailure {
    /// Why nobody has a command that could have been taken when it was asked about; `None`: somebody has
    /// it.
    const fn of_offer(offer: &Result<Reach, CommandError>) -> Option<Self> {
        match offer {
            Ok(Reach::Taken) => None,
            // Others were faster.
            Ok(Reach::Full) => Some(Self::TooManyRequests),
            Err(CommandError::Unavailable) => Some(Self::Unavailable),
            // Who could take it has gone since.
            Ok(Reach::NotConnected | Reach::NotSubscribed) | Err(_) => Some(Self::Gone),
        }
    }
}

impl CommandHub {
    /// A hub over these sessions; at most `queue` commands for one device wait in each.
    /// `outcomes` counts by outcome.
    pub fn new(
        registry: Registry,
        sessions: Arc<Sessions>,
        instance: Arc<str>,
        queue: usize,
        outcomes: IntCounterVec,
        held: HeldCommands,
        cluster: Option<Arc<Cluster>>,
    ) -> Self {
        Self {
            registry,
            sessions,
            instance,
            queue,
            outcomes,
            held,
            cluster,
        }
    }

    /// Sends or holds a command, as its sender wishes.
    ///
    /// # Errors
    ///
    /// As [`CommandHub::send`] and [`CommandHub::hold`].
    pub async fn take(
        self: &Arc<Self>,
        request: CommandRequest,
        ttl: Option<Lifetime>,
    ) -> Result<CommandReport, CommandError> {
        match ttl {
            Some(ttl) => self.hold(request, ttl).await,
            None => self.send(request).await,
        }
    }

    /// Sends a command and waits for its outcome, and for the device's answer if that is wanted.
    ///
    /// # Errors
    ///
    /// [`CommandError`] says why it reached nobody, or nobody is known to have received it.
    pub async fn send(&self, request: CommandRequest) -> Result<CommandReport, CommandError> {
        let result = self.send_uncounted(request).await;
        self.count(&result);
        result
    }

    /// The other instances, if there may be any.
    pub(super) fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    pub(super) fn count(&self, result: &Result<CommandReport, CommandError>) {
        let outcome = match result {
            Ok(report) => report.outcome.as_str(),
            Err(error) => error.as_str(),
        };
        self.outcomes.with_label_values(&[outcome]).inc();
    }

    async fn send_uncounted(&self, request: CommandRequest) -> Result<CommandReport, CommandError> {
        let patience = request.timeout;
        let deadline = Instant::now() + patience;
        let unattended = patience.is_zero();
        let application = request.application.clone();
        let command = Arc::new(Command::of(request)?);
        let found = self.find(&application, &command.device).await?;
        let reports = self.hand_over(&found, &command, patience).await?;
        if unattended {
            return Ok(CommandReport::of(Outcome::HandedOver));
        }
        // As long as there is time, every connection's word is waited for.
        self.gather(&command, reports, deadline, patience).await
    }

    pub(super) async fn find(
        &self,
        application: &str,
        device: &str,
    ) -> Result<Found, CommandError> {
        let unavailable = |_| CommandError::Unavailable;
        match self
            .registry
            .device(application, device)
            .await
            .map_err(unavailable)?
        {
            Some(found) => Ok(found),
            None => {
                let known = self
                    .registry
                    .application(application)
                    .await
                    .map_err(unavailable)?;
                Err(match known {
                    Some(_) => CommandError::UnknownDevice,
                    None => CommandError::UnknownApplication,
                })
            }
        }
    }

    /// Queues the command in every session that serves the device: its own, and those of the
    /// gateways it selects, on all instances. What the sessions report ends when all are done with
    /// it. With zero `patience` it is delivered, and nobody waits.
    pub(super) async fn hand_over(
        &self,
        found: &Found,
        command: &Arc<Command>,
        patience: Duration,
    ) -> Result<mpsc::UnboundedReceiver<SessionReport>, CommandError> {
        let (reporter, reports) = mpsc::unbounded_channel();
        let here = self.offer(found, command, patience, &reporter).await?;
        let cluster = self.cluster.as_ref();
        if let Some(cluster) = cluster
            && here != Reach::Taken
        {
            // Who has just started knows of no others yet.
            cluster.settled().await;
        }
        let elsewhere =
            cluster.map(|cluster| cluster.offer(found, command, patience, here, &reporter));
        let reach = match elsewhere {
            // The others' reports come all the same.
            Some(elsewhere) if here != Reach::Taken => {
                here.max(elsewhere.await.unwrap_or(Reach::NotConnected))
            }
            _ => here,
        };
        match reach {
            Reach::Taken => Ok(reports),
            Reach::Full => Err(CommandError::QueueFull),
            Reach::NotSubscribed => Err(CommandError::NotSubscribed),
            Reach::NotConnected => Err(CommandError::NotConnected),
        }
    }

    /// How far a command that was handed in elsewhere would come here.
    pub async fn reach_here(&self, request: CommandRequest) -> Reach {
        let application = request.application.clone();
        let look = async {
            let command = Command::of(request)?;
            let found = self.find(&application, &command.device).await?;
            let links = self.serving(&found).await?;
            let reaches = links
                .iter()
                .map(|link| Reach::from(link.would_take(&command, self.queue)));
            Ok::<_, CommandError>(reaches.max().unwrap_or(Reach::NotConnected))
        };
        // Whatever keeps it from being offered here, the asker finds out for itself.
        look.await.unwrap_or(Reach::NotConnected)
    }

    /// Offers a command that was handed in elsewhere to the sessions here.
    pub async fn offer_here(
        &self,
        request: CommandRequest,
    ) -> mpsc::UnboundedReceiver<SessionReport> {
        let (reporter, reports) = mpsc::unbounded_channel();
        let patience = request.timeout;
        let application = request.application.clone();
        let offer = async {
            let command = Arc::new(Command::of(request)?);
            let found = self.find(&application, &command.device).await?;
            self.offer(&found, &command, patience, &reporter).await
        };
        if let Some(failure) = SessionFailure::of_offer(&offer.await) {
            let failed = SessionReport::Settled {
                via: "".into(),
                instance: None,
                qos: QoS::AtMostOnce,
                latency: Duration::ZERO,
                result: Err(failure),
            };
            let _ = reporter.send(failed);
        }
        reports
    }

    /// Queues the command in every session here that serves the device.
    async fn offer(
        &self,
        found: &Found,
        command: &Arc<Command>,
        patience: Duration,
        reporter: &mpsc::UnboundedSender<SessionReport>,
    ) -> Result<Reach, CommandError> {
        let links = self.serving(found).await?;
        let offer = |link: &Arc<Link>| {
            let via = &link.identity.device;
            let make = || Handed::new(command, reporter, via, patience.is_zero());
            Reach::from(link.offer(command, self.queue, make))
        };
        // Each is offered it, wherever else it was taken.
        let reaches: Vec<Reach> = links.iter().map(offer).collect();
        Ok(reaches.into_iter().max().unwrap_or(Reach::NotConnected))
    }

    async fn serving(&self, found: &Found) -> Result<Vec<Arc<Link>>, CommandError> {
        let (application, device) = (found.application.name(), found.device.name());
        if let Some(names) = serving_names(found) {
            let links = names.flat_map(|name| self.sessions.of_device(application, name));
            return Ok(links.collect());
        }
        let mut links = self.sessions.of_device(application, device);
        // Labels select gateways that are not named: look at all that are connected.
        for link in self.sessions.of_application(application) {
            if *link.identity.device == *device {
                continue;
            }
            let gateway = self
                .registry
                .device(application, &link.identity.device)
                .await;
            let gateway = gateway.map_err(|_| CommandError::Unavailable)?;
            if gateway.is_some_and(|gateway| found.device.selects_gateway(&gateway.device)) {
                links.push(link);
            }
        }
        Ok(links)
    }

    /// What becomes of a command that was handed over: see [`gather`].
    pub(super) async fn gather(
        &self,
        command: &Command,
        reports: mpsc::UnboundedReceiver<SessionReport>,
        deadline: Instant,
        stragglers: Duration,
    ) -> Result<CommandReport, CommandError> {
        gather(command, reports, (deadline, stragglers), &self.instance).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_others_were_faster_than_is_not_told_to_have_nobody() {
        let told = |offer| SessionFailure::of_offer(&offer).map(CommandError::from);
        assert_eq!(told(Ok(Reach::Taken)), None);
        assert_eq!(told(Ok(Reach::Full)), Some(CommandError::QueueFull));
        let away = CommandError::Unavailable;
        assert_eq!(told(Err(away.clone())), Some(away));
        let gone = [Reach::NotConnected, Reach::NotSubscribed];
        for reach in gone {
            assert_eq!(told(Ok(reach)), Some(CommandError::NotConnected));
        }
    }
}
