//! Filters of devices and gateways, and the topics that commands are delivered on.

use std::borrow::Cow;

use super::super::filter;
use super::super::inbox::Pattern;
use super::super::{InboxFilter, Outgoing, Own};
use super::{format, name};

/// Device management messages of the server: requests, and responses to the device's.
const TO_DEVICE: &str = "iotdm-1/";
/// A command of this prefix is a device management message: `iotdm-1:mgmt:initiate:device:reboot`
/// goes on `iotdm-1/mgmt/initiate/device/reboot`, as a command's name has no `/`.
const MANAGEMENT: &str = "iotdm-1:";

/// Reads a filter:
///
/// - `iot-2/cmd/{command}/fmt/{format}`, `iot-2/type/{type}/id/{device}/cmd/{command}/fmt/{format}`,
///   with `+` at any of the four places;
/// - `iotdm-1/…`, `iotdm-1/type/{type}/id/{device}/…`, with any wildcards behind;
/// - `iot-2/type/{type}/id/{device}/notify` of the connected device.
pub(super) fn inbox(filter: &str, own: Own<'_>) -> Option<InboxFilter> {
    if !filter::is_valid(filter) {
        return None;
    }
    if let Some(rest) = filter.strip_prefix(TO_DEVICE) {
        let (about, message) = About::take(rest)?;
        let management = Management::new(filter, about, message);
        return (!message.is_empty()).then(|| InboxFilter::new(management));
    }
    let (about, rest) = About::take(filter.strip_prefix("iot-2/")?)?;
    if rest == "notify" {
        let is_own = about.device().is_some_and(|device| device == own.device);
        return is_own.then(|| InboxFilter::new(Notifications(filter.into())));
    }
    let mut levels = rest.split('/');
    let (Some("cmd"), Some(command), Some("fmt"), Some(format), None) = (
        levels.next(),
        levels.next(),
        levels.next(),
        levels.next(),
        levels.next(),
    ) else {
        return None;
    };
    (is_level(command) && is_level(format)).then(|| {
        InboxFilter::new(Commands {
            filter: filter.into(),
            command: command.into(),
            format: format.into(),
            about,
        })
    })
}

/// A name, or `+` alone. `#` stands nowhere but at an end.
fn is_level(level: &str) -> bool {
    !level.is_empty() && level != "#"
}

/// Which devices a filter is about.
#[derive(Debug)]
enum About {
    /// The connected one; its topics do not name it.
    Own,
    /// One, by type and device.
    One(Box<str>),
    /// All that type and device match; either of them may be `+`.
    Matching(Box<str>, Box<str>),
}

impl About {
    /// Takes `type/{type}/id/{device}/` off the front.
    fn take(rest: &str) -> Option<(Self, &str)> {
        let Some(named) = rest.strip_prefix("type/") else {
            return Some((Self::Own, rest));
        };
        let mut levels = named.splitn(4, '/');
        let (Some(kind), Some("id"), Some(device), Some(rest)) =
            (levels.next(), levels.next(), levels.next(), levels.next())
        else {
            return None;
        };
        let may_stand = |level: &str| level == "+" || name::is_valid(level);
        if !may_stand(kind) || !may_stand(device) {
            return None;
        }
        let about = if kind == "+" || device == "+" {
            Self::Matching(kind.into(), device.into())
        } else {
            Self::One(name::join(kind, device).into())
        };
        Some((about, rest))
    }

    fn device(&self) -> Option<&str> {
        match self {
            Self::One(name) => Some(name),
            Self::Own | Self::Matching(..) => None,
        }
    }

    /// The levels that name the command's device in a topic; `None`: the filter is not about it.
    fn levels(&self, command: &Outgoing<'_>) -> Option<String> {
        let matches = |pattern: &str, level: &str| pattern == "+" || pattern == level;
        match self {
            Self::Own => (command.device == command.own.device).then(String::new),
            Self::One(name) if **name != *command.device => None,
            Self::One(_) | Self::Matching(..) => {
                let (kind, device) = name::split(command.device)?;
                if let Self::Matching(kinds, devices) = self
                    && !(matches(kinds, kind) && matches(devices, device))
                {
                    return None;
                }
                Some(format!("type/{kind}/id/{device}/"))
            }
        }
    }
}

