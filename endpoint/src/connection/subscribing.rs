//! SUBSCRIBE and UNSUBSCRIBE: which inboxes a connection may read, and the answers.

use std::num::NonZeroU32;
use std::pin::Pin;

use landfall_protocol::packet::{Subscribe, Unsubscribe};
use landfall_protocol::{PacketId, QoS, ReasonCode, Version};
use landfall_registry::{Device, Found, Registry, Unavailable};

use super::live::Live;
use super::{Link, Stream};
use crate::dialect::{Dialect, InboxFilter, Own};
use crate::telemetry::SubscriptionRefused;

/// A SUBSCRIBE with memory of its own.
#[derive(Debug)]
pub(super) struct Subscribing {
    packet_id: PacketId,
    identifier: Option<NonZeroU32>,
    wanted: Vec<Wanted>,
}

#[derive(Debug)]
struct Wanted {
    /// `None`: no inbox.
    filter: Option<InboxFilter>,
    qos: QoS,
    /// Whether the connection may read it.
    allowed: bool,
}

/// The registry's answers about the devices that a SUBSCRIBE names, in order.
pub(super) type Lookups =
    Pin<Box<dyn Future<Output = Result<Vec<Option<Found>>, Unavailable>> + Send>>;

impl Subscribing {
    /// Reads the filters. Inboxes of other devices are not allowed until [`judge`](Self::judge).
    pub(super) fn of(subscribe: &Subscribe<'_>, dialect: &dyn Dialect, own: Own<'_>) -> Self {
        let wanted = |subscription: landfall_protocol::packet::Subscription<'_>| {
            let filter = dialect.inbox(subscription.filter, own);
            Wanted {
                allowed: other_device(filter.as_ref(), own.device).is_none(),
                filter,
                // Commands are delivered at QoS 1 at most.
                qos: subscription.qos.min(QoS::AtLeastOnce),
            }
        };
        Self {
            packet_id: subscribe.packet_id,
            identifier: subscribe.subscription_identifier,
            wanted: subscribe.filters.iter().map(wanted).collect(),
        }
    }

    /// Asks the registry about the other devices that are named, at most `limit` of them.
    /// `None`: there are none.
    pub(super) fn lookups(
        &self,
        link: &Link,
        registry: &Registry,
        limit: usize,
    ) -> Option<Lookups> {
        let own = &link.identity.device;
        let others = self
            .wanted
            .iter()
            .filter_map(|w| other_device(w.filter.as_ref(), own));
        let names: Vec<Box<str>> = others.take(limit).map(Into::into).collect();
        if names.is_empty() {
            return None;
        }
        let (registry, application) = (registry.clone(), link.identity.application.clone());
        Some(Box::pin(async move {
            let mut answers = Vec::with_capacity(names.len());
            for name in names {
                answers.push(registry.device(&application, &name).await?);
            }
            Ok(answers)
        }))
    }

    /// Allows the inboxes of the devices that select this one as their gateway.
    pub(super) fn judge(&mut self, answers: Vec<Option<Found>>, gateway: &Device) {
        let asked = self.wanted.iter_mut().filter(|wanted| !wanted.allowed);
        for (wanted, answer) in asked.zip(answers) {
            wanted.allowed = answer.is_some_and(|found| found.device.selects_gateway(gateway));
        }
    }

    /// Enters what is allowed, up to `limit` subscriptions: one reason for each filter.
    fn enter(&mut self, link: &Link, limit: usize) -> Vec<ReasonCode> {
        let identifier = self.identifier;
        link.with_inbox(|inbox| {
            let enter = |wanted: &mut Wanted| match wanted.filter.take() {
                None => ReasonCode::TOPIC_FILTER_INVALID,
                Some(_) if !wanted.allowed => ReasonCode::NOT_AUTHORIZED,
                Some(filter) if inbox.len() >= limit && !inbox.contains(&filter.text()) => {
                    ReasonCode::QUOTA_EXCEEDED
                }
                Some(filter) => {
                    inbox.subscribe(filter, wanted.qos, identifier);
                    ReasonCode(wanted.qos as u8)
                }
            };
            self.wanted.iter_mut().map(enter).collect()
        })
    }
}

/// The device whose inbox a filter names, if it is not the connected one.
fn other_device<'f>(filter: Option<&'f InboxFilter>, own: &str) -> Option<&'f str> {
    filter?.device().filter(|device| *device != own)
}

impl<S: Stream> Live<S> {
    /// Enters the subscriptions and answers.
    pub(super) fn finish_subscribing(&mut self, mut subscribing: Subscribing) {
        let mut reasons = subscribing.enter(&self.link, self.door.subscriptions);
        if let Some(reason) = reasons.iter().copied().find(|reason| reason.is_failure()) {
            let link = &self.link;
            SubscriptionRefused { link, reason }.emit(&self.shared.telemetry);
        }
        if self.session.version() == Version::V31 {
            // 3.1 has no failure code: what was asked for is granted, and nothing delivered.
            for (reason, wanted) in reasons.iter_mut().zip(&subscribing.wanted) {
                *reason = ReasonCode(wanted.qos as u8);
            }
        }
        self.session.suback(subscribing.packet_id, &mut reasons);
        self.shared.hub.subscribed(&self.link, self.uplink.device());
    }
}

/// Gives subscriptions back: one reason for each filter.
pub(super) fn unsubscribe_all(link: &Link, unsubscribe: &Unsubscribe<'_>) -> Vec<ReasonCode> {
    link.with_inbox(|inbox| {
        let mut leave = |filter: &str| match inbox.unsubscribe(filter) {
            true => ReasonCode::SUCCESS,
            false => ReasonCode::NO_SUBSCRIPTION_EXISTED,
        };
        let filters = unsubscribe.filters.iter();
        filters
            .map(|subscription| leave(subscription.filter))
            .collect()
    })
}
