//! Plain topic: the whole topic is the channel, or, with a device prefix, all but its first level.

use super::{Destination, TopicError};

pub(super) fn destination(topic: &str) -> Result<Destination<'_>, TopicError> {
    if topic.is_empty() {
        return Err(TopicError::NoChannel);
    }
    Ok(Destination {
        channel: topic,
        device: None,
    })
}

/// The first level is the device; empty, it is the connected device.
pub(super) fn prefixed_destination(topic: &str) -> Result<Destination<'_>, TopicError> {
    match topic.split_once('/') {
        None | Some((_, "")) => Err(TopicError::NoChannel),
        Some(("", channel)) => Ok(Destination {
            channel,
            device: None,
        }),
        Some((device, channel)) => Ok(Destination {
            channel,
            device: Some(device),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_topic_is_a_channel_as_it_stands() {
        for topic in ["a", "a/b/c", "/", "/a//b/", "$weird", "command/inbox//x"] {
            assert_eq!(
                destination(topic),
                Ok(Destination {
                    channel: topic,
                    device: None
                })
            );
        }
    }

    #[test]
    fn with_device_prefix_the_first_level_is_the_device() {
        let spoken_for = Destination {
            channel: "a/b",
            device: Some("dev"),
        };
        assert_eq!(prefixed_destination("dev/a/b"), Ok(spoken_for));
        let own = Destination {
            channel: "a/b",
            device: None,
        };
        assert_eq!(prefixed_destination("/a/b"), Ok(own));
    }

    #[test]
    fn with_device_prefix_a_topic_of_one_level_is_refused() {
        assert_eq!(prefixed_destination("dev"), Err(TopicError::NoChannel));
        assert_eq!(prefixed_destination("dev/"), Err(TopicError::NoChannel));
        assert_eq!(prefixed_destination("/"), Err(TopicError::NoChannel));
    }
}
