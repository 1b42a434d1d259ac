//! Answers of devices: the topic, the correlation, and what the sender gets.
//!
//! A command that came on `command/inbox/…` is answered on the same topic with `response` in the
//! place of `inbox`; one that came on a topic of another dialect, on
//! `command/response/{device}/{command}`. MQTT 5 devices are told so (response topic and correlation
//! data); 3.x devices are told by their documentation.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use landfall_events::content::judge;

const INBOX: &str = "command/inbox/";
const RESPONSE: &str = "command/response/";

/// The random bytes by which an MQTT 5 answer is known.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Correlation([u8; 16]);

impl Correlation {
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(bytes))
    }

    /// As correlation data.
    pub const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Whoever knows it can answer: it is in no log.
impl fmt::Debug for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Correlation(…)")
    }
}

/// What a device answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The connected device that it came from.
    pub via: Arc<str>,
    /// Payload.
    pub payload: Bytes,
    /// MIME type, if the device gave one.
    pub content_type: Option<Box<str>>,
}

/// What is said of bytes that nothing is known of.
pub const OCTET_STREAM: &str = "application/octet-stream";

impl Answer {
    /// The MIME type; if the device gave none, as an event's: JSON if it is, else bytes.
    pub fn content_type(&self) -> &str {
        let stated = self.content_type.as_deref().filter(|text| !text.is_empty());
        stated.unwrap_or_else(|| match judge(None, &self.payload) {
            Ok((Some("application/json"), _)) => "application/json",
            _ => OCTET_STREAM,
        })
    }
}

/// A topic on which commands are answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseTopic<'t> {
    device: &'t str,
    command: &'t str,
}

impl<'t> ResponseTopic<'t> {
    /// Reads a publish topic. `None`: no topic for answers.
    pub fn parse(topic: &'t str) -> Option<Self> {
        let (device, command) = topic.strip_prefix(RESPONSE)?.split_once('/')?;
        (!command.is_empty() && !command.contains('/')).then_some(Self { device, command })
    }

    /// Whether answers to a command for `device` come here, from a connection of device `own`.
    pub fn is_for(&self, device: &str, command: &str, own: &str) -> bool {
        let is_device = self.device == device || (self.device.is_empty() && device == own);
        is_device && self.command == command
    }

    /// Where a command for `device` that is delivered on this topic is answered.
    pub fn of_delivery(topic: &str, device: &str, command: &str) -> String {
        match topic.strip_prefix(INBOX) {
            Some(rest) => format!("{RESPONSE}{rest}"),
            None => format!("{RESPONSE}{device}/{command}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_where_the_command_came_from_with_response_for_inbox() {
        for (inbox, response) in [
            ("command/inbox//set", "command/response//set"),
            ("command/inbox/d/set", "command/response/d/set"),
            ("elsewhere", "command/response/d/set"),
        ] {
            let topic = ResponseTopic::of_delivery(inbox, "d", "set");
            assert_eq!(topic, response);
            let parsed = ResponseTopic::parse(&topic).unwrap();
            assert!(parsed.is_for("d", "set", "d"));
        }
    }

    #[test]
    fn an_answer_names_device_and_command() {
        let own = ResponseTopic::parse("command/response//set").unwrap();
        assert!(own.is_for("gw", "set", "gw"));
        assert!(!own.is_for("d", "set", "gw"), "a gateway names the device");
        let named = ResponseTopic::parse("command/response/d/set").unwrap();
        assert!(named.is_for("d", "set", "gw"));
        assert!(!named.is_for("e", "set", "gw"));
        assert!(!named.is_for("d", "get", "gw"));
    }

    #[test]
    fn other_topics_are_no_answers() {
        for topic in [
            "command/response",
            "command/response/",
            "command/response//",
            "command/response/d",
            "command/response/d/x/y",
            "command/inbox//x",
            "temp",
        ] {
            assert_eq!(ResponseTopic::parse(topic), None, "{topic}");
        }
    }
}
