//! Azure IoT Hub: devices that use "the MQTT protocol directly (as a device)", as its public
//! documentation describes them: device-to-cloud and cloud-to-device messages.
//!
//! The hub is an application. Modules, device twins and direct methods (`$iothub/…`) have no place
//! here, and are refused.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::inbox::Pattern;
use super::{
    Claimed, ClaimedProof, Destination, Dialect, InboxFilter, LogInForm, NotAClaim, Outgoing, Own,
    Signature, TopicError, bag,
};
use crate::percent;

/// `type: azureIotHub`.
#[derive(Debug)]
pub(super) struct Azure;

const EVENTS: &str = "/messages/events";
const DEVICE_BOUND: &str = "/messages/devicebound/";
/// The channel of device-to-cloud messages, which have no other name.
const CHANNEL: &str = "events";
/// The largest device-to-cloud message of the service: 256 KB.
const LARGEST_PAYLOAD: usize = 256 * 1024;

/// System properties (`$.…`) that become extensions.
const SYSTEM: [(&str, &str); 5] = [
    ("$.mid", "messageid"),
    ("$.cid", "correlationid"),
    ("$.uid", "userid"),
    ("$.ce", "contentencoding"),
    ("$.ctime", "creationtime"),
];

impl Dialect for Azure {
    /// `devices/{device}/messages/events/{properties}`
    fn destination<'t>(&self, topic: &'t str, own: Own<'_>) -> Result<Destination<'t>, TopicError> {
        let rest = topic.strip_prefix("devices/").ok_or(TopicError::NoRule)?;
        let (device, _) = rest.split_once('/').ok_or(TopicError::NoRule)?;
        let rest = rest.strip_prefix(device).unwrap_or_default();
        let properties = rest.strip_prefix(EVENTS).ok_or(TopicError::NoRule)?;
        if device.is_empty() {
            return Err(TopicError::EmptyDevice);
        }
        // Both with and without the last slash, and with a question mark in front, are in use.
        let properties = match properties.strip_prefix('/') {
            Some(properties) => properties.strip_prefix('?').unwrap_or(properties),
            None if properties.is_empty() => "",
            None => return Err(TopicError::NoRule),
        };
        if properties.contains('/') {
            return Err(TopicError::TooManyLevels);
        }
        let spoken_for = (device != own.device).then_some(device);
        let mut destination = Destination::new(CHANNEL, spoken_for);
        for (name, value) in bag::parse(properties).ok_or(TopicError::Properties)? {
            if name == "$.ct" {
                destination.content_type = (!value.is_empty()).then_some(value);
                continue;
            }
            let known = SYSTEM.iter().find(|(system, _)| *system == name);
            let extension = match known {
                Some((_, extension)) => Some(Cow::Borrowed(*extension)),
                None => bag::extension_name(&name).map(Cow::Owned),
            };
            if let Some(extension) = extension {
                bag::set(&mut destination.extensions, extension, value);
            }
        }
        Ok(destination)
    }

    /// `devices/{device}/messages/devicebound/#`
    fn inbox(&self, filter: &str, _: Own<'_>) -> Option<InboxFilter> {
        let rest = filter.strip_prefix("devices/")?.strip_suffix('#')?;
        let device = rest.strip_suffix(DEVICE_BOUND)?;
        let is_name = !device.is_empty() && !device.contains(['/', '+', '#']);
        is_name.then(|| InboxFilter::new(DeviceBound(device.into())))
    }

    fn largest_payload(&self) -> usize {
        LARGEST_PAYLOAD
    }

    /// User name `{host}/{device}/?api-version=…`, the device as client id; the password is a
    /// shared access signature, or a password of the device. The application is named by the first
    /// label of the host.
    fn log_in(&self, form: &LogInForm<'_>) -> Option<Result<Claimed, NotAClaim>> {
        let (host, rest) = form.user_name.split_once('/')?;
        let (device, query) = rest.split_once('/').unwrap_or((rest, ""));
        if device != form.client_id || device.is_empty() {
            return None;
        }
        if !(query.is_empty()
            || query.starts_with("?api-version=")
            || query.starts_with("api-version="))
        {
            return None;
        }
        let application = host.split('.').next().unwrap_or_default();
        if application.is_empty() {
            return Some(Err(NotAClaim("the user name names no hub")));
        }
        let proof = match form.password {
            Some(password) if password.starts_with(SIGNATURE.as_bytes()) => {
                match signature(password, host, device) {
                    Ok(signature) => ClaimedProof::Signature(signature),
                    Err(error) => return Some(Err(error)),
                }
            }
            _ => ClaimedProof::Password,
        };
        Some(Ok(Claimed {
            application: application.to_owned(),
            device: device.to_owned(),
            proof,
        }))
    }
}

