//! Plain topic: the whole topic is the channel, or, with a device prefix, all but its first level.

use super::{Destination, Dialect, Own, TopicError};

/// `devicePrefix: false`.
#[derive(Debug)]
pub(super) struct Plain;

impl Dialect for Plain {
    fn destination<'t>(&self, topic: &'t str, _: Own<'_>) -> Result<Destination<'t>, TopicError> {
        if topic.is_empty() {
            return Err(TopicError::NoChannel);
        }
        Ok(Destination::new(topic, None))
    }
}

/// `devicePrefix: true`.
#[derive(Debug)]
pub(super) struct DevicePrefix;

impl Dialect for DevicePrefix {
    /// The first level is the device; empty, it is the connected device.
    fn destination<'t>(&self, topic: &'t str, _: Own<'_>) -> Result<Destination<'t>, TopicError> {
        match topic.split_once('/') {
            None | Some((_, "")) => Err(TopicError::NoChannel),
            Some(("", channel)) => Ok(Destination::new(channel, None)),
            Some((device, channel)) => Ok(Destination::new(channel, Some(device))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Own<'_> = Own {
        application: "app",
        device: "gw",
    };

    #[test]
    fn any_topic_is_a_channel_as_it_stands() {
        for topic in ["a", "a/b/c", "/", "/a//b/", "$weird", "command/inbox//x"] {
            let expected = Destination::new(topic, None);
            assert_eq!(Plain.destination(topic, OWN), Ok(expected));
        }
    }

    #[test]
    fn with_device_prefix_the_first_level_is_the_device() {
        let spoken_for = Destination::new("a/b", Some("dev"));
        assert_eq!(DevicePrefix.destination("dev/a/b", OWN), Ok(spoken_for));
        let own = Destination::new("a/b", None);
        assert_eq!(DevicePrefix.destination("/a/b", OWN), Ok(own));
    }

    #[test]
    fn with_device_prefix_a_topic_of_one_level_is_refused() {
        for topic in ["dev", "dev/", "/"] {
            let refused = Err(TopicError::NoChannel);
            assert_eq!(DevicePrefix.destination(topic, OWN), refused, "{topic}");
        }
    }
}