/// `…cmd/{command}/fmt/{format}`
#[derive(Debug)]
struct Commands {
    filter: Box<str>,
    about: About,
    command: Box<str>,
    format: Box<str>,
}

impl Pattern for Commands {
    fn filter(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.filter)
    }

    fn device(&self) -> Option<&str> {
        self.about.device()
    }

    fn is_own(&self) -> bool {
        matches!(self.about, About::Own)
    }

    fn topic(&self, command: &Outgoing<'_>) -> Option<String> {
        if command.name.starts_with(MANAGEMENT) {
            return None;
        }
        let matches = |pattern: &str, level: &str| pattern == "+" || pattern == level;
        if !matches(&self.command, command.name) {
            return None;
        }
        let about = self.about.levels(command)?;
        let format = format::of_command(command.content_type, command.payload);
        matches(&self.format, format)
            .then(|| format!("iot-2/{about}cmd/{}/fmt/{format}", command.name))
    }
}

/// `iotdm-1/…`
#[derive(Debug)]
struct Management {
    filter: Box<str>,
    about: About,
    /// What stands behind the device, wildcards included.
    message: Box<str>,
}

impl Management {
    fn new(filter: &str, about: About, message: &str) -> Self {
        Self {
            filter: filter.into(),
            about,
            message: message.into(),
        }
    }
}

impl Pattern for Management {
    fn filter(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.filter)
    }

    fn device(&self) -> Option<&str> {
        self.about.device()
    }

    fn is_own(&self) -> bool {
        matches!(self.about, About::Own)
    }

    fn topic(&self, command: &Outgoing<'_>) -> Option<String> {
        let message = command.name.strip_prefix(MANAGEMENT)?.replace(':', "/");
        if message.is_empty() || !filter::matches(&self.message, &message) {
            return None;
        }
        let about = self.about.levels(command)?;
        let topic = format!("{TO_DEVICE}{about}{message}");
        // `iotdm-1/+/…` and `iotdm-1/#` read messages of the connected device only.
        filter::matches(&self.filter, &topic).then_some(topic)
    }

    fn takes(&self, topic: &str) -> bool {
        filter::matches(&self.filter, topic)
    }
}

/// `iot-2/type/{type}/id/{device}/notify`
#[derive(Debug)]
struct Notifications(Box<str>);

