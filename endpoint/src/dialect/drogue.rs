//! Drogue V1: `<channel>` for the connected device, `<channel>/<device>` for another one.

use super::{Destination, TopicError};

pub(super) fn destination(topic: &str) -> Result<Destination<'_>, TopicError> {
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
        device => Ok(Destination { channel, device }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_level_is_a_channel_of_the_connected_device() {
        assert_eq!(
            destination("temp"),
            Ok(Destination {
                channel: "temp",
                device: None
            })
        );
    }

    #[test]
    fn two_levels_are_channel_and_device() {
        let expected = Destination {
            channel: "temp",
            device: Some("sensor02"),
        };
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
}