const SIGNATURE: &str = "SharedAccessSignature ";

/// Reads `SharedAccessSignature sr={resource}&sig={signature}&se={expiry}`. The resource is the
/// device, encoded as it was signed; a policy (`skn`) signs with a key that no device has.
fn signature(password: &[u8], host: &str, device: &str) -> Result<Signature, NotAClaim> {
    const BROKEN: NotAClaim = NotAClaim("the shared access signature cannot be read");
    let text = std::str::from_utf8(password).map_err(|_| BROKEN)?;
    let fields = text.strip_prefix(SIGNATURE).ok_or(BROKEN)?;
    let field = |name: &str| {
        let mut named = fields.split('&').filter_map(|field| field.split_once('='));
        named
            .find(|(known, _)| *known == name)
            .map(|(_, value)| value)
    };
    if field("skn").is_some_and(|policy| !policy.is_empty()) {
        return Err(NotAClaim(
            "the shared access signature is of a policy, not of a device",
        ));
    }
    let resource = field("sr").ok_or(BROKEN)?;
    let meant = percent::decode(resource).ok_or(BROKEN)?;
    let expected = format!("{host}/devices/{device}");
    if !meant.eq_ignore_ascii_case(&expected) {
        return Err(NotAClaim(
            "the shared access signature is for another resource",
        ));
    }
    let expiry = field("se").ok_or(BROKEN)?;
    let mac = field("sig").and_then(percent::decode).ok_or(BROKEN)?;
    Ok(Signature {
        // "{URL-encoded-resourceURI} + \n + expiry"
        signed: format!("{resource}\n{expiry}"),
        mac: BASE64_STANDARD.decode(mac.as_bytes()).map_err(|_| BROKEN)?,
        expiry: expiry.parse().map_err(|_| BROKEN)?,
    })
}

/// `devices/{device}/messages/devicebound/#`
#[derive(Debug)]
struct DeviceBound(Box<str>);

