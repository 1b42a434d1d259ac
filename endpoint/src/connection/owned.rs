//! Publishes that outlive the read buffer: wills, and those that wait for the registry.

use std::num::NonZeroU16;

use landfall_protocol::QoS;
use landfall_protocol::codec::UserPropertiesBuf;
use landfall_protocol::packet::{Publish, PublishProperties, UserProperties, Will};

use crate::records::WillRecord;

/// A publish with memory of its own.
#[derive(Debug)]
pub(super) struct OwnedPublish {
    topic: Box<str>,
    payload: Box<[u8]>,
    qos: QoS,
    retain: bool,
    payload_is_utf8: Option<bool>,
    content_type: Option<Box<str>>,
    user_properties: UserPropertiesBuf,
}

impl OwnedPublish {
    /// A copy of what becomes part of an event.
    pub(super) fn of(publish: &Publish<'_>) -> Self {
        let properties = &publish.properties;
        Self::new(
            publish.topic,
            publish.payload,
            publish.qos,
            publish.retain,
            properties,
        )
    }

    /// The publish that a will becomes. Will delay counts as 0.
    pub(super) fn of_will(will: &Will<'_>) -> Self {
        Self::new(
            will.topic,
            will.payload,
            will.qos,
            will.retain,
            &will.properties,
        )
    }

    /// A will as it is remembered beyond the process.
    pub(super) fn to_record(&self) -> WillRecord {
        let properties = self.user_properties.as_list();
        let properties = properties.iter();
        WillRecord {
            topic: self.topic.clone(),
            payload: self.payload.clone(),
            qos: self.qos,
            retain: self.retain,
            payload_is_utf8: self.payload_is_utf8,
            content_type: self.content_type.clone(),
            user_properties: properties
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        }
    }

    /// The will of a session of a process that died.
    pub(super) fn of_record(will: &WillRecord) -> Self {
        let mut user_properties = UserPropertiesBuf::new();
        for (name, value) in &will.user_properties {
            // They came in a packet, so they fit one.
            if user_properties.push(name, value).is_err() {
                break;
            }
        }
        Self {
            topic: will.topic.clone(),
            payload: will.payload.clone(),
            qos: will.qos,
            retain: will.retain,
            payload_is_utf8: will.payload_is_utf8,
            content_type: will.content_type.clone(),
            user_properties,
        }
    }

    fn new(
        topic: &str,
        payload: &[u8],
        qos: QoS,
        retain: bool,
        properties: &PublishProperties<'_>,
    ) -> Self {
        Self {
            topic: topic.into(),
            payload: payload.into(),
            qos,
            retain,
            payload_is_utf8: properties.payload_is_utf8,
            content_type: properties.content_type.map(Into::into),
            user_properties: copy(&properties.user_properties),
        }
    }

    /// Topic name.
    pub(super) fn topic(&self) -> &str {
        &self.topic
    }

    /// As a publish again.
    pub(super) fn borrow(&self) -> Publish<'_> {
        Publish {
            dup: false,
            qos: self.qos,
            retain: self.retain,
            topic: &self.topic,
            packet_id: NonZeroU16::new(u16::from(self.qos != QoS::AtMostOnce)),
            properties: PublishProperties {
                payload_is_utf8: self.payload_is_utf8,
                content_type: self.content_type.as_deref(),
                user_properties: self.user_properties.as_list(),
                ..PublishProperties::default()
            },
            payload: &self.payload,
        }
    }
}

fn copy(properties: &UserProperties<'_>) -> UserPropertiesBuf {
    let mut copy = UserPropertiesBuf::new();
    for (name, value) in properties.iter() {
        // They came in a packet, so they fit one.
        if copy.push(name, value).is_err() {
            break;
        }
    }
    copy
}