impl Pattern for Notifications {
    fn filter(&self) -> Cow<'_, str> {
        Cow::Borrowed(&self.0)
    }

    fn topic(&self, _: &Outgoing<'_>) -> Option<String> {
        None
    }

    fn takes(&self, topic: &str) -> bool {
        *self.0 == *topic
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Own<'_> = Own {
        application: "org1",
        device: "gate:g1",
    };

    fn topic(filter: &str, device: &str, name: &str, content_type: &str) -> Option<String> {
        let command = Outgoing {
            own: OWN,
            device,
            name,
            content_type: Some(content_type),
            payload: b"",
        };
        inbox(filter, OWN)
            .unwrap_or_else(|| panic!("{filter} is no inbox"))
            .topic(&command)
    }

    fn json(filter: &str, device: &str, name: &str) -> Option<String> {
        topic(filter, device, name, "application/json")
    }

    #[test]
    fn commands_of_the_connected_device() {
        let filter = "iot-2/cmd/+/fmt/+";
        let expected = Some("iot-2/cmd/reboot/fmt/json".to_owned());
        assert_eq!(json(filter, "gate:g1", "reboot"), expected);
        assert_eq!(json(filter, "other:d1", "reboot"), None);
    }

    #[test]
    fn any_of_the_four_places_may_be_a_wildcard() {
        let delivered = Some("iot-2/type/dev/id/d1/cmd/reboot/fmt/json".to_owned());
        for bits in 0..16 {
            let level = |bit: u8, literal: &'static str| {
                if bits & (1 << bit) == 0 { literal } else { "+" }
            };
            let filter = format!(
                "iot-2/type/{}/id/{}/cmd/{}/fmt/{}",
                level(0, "dev"),
                level(1, "d1"),
                level(2, "reboot"),
                level(3, "json")
            );
            assert_eq!(json(&filter, "dev:d1", "reboot"), delivered, "{filter}");
            for (bit, other) in [
                (0, json(&filter, "other:d1", "reboot")),
                (1, json(&filter, "dev:d2", "reboot")),
                (2, json(&filter, "dev:d1", "stop")),
                (3, topic(&filter, "dev:d1", "reboot", "text/plain")),
            ] {
                assert_eq!(other.is_some(), bits & (1 << bit) != 0, "{filter} {bit}");
            }
        }
    }

    #[test]
    fn a_filter_names_the_one_device_that_must_be_asked_about() {
        let device = |filter: &str| inbox(filter, OWN).unwrap().device().map(str::to_owned);
        assert_eq!(device("iot-2/type/t/id/d/cmd/+/fmt/+"), Some("t:d".into()));
        assert_eq!(device("iotdm-1/type/t/id/d/#"), Some("t:d".into()));
        assert_eq!(device("iot-2/type/t/id/+/cmd/+/fmt/+"), None);
        assert_eq!(device("iot-2/cmd/+/fmt/+"), None);
    }

    #[test]
    fn device_management_messages_are_commands_with_a_prefix() {
        let reboot = "iotdm-1:mgmt:initiate:device:reboot";
        let own = Some("iotdm-1/mgmt/initiate/device/reboot".to_owned());
        assert_eq!(json("iotdm-1/#", "gate:g1", reboot), own);
        assert_eq!(json("iotdm-1/mgmt/initiate/#", "gate:g1", reboot), own);
        assert_eq!(
            json("iotdm-1/mgmt/initiate/device/+", "gate:g1", reboot),
            own
        );
        assert_eq!(json("iotdm-1/+", "gate:g1", reboot), None);
        assert_eq!(json("iotdm-1/#", "dev:d1", reboot), None);
        let observe = Some("iotdm-1/type/dev/id/d1/observe".to_owned());
        assert_eq!(
            json("iotdm-1/type/dev/id/d1/+", "dev:d1", "iotdm-1:observe"),
            observe
        );
        assert_eq!(
            json("iotdm-1/type/+/id/+/#", "dev:d1", "iotdm-1:observe"),
            observe
        );
        assert_eq!(
            json("iot-2/cmd/+/fmt/+", "gate:g1", "iotdm-1:observe"),
            None
        );
        assert_eq!(json("iotdm-1/#", "gate:g1", "observe"), None);
    }

    #[test]
    fn answers_and_notifications_are_taken_by_their_filters() {
        let takes = |filter: &str, topic: &str| inbox(filter, OWN).unwrap().takes(topic);
        let response = "iotdm-1/type/gate/id/g1/response";
        assert!(takes("iotdm-1/type/gate/id/g1/+", response));
        assert!(takes("iotdm-1/type/gate/id/g1/response", response));
        assert!(!takes("iotdm-1/type/gate/id/g1/response/+", response));
        assert!(takes(
            "iotdm-1/type/gate/id/g1/response/+",
            "iotdm-1/type/gate/id/g1/response/r1"
        ));
        let notify = "iot-2/type/gate/id/g1/notify";
        assert!(takes(notify, notify));
        assert!(!takes("iot-2/cmd/+/fmt/+", notify));
    }

    #[test]
    fn refuses_filters_that_nearly_match() {
        let long = format!("iot-2/type/{}/id/d/cmd/+/fmt/+", "x".repeat(37));
        for filter in [
            "#",
            "+",
            "",
            "iot-2/#",
            "iot-2/cmd/#",
            "iot-2/cmd/+",
            "iot-2/cmd/+/fmt/#",
            "iot-2/cmd//fmt/json",
            "iot-2/cmd/c/fmt/",
            "iot-2/cmd/a+/fmt/json",
            "iot-2/evt/+/fmt/+",
            "iot-2/type/+/id/+/evt/+/fmt/+",
            "iot-2/type/t/id/d/notify",
            "iot-2/type/+/id/+/notify",
            "iot-2/type//id/d/cmd/+/fmt/+",
            "iot-2/type/t t/id/d/cmd/+/fmt/+",
            "iotdm-1/",
            "iotdm-1",
            "iotdm-1/#/a",
            "iotdm-1/type/t/id/d/",
            "iotdm-1/type/t",
            &long,
        ] {
            assert!(inbox(filter, OWN).is_none(), "{filter}");
        }
    }
}
