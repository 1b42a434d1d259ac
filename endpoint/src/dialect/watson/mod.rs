//! IBM Watson IoT Platform: devices and gateways of that service, as its "MQTT connectivity for
//! gateways" and "… for devices" describe them.
//!
//! An organization is an application, and a device is named `{type}:{device}`.
//!
//! - `name`: what may name a type or a device;
//! - `log_in`: client ids, and the user name that goes with them;
//! - `topics`: where events and device management messages are published;
//! - `format`: the last level of a topic, and MIME types;
//! - `commands`: filters, and the topics of commands;
//! - `manage`: what the server itself answers to managed devices;
//! - `notify`: what gateways are told of refusals.

mod commands;
mod format;
mod log_in;
mod manage;
mod name;
mod notify;
mod topics;

use super::{
    Claimed, Destination, Dialect, InboxFilter, LogInForm, Message, NotAClaim, Own, Refused,
    TopicError,
};

pub(super) use log_in::is_gateway;

/// `type: watsonIoT`.
#[derive(Debug)]
pub(super) struct Watson;

/// "The message payload is limited to a maximum of 131072 bytes" (Publishing events).
const LARGEST_PAYLOAD: usize = 131_072;

impl Dialect for Watson {
    fn destination<'t>(&self, topic: &'t str, _: Own<'_>) -> Result<Destination<'t>, TopicError> {
        topics::destination(topic)
    }

    fn inbox(&self, filter: &str, own: Own<'_>) -> Option<InboxFilter> {
        commands::inbox(filter, own)
    }

    fn largest_payload(&self) -> usize {
        LARGEST_PAYLOAD
    }

    fn log_in(&self, form: &LogInForm<'_>) -> Option<Result<Claimed, NotAClaim>> {
        log_in::claimed(form)
    }

    fn answer(&self, topic: &str, payload: &[u8]) -> Option<Message> {
        manage::answer(topic, payload)
    }

    fn notice(&self, refused: &Refused<'_>) -> Option<Message> {
        Some(notify::notice(refused))
    }
}
