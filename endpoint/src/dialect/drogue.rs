//! Drogue V1: `<channel>` for the connected device, `<channel>/<device>` for another one; commands
//! in `command/inbox/…`.

use std::borrow::Cow;

use super::inbox::Pattern;
use super::{Destination, Dialect, InboxFilter, Outgoing, Own, TopicError};

#[derive(Debug)]
pub(super) struct Drogue;

impl Dialect for Drogue {
    fn destination<'t>(&self, topic: &'t str, _: Own<'_>) -> Result<Destination<'t>, TopicError> {
        let (channel, device) = match topic.split_once('/') {
            None => (topic, None),
            Some((channel, device)) => (channel, Some(device)),
        };
        if channel.is_empty() {
            return Err(TopicError::NoChannel);
        }
        match device {
            Some("") => Err(TopicError::EmptyDevice),
            Some(device) if device.contains('/') => Err(TopicError::TooManyLevels),
            device => Ok(Destination::new(channel, device)),
        }
    }

    fn reserves_answers(&self) -> bool {
        true
    }
}

const PREFIX: &str = "command/inbox/";

/// Reads a filter. `None`: no inbox; in particular a single command cannot be subscribed to.
pub(super) fn inbox(filter: &str) -> Option<InboxFilter> {
    let rest = filter.strip_prefix(PREFIX)?;
    match rest {
        "#" => Some(InboxFilter::new(All)),
        "+/#" => Some(InboxFilter::new(Each)),
        "/#" => Some(InboxFilter::new(OwnInbox)),
        _ => {
            let device = rest.strip_suffix("/#")?;
            let is_name = !device.contains(['/', '+', '#']);
            is_name.then(|| InboxFilter::new(Named(device.into())))
        }
    }
}

/// `command/inbox//{command}`
fn own_topic(command: &Outgoing<'_>) -> String {
    format!("{PREFIX}/{}", command.name)
}

/// `command/inbox/{device}/{command}`
fn named_topic(command: &Outgoing<'_>) -> String {
    format!("{PREFIX}{}/{}", command.device, command.name)
}

/// `command/inbox//#`: commands for the connected device.
#[derive(Debug)]
struct OwnInbox;

impl Pattern for OwnInbox {
    fn filter(&self) -> Cow<'_, str> {
        "command/inbox//#".into()
    }

    fn is_own(&self) -> bool {
        true
    }

    fn topic(&self, command: &Outgoing<'_>) -> Option<String> {
        self.covers(command).then(|| own_topic(command))
    }

    fn covers(&self, command: &Outgoing<'_>) -> bool {
        command.device == command.own.device
    }
}

/// `command/inbox/{device}/#`: commands for that device.
#[derive(Debug)]
struct Named(Box<str>);

impl Pattern for Named {
    fn filter(&self) -> Cow<'_, str> {
        format!("{PREFIX}{}/#", self.0).into()
    }

    fn device(&self) -> Option<&str> {
        Some(&self.0)
    }

    fn topic(&self, command: &Outgoing<'_>) -> Option<String> {
        self.covers(command).then(|| named_topic(command))
    }

    fn covers(&self, command: &Outgoing<'_>) -> bool {
        *self.0 == *command.device
    }
}

/// `command/inbox/#`: commands for the connected device and for all that it is the gateway of.
#[derive(Debug)]
struct All;

/// `command/inbox/+/#`: the same; the two are subscribed and given back each alone.
#[derive(Debug)]
struct Each;

fn any_topic(command: &Outgoing<'_>) -> String {
    if command.device == command.own.device {
        own_topic(command)
    } else {
        named_topic(command)
    }
}

impl Pattern for All {
    fn filter(&self) -> Cow<'_, str> {
        "command/inbox/#".into()
    }

    fn topic(&self, command: &Outgoing<'_>) -> Option<String> {
        Some(any_topic(command))
    }

    fn covers(&self, _: &Outgoing<'_>) -> bool {
        true
    }
}

