//! The inbox of a connection: its subscriptions, and the topics that commands are delivered on.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::num::NonZeroU32;

use landfall_protocol::QoS;

use super::Own;

/// A command on its way to a connection.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'c> {
    /// Who is connected.
    pub own: Own<'c>,
    /// The device that the command is for.
    pub device: &'c str,
    /// The command's name.
    pub name: &'c str,
    /// MIME type of the payload, if its sender gave one.
    pub content_type: Option<&'c str>,
    /// The payload, before any encoding.
    pub payload: &'c [u8],
}

/// What a filter that a dialect knows stands for.
pub(super) trait Pattern: fmt::Debug + Send + Sync {
    /// The filter as it was written.
    fn filter(&self) -> Cow<'_, str>;

    /// The device whose commands alone it reads, if it names one.
    fn device(&self) -> Option<&str> {
        None
    }

    /// Whether it reads commands for the connected device alone.
    fn is_own(&self) -> bool {
        false
    }

    /// The topic that a command goes on by this filter; `None`: it is not for it.
    fn topic(&self, command: &Outgoing<'_>) -> Option<String>;

    /// Whether a command goes by this filter.
    fn covers(&self, command: &Outgoing<'_>) -> bool {
        self.topic(command).is_some()
    }

    /// Whether it reads the server's own messages on this topic.
    fn takes(&self, topic: &str) -> bool {
        let _ = topic;
        false
    }
}

/// A filter that commands can be subscribed with.
#[derive(Debug)]
pub struct InboxFilter(Box<dyn Pattern>);

impl InboxFilter {
    pub(super) fn new(pattern: impl Pattern + 'static) -> Self {
        Self(Box::new(pattern))
    }

    /// The filter as it was written.
    pub fn text(&self) -> Cow<'_, str> {
        self.0.filter()
    }

    /// The device whose commands alone it reads, if it names one: may this connection read them?
    pub fn device(&self) -> Option<&str> {
        self.0.device()
    }

    /// The topic that a command goes on by this filter; `None`: it is not for it.
    pub fn topic(&self, command: &Outgoing<'_>) -> Option<String> {
        self.0.topic(command)
    }

    /// Whether it reads the server's own messages on this topic.
    pub fn takes(&self, topic: &str) -> bool {
        self.0.takes(topic)
    }

    /// Whether a command goes by this filter.
    pub fn covers(&self, command: &Outgoing<'_>) -> bool {
        self.0.covers(command)
    }
}

/// The inbox subscriptions of one connection.
#[derive(Debug, Default)]
pub struct Inbox {
    /// Most connections have one for all their life: no room for more than there are.
    subscriptions: Box<[Subscription]>,
}

#[derive(Debug)]
struct Subscription {
    filter: InboxFilter,
    qos: QoS,
    identifier: Option<NonZeroU32>,
}

/// One PUBLISH that delivers a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxDelivery {
    /// Topic name.
    pub topic: String,
    /// The highest QoS granted among the subscriptions that match.
    pub qos: QoS,
    /// The identifiers of all subscriptions that match `[MQTT-3.3.4-3]`.
    pub identifiers: Vec<NonZeroU32>,
}

impl Inbox {
    /// Adds a subscription, or replaces the one with the same filter `[MQTT-3.8.4-3]`.
    pub fn subscribe(&mut self, filter: InboxFilter, qos: QoS, identifier: Option<NonZeroU32>) {
        let mut subscriptions = std::mem::take(&mut self.subscriptions).into_vec();
        subscriptions.retain(|known| known.filter.text() != filter.text());
        subscriptions.reserve_exact(1);
        subscriptions.push(Subscription {
            filter,
            qos,
            identifier,
        });
        self.subscriptions = subscriptions.into();
    }

    /// Removes a subscription. False: there was none.
    pub fn unsubscribe(&mut self, filter: &str) -> bool {
        let mut subscriptions = std::mem::take(&mut self.subscriptions).into_vec();
        let before = subscriptions.len();
        subscriptions.retain(|s| s.filter.text() != filter);
        self.subscriptions = subscriptions.into();
        self.subscriptions.len() < before
    }

    /// Number of subscriptions.
    pub fn len(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether nothing is subscribed to.
    pub fn is_empty(&self) -> bool {
        self.subscriptions.is_empty()
    }

    /// Whether the filter is subscribed to already.
    pub fn contains(&self, filter: &str) -> bool {
        self.subscriptions.iter().any(|s| s.filter.text() == filter)
    }

    /// The devices whose commands it reads, of a connection of `own`; `None`: any that the connection may
    /// read.
    pub fn devices<'i>(&'i self, own: &'i str) -> Option<BTreeSet<&'i str>> {
        let mut filters = self.subscriptions.iter().map(|s| &*s.filter.0);
        filters.try_fold(BTreeSet::new(), |mut devices, filter| {
            devices.insert(match filter.is_own() {
                true => own,
                false => filter.device()?,
            });
            Some(devices)
        })
    }

    /// Whether a command reaches this connection.
    pub fn covers(&self, command: &Outgoing<'_>) -> bool {
        self.subscriptions.iter().any(|s| s.filter.covers(command))
    }

    /// The message that delivers the server's own words on a topic; `None`: no subscription reads
    /// them.
    pub fn told(&self, topic: String) -> Option<InboxDelivery> {
        let matching = || self.subscriptions.iter().filter(|s| s.filter.takes(&topic));
        let qos = matching().map(|s| s.qos).max()?;
        let identifiers = matching().filter_map(|s| s.identifier).collect();
        Some(InboxDelivery {
            topic,
            qos,
            identifiers,
        })
    }

    /// The messages that deliver a command: one for each distinct topic.
    pub fn deliveries(&self, command: &Outgoing<'_>) -> Vec<InboxDelivery> {
        let mut deliveries: Vec<InboxDelivery> = Vec::new();
        for subscription in &self.subscriptions {
            let Some(topic) = subscription.filter.topic(command) else {
                continue;
            };
            let qos = subscription.qos;
            match deliveries.iter_mut().find(|known| known.topic == topic) {
                Some(known) => {
                    known.qos = known.qos.max(qos);
                    known.identifiers.extend(subscription.identifier);
                }
                None => deliveries.push(InboxDelivery {
                    topic,
                    qos,
                    identifiers: subscription.identifier.into_iter().collect(),
                }),
            }
        }
        deliveries
    }
}
