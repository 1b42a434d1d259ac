//! Finds the sessions that serve a device, hands the command to each, and gathers the outcome.

use std::sync::Arc;

use landfall_protocol::QoS;
use landfall_registry::{Found, Registry};
use prometheus::IntCounterVec;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::{
    Command, CommandError, CommandName, CommandReport, CommandRequest, Delivered, Handed, Outcome,
    SessionFailure, SessionReport,
};
use crate::connection::{Link, Offer};
use crate::sessions::Sessions;

/// The way from command sources to sessions.
pub struct CommandHub {
    registry: Registry,
    sessions: Arc<Sessions>,
    instance: Arc<str>,
    queue: usize,
    outcomes: IntCounterVec,
}

impl CommandHub {
    /// A hub over these sessions; at most `queue` commands wait in each.
    /// `outcomes` counts by outcome.
    pub fn new(
        registry: Registry,
        sessions: Arc<Sessions>,
        instance: Arc<str>,
        queue: usize,
        outcomes: IntCounterVec,
    ) -> Self {
        Self {
            registry,
            sessions,
            instance,
            queue,
            outcomes,
        }
    }

    /// Sends a command and waits for its outcome.
    ///
    /// # Errors
    ///
    /// [`CommandError`] says why it reached nobody, or nobody is known to have received it.
    pub async fn send(&self, request: CommandRequest) -> Result<CommandReport, CommandError> {
        let result = self.send_uncounted(request).await;
        let outcome = match &result {
            Ok(report) => report.outcome.as_str(),
            Err(error) => error.as_str(),
        };
        self.outcomes.with_label_values(&[outcome]).inc();
        result
    }

    async fn send_uncounted(&self, request: CommandRequest) -> Result<CommandReport, CommandError> {
        let name = CommandName::parse(&request.command)
            .map_err(|error| CommandError::BadName(error.to_string()))?;
        let found = self.find(&request.application, &request.device).await?;
        let deadline = Instant::now() + request.timeout;
        let unattended = request.timeout.is_zero();
        let command = Arc::new(Command {
            device: request.device.into(),
            name,
            payload: request.payload,
            content_type: request.content_type.map(Into::into),
        });
        let (reporter, reports) = mpsc::unbounded_channel();
        let make =
            |link: &Link| Handed::new(&command, &reporter, &link.identity.device, unattended);
        self.hand_over(&found, &command, make).await?;
        drop(reporter);
        if unattended {
            return Ok(CommandReport {
                outcome: Outcome::HandedOver,
                deliveries: Vec::new(),
            });
        }
        self.gather(&command, reports, deadline).await
    }

    async fn find(&self, application: &str, device: &str) -> Result<Found, CommandError> {
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
    /// gateways it selects.
    async fn hand_over(
        &self,
        found: &Found,
        command: &Command,
        make: impl Fn(&Link) -> Handed,
    ) -> Result<(), CommandError> {
        let links = self.serving(found).await?;
        if links.is_empty() {
            return Err(CommandError::NotConnected);
        }
        let offers: Vec<Offer> = links
            .iter()
            .map(|link| link.offer(command, self.queue, || make(link)))
            .collect();
        if offers.contains(&Offer::Taken) {
            Ok(())
        } else if offers.contains(&Offer::Full) {
            Err(CommandError::QueueFull)
        } else {
            Err(CommandError::NotSubscribed)
        }
    }

    async fn serving(&self, found: &Found) -> Result<Vec<Arc<Link>>, CommandError> {
        let (application, device) = (found.application.name(), found.device.name());
        let mut links = self.sessions.of_device(application, device);
        if !found.device.selects_by_labels() {
            for gateway in found.device.gateway_names().filter(|name| *name != device) {
                links.extend(self.sessions.of_device(application, gateway));
            }
            return Ok(links);
        }
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

    /// Waits until every session has reported, has gone, or the time is over.
    async fn gather(
        &self,
        command: &Command,
        mut reports: mpsc::UnboundedReceiver<SessionReport>,
        deadline: Instant,
    ) -> Result<CommandReport, CommandError> {
        let mut deliveries = Vec::new();
        let mut failure = CommandError::NoAcknowledgement;
        while let Ok(Some(report)) = timeout_at(deadline, reports.recv()).await {
            match report.result {
                Ok(()) => deliveries.push(Delivered {
                    device: command.device.to_string(),
                    via: report.via.to_string(),
                    qos: report.qos as u8,
                    instance: self.instance.to_string(),
                    latency: report.latency,
                }),
                Err(SessionFailure::TooLarge) => failure = CommandError::TooLarge,
                Err(SessionFailure::Refused(reason)) => failure = CommandError::Refused(reason),
            }
        }
        if deliveries.is_empty() {
            return Err(failure);
        }
        let acknowledged = deliveries.iter().any(|d| d.qos == QoS::AtLeastOnce as u8);
        let outcome = if acknowledged {
            Outcome::Acknowledged
        } else {
            Outcome::Sent
        };
        Ok(CommandReport {
            outcome,
            deliveries,
        })
    }
}
