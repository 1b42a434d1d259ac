//! Command inboxes: `command/inbox/...` filters, and the topics that commands are delivered on.

use std::num::NonZeroU32;

use landfall_protocol::QoS;

/// A filter that commands can be subscribed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InboxFilter {
    /// `command/inbox//#`: commands for the connected device.
    Own,
    /// `command/inbox/{device}/#`: commands for that device.
    Device(Box<str>),
    /// `command/inbox/#`, `command/inbox/+/#`: commands for the connected device and for all that
    /// it is the gateway of. The two are told apart, as each is subscribed and given back alone.
    All {
        /// Written with `+`.
        plus: bool,
    },
}

const PREFIX: &str = "command/inbox/";

impl InboxFilter {
    /// Reads a filter. `None`: no inbox; in particular a single command cannot be subscribed to.
    pub fn parse(filter: &str) -> Option<Self> {
        let rest = filter.strip_prefix(PREFIX)?;
        match rest {
            "#" => Some(Self::All { plus: false }),
            "+/#" => Some(Self::All { plus: true }),
            "/#" => Some(Self::Own),
            _ => {
                let device = rest.strip_suffix("/#")?;
                let is_name = !device.contains(['/', '+', '#']);
                is_name.then(|| Self::Device(device.into()))
            }
        }
    }

    /// Where a command for `device` goes by this filter.
    fn place(&self, device: &str, own: &str) -> Option<Place> {
        match self {
            Self::Own => (device == own).then_some(Place::Own),
            Self::Device(name) => (**name == *device).then_some(Place::Named),
            Self::All { .. } if device == own => Some(Place::Own),
            Self::All { .. } => Some(Place::Named),
        }
    }
}

/// The two topics a command can be delivered on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// `command/inbox//{command}`
    Own,
    /// `command/inbox/{device}/{command}`
    Named,
}

/// The inbox subscriptions of one connection.
#[derive(Debug, Default)]
pub struct Inbox {
    subscriptions: Vec<Subscription>,
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
        self.unsubscribe(&filter);
        // Most connections have one for all their life: no room for more than there are.
        self.subscriptions.reserve_exact(1);
        self.subscriptions.push(Subscription {
            filter,
            qos,
            identifier,
        });
    }

    /// Removes a subscription. False: there was none.
    pub fn unsubscribe(&mut self, filter: &InboxFilter) -> bool {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|s| s.filter != *filter);
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
    pub fn contains(&self, filter: &InboxFilter) -> bool {
        self.subscriptions.iter().any(|s| s.filter == *filter)
    }

    /// Whether a command for `device` reaches this connection of device `own`.
    pub fn covers(&self, device: &str, own: &str) -> bool {
        self.subscriptions
            .iter()
            .any(|s| s.filter.place(device, own).is_some())
    }

    /// The messages that deliver a command: one for each distinct topic.
    pub fn deliveries(&self, device: &str, own: &str, command: &str) -> Vec<InboxDelivery> {
        [Place::Own, Place::Named]
            .into_iter()
            .filter_map(|place| self.delivery(place, device, own, command))
            .collect()
    }

    fn delivery(&self, at: Place, device: &str, own: &str, command: &str) -> Option<InboxDelivery> {
        let matching = || {
            self.subscriptions
                .iter()
                .filter(|s| s.filter.place(device, own) == Some(at))
        };
        let qos = matching().map(|s| s.qos).max()?;
        let named = if at == Place::Own { "" } else { device };
        Some(InboxDelivery {
            topic: format!("{PREFIX}{named}/{command}"),
            qos,
            identifiers: matching().filter_map(|s| s.identifier).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(filters: &[&str]) -> Inbox {
        let mut inbox = Inbox::default();
        for (n, filter) in filters.iter().enumerate() {
            let filter = InboxFilter::parse(filter).unwrap();
            inbox.subscribe(
                filter,
                QoS::AtLeastOnce,
                NonZeroU32::new(u32::try_from(n).unwrap() + 1),
            );
        }
        inbox
    }

    fn topics(filters: &[&str], device: &str) -> Vec<String> {
        let deliveries = inbox(filters).deliveries(device, "gw", "reboot");
        deliveries.into_iter().map(|d| d.topic).collect()
    }

    #[test]
    fn only_whole_inboxes_are_filters() {
        for filter in [
            "command/inbox//reboot",
            "command/inbox/dev/reboot",
            "command/inbox/dev/+",
            "command/inbox/+/reboot",
            "command/inbox/a/b/#",
            "command/inbox",
            "command/#",
            "command/inbox/+",
            "#",
            "+/inbox/#",
            "command/inbox///#",
            "temp",
            "",
        ] {
            assert_eq!(InboxFilter::parse(filter), None, "{filter}");
        }
    }

    #[test]
    fn own_inbox_gets_own_commands_without_a_name() {
        assert_eq!(
            topics(&["command/inbox//#"], "gw"),
            ["command/inbox//reboot"]
        );
        assert!(topics(&["command/inbox//#"], "dev").is_empty());
    }

    #[test]
    fn named_inbox_gets_commands_with_the_name_also_for_itself() {
        assert_eq!(
            topics(&["command/inbox/dev/#"], "dev"),
            ["command/inbox/dev/reboot"]
        );
        assert_eq!(
            topics(&["command/inbox/gw/#"], "gw"),
            ["command/inbox/gw/reboot"]
        );
        assert!(topics(&["command/inbox/dev/#"], "other").is_empty());
    }

    #[test]
    fn wildcard_inbox_tells_own_and_other_commands_apart() {
        for all in ["command/inbox/#", "command/inbox/+/#"] {
            assert_eq!(topics(&[all], "gw"), ["command/inbox//reboot"]);
            assert_eq!(topics(&[all], "dev"), ["command/inbox/dev/reboot"]);
        }
    }

    #[test]
    fn overlapping_filters_give_one_message_per_topic_with_all_identifiers() {
        let inbox = inbox(&[
            "command/inbox/#",
            "command/inbox/+/#",
            "command/inbox/dev/#",
        ]);
        let deliveries = inbox.deliveries("dev", "gw", "x");
        assert_eq!(deliveries.len(), 1);
        let identifiers: Vec<u32> = deliveries[0].identifiers.iter().map(|i| i.get()).collect();
        assert_eq!(identifiers, [1, 2, 3]);
    }

    #[test]
    fn own_and_named_filters_of_the_same_device_give_two_topics() {
        let filters = ["command/inbox//#", "command/inbox/gw/#"];
        assert_eq!(
            topics(&filters, "gw"),
            ["command/inbox//reboot", "command/inbox/gw/reboot"]
        );
    }

    #[test]
    fn a_subscription_is_replaced_by_the_same_filter_and_given_back_alone() {
        let mut inbox = inbox(&["command/inbox/#", "command/inbox/+/#"]);
        inbox.subscribe(InboxFilter::All { plus: false }, QoS::AtMostOnce, None);
        assert_eq!(inbox.len(), 2);
        assert!(inbox.unsubscribe(&InboxFilter::All { plus: true }));
        assert!(!inbox.unsubscribe(&InboxFilter::All { plus: true }));
        assert_eq!(inbox.deliveries("gw", "gw", "x")[0].qos, QoS::AtMostOnce);
    }
}