impl Pattern for Each {
    fn filter(&self) -> Cow<'_, str> {
        "command/inbox/+/#".into()
    }

    fn topic(&self, command: &Outgoing<'_>) -> Option<String> {
        Some(any_topic(command))
    }

    fn covers(&self, _: &Outgoing<'_>) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use landfall_protocol::QoS;

    use super::*;
    use crate::dialect::Inbox;

    const OWN: Own<'_> = Own {
        application: "app",
        device: "gw",
    };

    fn destination(topic: &str) -> Result<Destination<'_>, TopicError> {
        Drogue.destination(topic, OWN)
    }

    #[test]
    fn an_inbox_names_its_devices_unless_a_filter_reads_any() {
        let mut inbox = Inbox::default();
        let mut subscribe = |filter: &str| {
            let filter = Drogue.inbox(filter, OWN).unwrap();
            inbox.subscribe(filter, QoS::AtLeastOnce, None);
            let devices = inbox.devices("gw");
            devices.map(|devices| devices.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let named = |names: &[&str]| Some(names.iter().map(|name| (*name).to_owned()).collect());
        assert_eq!(subscribe("command/inbox//#"), named(&["gw"]));
        let both = named(&["gw", "sensor02"]);
        assert_eq!(subscribe("command/inbox/sensor02/#"), both);
        assert_eq!(subscribe("command/inbox/gw/#"), both);
        assert_eq!(subscribe("command/inbox/+/#"), None);
    }

    #[test]
    fn one_level_is_a_channel_of_the_connected_device() {
        assert_eq!(destination("temp"), Ok(Destination::new("temp", None)));
    }

    #[test]
    fn two_levels_are_channel_and_device() {
        let expected = Destination::new("temp", Some("sensor02"));
        assert_eq!(destination("temp/sensor02"), Ok(expected));
    }

    #[test]
    fn refuses_topics_without_a_channel_or_device_and_with_more_levels() {
        assert_eq!(destination("/sensor02"), Err(TopicError::NoChannel));
        assert_eq!(destination("/"), Err(TopicError::NoChannel));
        assert_eq!(destination("temp/"), Err(TopicError::EmptyDevice));
        assert_eq!(destination("a/b/c"), Err(TopicError::TooManyLevels));
        assert_eq!(destination("a/b/"), Err(TopicError::TooManyLevels));
        assert_eq!(
            destination("command/inbox//x"),
            Err(TopicError::TooManyLevels)
        );
    }

    fn reboot(device: &str) -> Outgoing<'_> {
        Outgoing {
            own: OWN,
            device,
            name: "reboot",
            content_type: None,
            payload: b"",
        }
    }

    fn subscribed(filters: &[&str]) -> Inbox {
        let mut subscribed = Inbox::default();
        for (n, filter) in filters.iter().enumerate() {
            let filter = inbox(filter).unwrap();
            subscribed.subscribe(
                filter,
                QoS::AtLeastOnce,
                NonZeroU32::new(u32::try_from(n).unwrap() + 1),
            );
        }
        subscribed
    }

    fn topics(filters: &[&str], device: &str) -> Vec<String> {
        let inbox = subscribed(filters);
        let deliveries = inbox.deliveries(&reboot(device));
        assert_eq!(inbox.covers(&reboot(device)), !deliveries.is_empty());
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
            assert!(inbox(filter).is_none(), "{filter}");
        }
    }

    #[test]
    fn a_filter_is_written_as_it_was_read() {
        for filter in [
            "command/inbox//#",
            "command/inbox/#",
            "command/inbox/+/#",
            "command/inbox/dev/#",
        ] {
            assert_eq!(inbox(filter).unwrap().text(), filter);
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
        let inbox = subscribed(&[
            "command/inbox/#",
            "command/inbox/+/#",
            "command/inbox/dev/#",
        ]);
        let deliveries = inbox.deliveries(&reboot("dev"));
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
        let mut subscribed = subscribed(&["command/inbox/#", "command/inbox/+/#"]);
        subscribed.subscribe(inbox("command/inbox/#").unwrap(), QoS::AtMostOnce, None);
        assert_eq!(subscribed.len(), 2);
        assert!(subscribed.unsubscribe("command/inbox/+/#"));
        assert!(!subscribed.unsubscribe("command/inbox/+/#"));
        assert_eq!(subscribed.deliveries(&reboot("gw"))[0].qos, QoS::AtMostOnce);
    }
}
