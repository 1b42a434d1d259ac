//! SUBSCRIBE and UNSUBSCRIBE: which inboxes a connection may read, and the answers.

use std::num::NonZeroU32;
use std::pin::Pin;

use landfall_protocol::packet::{Subscribe, Unsubscribe};
use landfall_protocol::{PacketId, QoS, ReasonCode, Version};
use landfall_registry::{Registry, Unavailable};

use super::live::Live;
use super::registering::Asked;
use super::uplink::Uplink;
use super::{Link, Stream};
use crate::dialect::{Cause, Dialect, InboxFilter, Own, Request};
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
    /// As it was written.
    text: Box<str>,
    /// `None`: no inbox.
    filter: Option<InboxFilter>,
    qos: QoS,
    /// Whether the connection may read it.
    allowed: Result<(), Cause>,
}

/// The registry's answers about the devices that a SUBSCRIBE names, in order.
pub(super) type Lookups = Pin<Box<dyn Future<Output = Result<Vec<Asked>, Unavailable>> + Send>>;

impl Subscribing {
    /// Reads the filters. Inboxes of other devices are not allowed until they have been judged.
    pub(super) fn of(subscribe: &Subscribe<'_>, dialect: &dyn Dialect, own: Own<'_>) -> Self {
        let wanted = |subscription: landfall_protocol::packet::Subscription<'_>| {
            let filter = dialect.inbox(subscription.filter, own);
            let allowed = match other_device(filter.as_ref(), own.device) {
                None => Ok(()),
                Some(_) => Err(Cause::NotAuthorized),
            };
            Wanted {
                text: subscription.filter.into(),
                allowed,
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

    /// Asks the registry about the other devices that are named, at most `limit` of them, and has
    /// those registered that may be. `None`: there are none.
    pub(super) fn lookups(
        &self,
        uplink: &mut Uplink,
        registry: &Registry,
        limit: usize,
    ) -> Option<Lookups> {
        let others = self
            .wanted
            .iter()
            .filter_map(|w| other_device(w.filter.as_ref(), uplink.device().name()));
        let names: Vec<Box<str>> = others.take(limit).map(Into::into).collect();
        if names.is_empty() {
            return None;
        }
        let registrable = uplink.registrar().map(|it| it.registrable(&names));
        if let (Some(registrable), Some(clerk)) = (registrable, uplink.clerk(registry)) {
            return Some(Box::pin(clerk.find_all(names, registrable)));
        }
        let (registry, application) = (registry.clone(), Box::from(uplink.own().application));
        Some(Box::pin(async move {
            let application: Box<str> = application;
            let mut answers = Vec::with_capacity(names.len());
            for name in names {
                let found = registry.device(&application, &name).await?;
                answers.push(Asked::Device(found));
            }
            Ok(answers)
        }))
    }

    /// Enters what is allowed, up to `limit` subscriptions: one reason for each filter.
    fn enter(&mut self, link: &Link, limit: usize) -> Vec<ReasonCode> {
        let identifier = self.identifier;
        link.with_inbox(|inbox| {
            let enter = |wanted: &mut Wanted| match (wanted.filter.take(), wanted.allowed) {
                (None, _) => wanted.refuse(Cause::Topic),
                (Some(_), Err(cause)) => wanted.refuse(cause),
                (Some(filter), Ok(()))
                    if inbox.len() >= limit && !inbox.contains(&filter.text()) =>
                {
                    wanted.refuse(Cause::TooManySubscriptions)
                }
                (Some(filter), Ok(())) => {
                    inbox.subscribe(filter, wanted.qos, identifier);
                    ReasonCode(wanted.qos as u8)
                }
            };
            self.wanted.iter_mut().map(enter).collect()
        })
    }
}

impl Wanted {
    fn refuse(&mut self, cause: Cause) -> ReasonCode {
        self.allowed = Err(cause);
        match cause {
            Cause::Topic => ReasonCode::TOPIC_FILTER_INVALID,
            Cause::TooManySubscriptions | Cause::TooManyActive | Cause::TooManyDevices => {
                ReasonCode::QUOTA_EXCEEDED
            }
            Cause::NotCreated => ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR,
            Cause::NotAuthorized | Cause::Format | Cause::TooLarge => ReasonCode::NOT_AUTHORIZED,
        }
    }
}

/// The device whose inbox a filter names, if it is not the connected one.
fn other_device<'f>(filter: Option<&'f InboxFilter>, own: &str) -> Option<&'f str> {
    filter?.device().filter(|device| *device != own)
}

impl<S: Stream> Live<S> {
    /// Allows the inboxes of the devices that select this one as their gateway.
    pub(super) fn judge_subscriptions(
        &mut self,
        subscribing: &mut Subscribing,
        answers: Vec<Asked>,
    ) {
        let wanted = subscribing.wanted.iter_mut();
        let asked = wanted.filter(|wanted| wanted.allowed.is_err());
        for (wanted, answer) in asked.zip(answers) {
            let name = wanted.filter.as_ref().and_then(InboxFilter::device);
            let name = name.unwrap_or_default();
            self.note_registration(name, &answer);
            wanted.allowed = self.uplink.may_read(name, &answer);
        }
    }

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
        for wanted in &subscribing.wanted {
            if let Err(cause) = wanted.allowed {
                self.notify(Request::Subscribe, &wanted.text, cause);
            }
        }
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
