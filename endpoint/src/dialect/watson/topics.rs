//! Topics that devices and gateways publish to.

use std::borrow::Cow;

use super::super::{Destination, TopicError};
use super::{format, name};

/// Device management messages of devices: requests, and responses to the server's.
const FROM_DEVICE: &str = "iotdevice-1/";

/// Reads a topic:
///
/// - `iot-2/evt/{event}/fmt/{format}` and `iot-2/type/{type}/id/{device}/evt/{event}/fmt/{format}`:
///   the channel is the event;
/// - `iotdevice-1/{message}` and `iotdevice-1/type/{type}/id/{device}/{message}`: the channel is
///   `iotdevice-1/{message}`.
pub(super) fn destination(topic: &str) -> Result<Destination<'_>, TopicError> {
    if let Some(message) = topic.strip_prefix(FROM_DEVICE) {
        return management(topic, message);
    }
    let rest = topic.strip_prefix("iot-2/").ok_or(TopicError::NoRule)?;
    let (device, rest) = about(rest)?;
    event(rest, device)
}

/// Takes `type/{type}/id/{device}/` off the front: the device, if there is one, and the rest.
fn about(rest: &str) -> Result<(Option<String>, &str), TopicError> {
    let Some(named) = rest.strip_prefix("type/") else {
        return Ok((None, rest));
    };
    let mut levels = named.splitn(4, '/');
    let (Some(kind), Some("id"), Some(device), Some(rest)) =
        (levels.next(), levels.next(), levels.next(), levels.next())
    else {
        return Err(TopicError::NoRule);
    };
    if !name::is_valid(kind) {
        return Err(TopicError::DeviceType);
    }
    if !name::is_valid(device) {
        return Err(TopicError::DeviceId);
    }
    Ok((Some(name::join(kind, device)), rest))
}

fn event(rest: &str, device: Option<String>) -> Result<Destination<'_>, TopicError> {
    let mut levels = rest.split('/');
    let (Some("evt"), Some(event), Some("fmt"), Some(format), None) = (
        levels.next(),
        levels.next(),
        levels.next(),
        levels.next(),
        levels.next(),
    ) else {
        return Err(TopicError::NoRule);
    };
    if event.is_empty() || format.is_empty() {
        return Err(TopicError::NoRule);
    }
    Ok(Destination {
        channel: Cow::Borrowed(event),
        device: device.map(Cow::Owned),
        content_type: format::content_type(format).map(Cow::Borrowed),
        extensions: vec![(Cow::Borrowed("format"), Cow::Borrowed(format))],
    })
}

/// "All messages are sent in JSON format" (Message format). The documented topics end in `/`.
fn management<'t>(topic: &'t str, message: &'t str) -> Result<Destination<'t>, TopicError> {
    let (device, rest) = about(message)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    if rest.split('/').any(str::is_empty) {
        return Err(TopicError::NoRule);
    }
    let channel = match device {
        None => Cow::Borrowed(topic.strip_suffix('/').unwrap_or(topic)),
        Some(_) => Cow::Owned(format!("{FROM_DEVICE}{rest}")),
    };
    Ok(Destination {
        channel,
        device: device.map(Cow::Owned),
        content_type: Some(Cow::Borrowed("application/json")),
        extensions: Vec::new(),
    })
}

/// A device management message taken apart: the levels that name its device, and the message.
pub(super) fn management_message(topic: &str) -> Option<(&str, &str)> {
    let message = topic.strip_prefix(FROM_DEVICE)?;
    let (device, rest) = about(message).ok()?;
    let about = match device {
        None => "",
        Some(_) => message.strip_suffix(rest)?,
    };
    Some((about, rest.strip_suffix('/').unwrap_or(rest)))
}

