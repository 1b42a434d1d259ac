//! An event as a message (CloudEvents MQTT binding 1.0.2).

use bytes::Bytes;

use super::{MqttMode, MqttOptions, MqttVersion};
use crate::record::Record;
use crate::template::{Template, push_escaped};

const STRUCTURED: &str = "application/cloudevents+json";

/// A message, before a client of either version takes it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) topic: String,
    pub(super) payload: Bytes,
    pub(super) retain: bool,
    /// Of MQTT 5; elsewhere not used.
    pub(super) content_type: Option<String>,
    pub(super) user_properties: Vec<(String, String)>,
    pub(super) response_topic: Option<String>,
    pub(super) message_expiry: Option<u32>,
}

impl Message {
    pub(super) fn of(record: &Record<'_>, options: &MqttOptions) -> Self {
        let structured = options.mode == MqttMode::Structured
            || options.version == MqttVersion::V311
            || record.looks_structured();
        let render = |template: &Template| template.render(record, push_topic);
        let mut message = Self {
            topic: render(&options.topic),
            payload: Bytes::new(),
            retain: options.retain,
            content_type: None,
            user_properties: Vec::new(),
            response_topic: options.response_topic.as_ref().map(render),
            message_expiry: options.message_expiry,
        };
        if structured {
            // Section 3.2.
            let mut body = Vec::new();
            record.write_structured_json(&mut body);
            message.payload = body.into();
            message.content_type = Some(STRUCTURED.to_owned());
            return message;
        }
        // Section 3.1.
        message.payload = Bytes::copy_from_slice(record.payload());
        message
            .user_properties
            .push(("specversion".to_owned(), "1.0".to_owned()));
        for (name, value) in record.attributes() {
            if name == "datacontenttype" {
                message.content_type = Some(value.to_owned());
            } else {
                message
                    .user_properties
                    .push((name.to_owned(), value.to_owned()));
            }
        }
        message
    }

    /// Whether it fits a packet of at most `limit` bytes, and its texts fit MQTT at all.
    pub(super) fn check(&self, limit: Option<u32>) -> Result<(), String> {
        let texts = [
            Some(&self.topic),
            self.content_type.as_ref(),
            self.response_topic.as_ref(),
        ];
        let mut texts = texts.into_iter().flatten();
        let properties = || self.user_properties.iter();
        // [MQTT-1.5.4]: a length of two bytes.
        let longest = usize::from(u16::MAX);
        if texts.any(|text| text.len() > longest)
            || properties().any(|(_, value)| value.len() > longest)
        {
            return Err("a text of the event is longer than 65,535 bytes".to_owned());
        }
        let size = self.size();
        match limit.and_then(|limit| usize::try_from(limit).ok()) {
            Some(limit) if size > limit => Err(format!("{size} bytes, the broker takes {limit}")),
            _ => Ok(()),
        }
    }

    /// The packet's bytes at most: header, lengths, packet id and property identifiers included.
    fn size(&self) -> usize {
        const FIXED: usize = 5 + 2 + 2 + 4 + 5;
        let text = |text: &Option<String>| text.as_ref().map_or(0, |text| text.len() + 3);
        let properties = self.user_properties.iter();
        let user: usize = properties
            .map(|(name, value)| name.len() + value.len() + 5)
            .sum();
        FIXED
            + self.topic.len()
            + self.payload.len()
            + text(&self.content_type)
            + text(&self.response_topic)
            + user
    }
}

/// Levels stay levels; wildcards and control characters are percent-encoded, and so is `%`, so that
/// no two names become one topic.
fn push_topic(out: &mut String, value: &str) {
    let mut utf8 = [0; 4];
    for character in value.chars() {
        if character.is_control() || matches!(character, '+' | '#' | '%') {
            push_escaped(out, character.encode_utf8(&mut utf8), '%', |_| false);
        } else {
            out.push(character);
        }
    }
}
