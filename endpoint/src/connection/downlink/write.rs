//! One PUBLISH of a command.

use std::num::NonZeroU32;

use landfall_protocol::QoS;
use landfall_protocol::codec::SubscriptionIdentifiersBuf;
use landfall_protocol::packet::PublishProperties;
use landfall_protocol::session::{DeliverError, Delivery, Session};

use super::Message;
use crate::command::{Correlation, ResponseTopic, SessionFailure};

/// Why nothing was written.
pub(super) enum WriteError {
    /// Not now: the client takes no more before it has acknowledged.
    WindowFull,
    /// Never.
    Failed(SessionFailure),
    /// The session is over.
    Over,
}

/// Writes the message; its QoS.
pub(super) fn write(session: &mut Session, message: &Message) -> Result<QoS, WriteError> {
    let token = message.token;
    let written = with_delivery(message, |delivery| session.deliver(delivery, token));
    match written.map_err(WriteError::Failed)? {
        Ok(()) => Ok(message.delivery.qos),
        Err(DeliverError::WindowFull) => Err(WriteError::WindowFull),
        Err(DeliverError::TooLarge) => Err(WriteError::Failed(SessionFailure::TooLarge)),
        Err(DeliverError::NotConnected) => Err(WriteError::Over),
    }
}

/// Why the message can never be written, if it cannot.
pub(super) fn check(session: &Session, message: &Message) -> Result<(), SessionFailure> {
    match with_delivery(message, |delivery| session.can_carry(delivery))? {
        true => Ok(()),
        false => Err(SessionFailure::TooLarge),
    }
}

fn with_delivery<T>(
    message: &Message,
    act: impl FnOnce(Delivery<'_>) -> T,
) -> Result<T, SessionFailure> {
    let Message {
        command,
        payload,
        delivery,
        ..
    } = message;
    if delivery.topic.contains(['+', '#']) {
        return Err(SessionFailure::NoTopic);
    }
    let identifiers = encoded(&delivery.identifiers);
    // [MQTT-3.3.2-6]: what is left of it; [MQTT-3.3.2-5]: nothing left, nothing sent.
    let expiry = command.seconds_left();
    let expiry = expiry.map_err(|_| SessionFailure::Expired)?;
    let response_topic = command.correlation.map(|_| {
        ResponseTopic::of_delivery(&delivery.topic, &command.device, command.name.as_str())
    });
    let properties = PublishProperties {
        content_type: command.content_type.as_deref(),
        message_expiry_interval: expiry,
        response_topic: response_topic.as_deref(),
        correlation_data: command.correlation.as_ref().map(Correlation::as_bytes),
        user_properties: command.user_properties.as_list(),
        subscription_identifiers: identifiers.as_list(),
        ..PublishProperties::default()
    };
    Ok(act(Delivery {
        topic: &delivery.topic,
        qos: delivery.qos,
        payload,
        properties,
    }))
}

fn encoded(identifiers: &[NonZeroU32]) -> SubscriptionIdentifiersBuf {
    let mut list = SubscriptionIdentifiersBuf::new();
    for identifier in identifiers {
        // They came in a SUBSCRIBE, so they are within the range of a variable byte integer.
        if list.push(*identifier).is_err() {
            break;
        }
    }
    list
}
