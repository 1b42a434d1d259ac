//! A message as a command (CloudEvents MQTT binding 1.0.2, or its topic), and where its outcome goes.

use bytes::Bytes;

use crate::command::CommandError;
use crate::command::event::{CommandEvent, names_of_topic};

/// A message that came.
#[derive(Debug)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    /// 0: at QoS 0.
    pub(super) id: u16,
    pub(super) dup: bool,
    /// MQTT 5.
    pub(super) content_type: Option<String>,
    /// MQTT 5.
    pub(super) user_properties: Vec<(String, String)>,
    /// MQTT 5.
    pub(super) reply: Option<Reply>,
}

/// Where an outcome goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reply {
    pub(super) topic: String,
    pub(super) correlation: Option<Bytes>,
}

impl Message {
    pub(super) fn packet_id(&self) -> Option<u16> {
        (self.id != 0).then_some(self.id)
    }

    /// The command that it is.
    ///
    /// # Errors
    ///
    /// [`CommandError::BadRequest`]: neither a CloudEvent, nor a topic that names a command.
    pub(super) fn event(&self) -> Result<CommandEvent, CommandError> {
        let content_type = self.content_type.as_deref();
        let is_structured = |text: &str| {
            let text = text.to_ascii_lowercase();
            text.starts_with("application/cloudevents")
        };
        // 3.2: MQTT 3.1.1 has no content type; all of an event is in the payload then.
        if content_type.is_some_and(is_structured)
            || (content_type.is_none() && looks_structured(&self.payload))
        {
            return CommandEvent::structured(&self.payload);
        }
        let mut event = CommandEvent {
            // 3.1: each attribute is a user property of its name.
            attributes: self.user_properties.iter().cloned().collect(),
            data: self.payload.clone(),
        };
        if let Some(content_type) = content_type {
            let name = "datacontenttype".to_owned();
            event.attributes.insert(name, content_type.to_owned());
        }
        if event.get("specversion").is_none() {
            let names = names_of_topic(&self.topic).ok_or_else(|| {
                CommandError::BadRequest(
                    "neither a CloudEvent, nor a topic …/APPLICATION/DEVICE/COMMAND".to_owned(),
                )
            })?;
            let keys = ["application", "device", "subject"].into_iter();
            let version = [("specversion", "1.0".to_owned())];
            for (key, name) in keys.zip(names).chain(version) {
                event.attributes.insert(key.to_owned(), name);
            }
        }
        Ok(event)
    }
}

/// Whether a payload without a content type is an event: a JSON object that says so.
fn looks_structured(payload: &[u8]) -> bool {
    #[derive(serde::Deserialize)]
    struct Head {
        specversion: String,
    }
    payload.first() == Some(&b'{')
        && serde_json::from_slice::<Head>(payload).is_ok_and(|head| !head.specversion.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, payload: &'static [u8]) -> Message {
        Message {
            topic: topic.to_owned(),
            payload: Bytes::from_static(payload),
            id: 1,
            dup: false,
            content_type: None,
            user_properties: Vec::new(),
            reply: None,
        }
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_plain_message_is_what_its_topic_names() {
        let event = Message {
            content_type: Some("text/plain".to_owned()),
            user_properties: vec![pair("timeout", "2")],
            ..message("commands/app/a%2Fb/set", b"21")
        };
        let event = event.event().unwrap();
        assert_eq!(event.addressee(), Some(("app", "a/b")));
        assert_eq!(event.get("subject"), Some("set"));
        assert_eq!(event.get("datacontenttype"), Some("text/plain"));
        assert_eq!(event.get("timeout"), Some("2"));
        assert_eq!(event.data, "21");
        let nameless = message("set", b"21").event();
        assert!(matches!(nameless, Err(CommandError::BadRequest(_))));
    }

    #[test]
    fn a_cloudevent_names_its_command_whatever_the_topic() {
        let binary = Message {
            user_properties: vec![
                pair("specversion", "1.0"),
                pair("application", "app"),
                pair("device", "d"),
                pair("subject", "set"),
            ],
            ..message("x/y/z", b"21")
        };
        assert_eq!(binary.event().unwrap().addressee(), Some(("app", "d")));
        let body =
            br#"{"specversion":"1.0","application":"app","device":"d","subject":"s","data":1}"#;
        for content_type in [None, Some("application/cloudevents+json".to_owned())] {
            let structured = Message {
                content_type,
                ..message("x/y/z", body)
            };
            let event = structured.event().unwrap();
            assert_eq!(event.addressee(), Some(("app", "d")));
            assert_eq!(event.data, "1");
        }
        let plain = Message {
            content_type: Some("application/json".to_owned()),
            ..message("commands/app/other/set", body)
        };
        let event = plain.event().unwrap();
        assert_eq!(
            event.addressee(),
            Some(("app", "other")),
            "it is said to be plain"
        );
    }
}