/// Type and device that a topic names, valid or not, for a notification; empty where it names none.
pub(super) fn named(topic: &str) -> (&str, &str) {
    let rest = topic.split_once('/').map_or("", |(_, rest)| rest);
    let mut levels = rest.split('/');
    match (levels.next(), levels.next(), levels.next(), levels.next()) {
        (Some("type"), Some(kind), Some("id"), Some(device)) => (kind, device),
        (Some("type"), Some(kind), _, _) => (kind, ""),
        _ => ("", ""),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Channel, device, content type and format.
    type Read = (String, Option<String>, Option<String>, Option<String>);

    fn read(topic: &str) -> Result<Read, TopicError> {
        destination(topic).map(|d| {
            let format = d.extensions.first().map(|(name, value)| {
                assert_eq!(name, "format");
                value.to_string()
            });
            (
                d.channel.into_owned(),
                d.device.map(Cow::into_owned),
                d.content_type.map(Cow::into_owned),
                format,
            )
        })
    }

    #[test]
    fn an_event_of_the_connected_device() {
        let json = (
            "status".into(),
            None,
            Some("application/json".into()),
            Some("json".into()),
        );
        assert_eq!(read("iot-2/evt/status/fmt/json"), Ok(json));
        let own = ("status".into(), None, None, Some("x-1".into()));
        assert_eq!(read("iot-2/evt/status/fmt/x-1"), Ok(own));
    }

    #[test]
    fn an_event_of_a_device_behind_a_gateway() {
        let bin = (
            "status".into(),
            Some("mydevice:device1".into()),
            Some("application/octet-stream".into()),
            Some("bin".into()),
        );
        assert_eq!(
            read("iot-2/type/mydevice/id/device1/evt/status/fmt/bin"),
            Ok(bin)
        );
    }

    #[test]
    fn device_management_messages() {
        let json = || Some("application/json".to_owned());
        let own = |channel: &str| Ok((channel.to_owned(), None, json(), None));
        assert_eq!(
            read("iotdevice-1/mgmt/manage"),
            own("iotdevice-1/mgmt/manage")
        );
        assert_eq!(read("iotdevice-1/response/"), own("iotdevice-1/response"));
        let other = |channel: &str| Ok((channel.to_owned(), Some("t:d".to_owned()), json(), None));
        assert_eq!(
            read("iotdevice-1/type/t/id/d/mgmt/unmanage"),
            other("iotdevice-1/mgmt/unmanage")
        );
        assert_eq!(
            read("iotdevice-1/type/t/id/d/response/"),
            other("iotdevice-1/response")
        );
    }

    #[test]
    fn refuses_topics_that_nearly_match() {
        for topic in [
            "",
            "iot-2",
            "iot-2/",
            "iot-2/evt/status",
            "iot-2/evt/status/fmt",
            "iot-2/evt/status/fmt/",
            "iot-2/evt//fmt/json",
            "iot-2/evt/status/fmt/json/",
            "iot-2/evt/status/fmt/json/x",
            "iot-2/evt/a/b/fmt/json",
            "iot-1/evt/status/fmt/json",
            "ot-2/evt/status/fmt/json",
            "/iot-2/evt/status/fmt/json",
            "iot-2/event/status/fmt/json",
            "iot-2/cmd/status/fmt/json",
            "iot-2/type/t/id/d",
            "iot-2/type/t/id/d/",
            "iot-2/type/t/id/d/notify",
            "iot-2/type/t/id/d/cmd/c/fmt/json",
            "iot-2/type/t/di/d/evt/e/fmt/json",
            "iotdevice-1/",
            "iotdevice-1//",
            "iotdevice-1/a//b",
            "iotdevice-1/type/t/id/d",
            "iotdevice-1/type/t/id/d/",
            "iotdm-1/response",
        ] {
            assert_eq!(read(topic), Err(TopicError::NoRule), "{topic}");
        }
    }

    #[test]
    fn refuses_names_that_no_device_can_have() {
        let long = "x".repeat(37);
        for bad in ["", "%41", "a b", "ä", &long] {
            let topic = format!("iot-2/type/{bad}/id/d/evt/e/fmt/json");
            assert_eq!(read(&topic), Err(TopicError::DeviceType), "{topic}");
            let topic = format!("iotdevice-1/type/t/id/{bad}/mgmt/manage");
            assert_eq!(read(&topic), Err(TopicError::DeviceId), "{topic}");
        }
    }

    #[test]
    fn a_notification_names_what_the_topic_names() {
        assert_eq!(named("iot-2/type/t/id/d/evt/e/fmt/json"), ("t", "d"));
        assert_eq!(named("iot-2/type/t/id/d/cmd/+/fmt/+"), ("t", "d"));
        assert_eq!(named("iot-2/type/a b"), ("a b", ""));
        assert_eq!(named("iot-2/evt/e/fmt/json"), ("", ""));
        assert_eq!(named("x"), ("", ""));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(
            kind in "[a-zA-Z0-9_.-]{1,36}",
            device in "[a-zA-Z0-9_.-]{1,36}",
            event in "[^/+#\0]{1,20}",
            format in "[^/+#\0]{1,10}",
        ) {
            let own = read(&format!("iot-2/evt/{event}/fmt/{format}")).unwrap();
            prop_assert_eq!((&own.0, &own.1, own.3.as_deref()), (&event, &None, Some(&*format)));
            let topic = format!("iot-2/type/{kind}/id/{device}/evt/{event}/fmt/{format}");
            let other = read(&topic).unwrap();
            let name = Some(name::join(&kind, &device));
            prop_assert_eq!((&other.0, &other.1, other.3.as_deref()), (&event, &name, Some(&*format)));
            prop_assert_eq!(named(&topic), (&*kind, &*device));
        }
    }
}