impl Pattern for DeviceBound {
    fn filter(&self) -> Cow<'_, str> {
        format!("devices/{}{DEVICE_BOUND}#", self.0).into()
    }

    fn device(&self) -> Option<&str> {
        Some(&self.0)
    }

    /// `devices/{device}/messages/devicebound/{properties}`: the command's name and content type are
    /// properties.
    fn topic(&self, command: &Outgoing<'_>) -> Option<String> {
        if !self.covers(command) {
            return None;
        }
        let mut topic = format!("devices/{}{DEVICE_BOUND}%24.to=", self.0);
        percent::push(
            &mut topic,
            &format!("/devices/{}/messages/deviceBound", self.0),
        );
        if let Some(content_type) = command.content_type {
            topic.push_str("&%24.ct=");
            percent::push(&mut topic, content_type);
        }
        topic.push_str("&command=");
        percent::push(&mut topic, command.name);
        Some(topic)
    }

    fn covers(&self, command: &Outgoing<'_>) -> bool {
        *self.0 == *command.device
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: Own<'_> = Own {
        application: "hub1",
        device: "d1",
    };

    fn read(topic: &str) -> Result<Destination<'_>, TopicError> {
        Azure.destination(topic, OWN)
    }

    #[test]
    fn properties_become_extensions_and_content_type() {
        let topic = "devices/d1/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8&%24.mid=7&Alert=yes&Alert=no";
        let destination = read(topic).unwrap();
        assert_eq!(
            (&*destination.channel, destination.device),
            ("events", None)
        );
        assert_eq!(
            destination.content_type.as_deref(),
            Some("application/json")
        );
        let extensions: Vec<(&str, &str)> = destination
            .extensions
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            extensions,
            [
                ("contentencoding", "utf-8"),
                ("messageid", "7"),
                ("alert", "no")
            ]
        );
    }

    #[test]
    fn topics_without_properties() {
        for topic in ["devices/d1/messages/events", "devices/d1/messages/events/"] {
            assert_eq!(read(topic), Ok(Destination::new("events", None)), "{topic}");
        }
        let other = Destination::new("events", Some("d2"));
        assert_eq!(read("devices/d2/messages/events/"), Ok(other));
    }

    #[test]
    fn refuses_topics_that_nearly_match() {
        for (topic, error) in [
            ("", TopicError::NoRule),
            ("devices", TopicError::NoRule),
            ("devices/d1", TopicError::NoRule),
            ("devices//messages/events/", TopicError::EmptyDevice),
            ("devices/d1/messages/event/", TopicError::NoRule),
            ("devices/d1/messages/eventsx", TopicError::NoRule),
            ("devices/d1/modules/m/messages/events/", TopicError::NoRule),
            (
                "devices/d1/messages/events/a=1/b",
                TopicError::TooManyLevels,
            ),
            ("devices/d1/messages/events/a=%2", TopicError::Properties),
            (
                "$iothub/twin/PATCH/properties/reported/?$rid=1",
                TopicError::NoRule,
            ),
        ] {
            assert_eq!(read(topic), Err(error), "{topic}");
        }
    }

    #[test]
    fn commands_are_device_bound_messages() {
        let filter = "devices/d1/messages/devicebound/#";
        let inbox = Azure.inbox(filter, OWN).unwrap();
        assert_eq!((&*inbox.text(), inbox.device()), (filter, Some("d1")));
        let command = Outgoing {
            own: OWN,
            device: "d1",
            name: "set temp",
            content_type: Some("text/plain"),
            payload: b"",
        };
        assert_eq!(
            inbox.topic(&command).as_deref(),
            Some(
                "devices/d1/messages/devicebound/%24.to=%2Fdevices%2Fd1%2Fmessages%2FdeviceBound\
                 &%24.ct=text%2Fplain&command=set%20temp"
            )
        );
        let other = Outgoing {
            device: "d2",
            ..command
        };
        assert_eq!(inbox.topic(&other), None);
        for filter in [
            "#",
            "devices/+/messages/devicebound/#",
            "devices/d1/#",
            "$iothub/methods/POST/#",
        ] {
            assert!(Azure.inbox(filter, OWN).is_none(), "{filter}");
        }
    }

    fn claim(
        client_id: &str,
        user_name: &str,
        password: &str,
    ) -> Option<Result<Claimed, NotAClaim>> {
        Azure.log_in(&LogInForm {
            client_id,
            user_name,
            password: Some(password.as_bytes()),
        })
    }

    #[test]
    fn the_hub_is_an_application_and_the_user_name_repeats_the_client_id() {
        let user = "hub1.azure-devices.net/d1/?api-version=2021-04-12";
        let claimed = claim("d1", user, "secret").unwrap().unwrap();
        assert_eq!((&*claimed.application, &*claimed.device), ("hub1", "d1"));
        assert_eq!(claimed.proof, ClaimedProof::Password);
        assert_eq!(claim("d2", user, "secret"), None);
        assert_eq!(claim("d1", "hub1/d1/x", "secret"), None);
        assert!(matches!(claim("d1", ".net/d1", "secret"), Some(Err(_))));
    }

    #[test]
    fn a_shared_access_signature_is_of_the_device_that_connects() {
        let user = "hub1.example.com/d1/?api-version=2021-04-12";
        let token = |resource: &str, more: &str| {
            format!("SharedAccessSignature sr={resource}&sig=YWJj&se=1900000000{more}")
        };
        let good = token("hub1.example.com%2Fdevices%2Fd1", "");
        let expected = Signature {
            signed: "hub1.example.com%2Fdevices%2Fd1\n1900000000".to_owned(),
            mac: b"abc".to_vec(),
            expiry: 1_900_000_000,
        };
        let claimed = claim("d1", user, &good).unwrap().unwrap();
        assert_eq!(claimed.proof, ClaimedProof::Signature(expected));
        for bad in [
            &token("hub1.example.com%2Fdevices%2Fd2", ""),
            &token("hub1.example.com", ""),
            &token("hub1.example.com%2Fdevices%2Fd1", "&skn=device"),
            "SharedAccessSignature ",
            "SharedAccessSignature sr=hub1.example.com%2Fdevices%2Fd1&sig=%&se=1",
            "SharedAccessSignature sr=hub1.example.com%2Fdevices%2Fd1&sig=YWJj&se=soon",
        ] {
            assert!(matches!(claim("d1", user, bad), Some(Err(_))), "{bad}");
        }
    }
}
