//! Topic APIs: what a publish topic means, and which filters are inboxes.
//!
//! Pure functions: adding a dialect is one file here and one name in the registry's documents.

mod drogue;
mod inbox;
mod plain;

pub use inbox::{Inbox, InboxDelivery, InboxFilter};
use landfall_registry::DialectSpec;

/// What a publish topic says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Destination<'t> {
    /// The channel: the event's subject. Never empty.
    pub channel: &'t str,
    /// The device that is spoken for; `None` is the connected device itself.
    pub device: Option<&'t str>,
}

/// The dialect has no place for this topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// No channel in it.
    #[error("the topic has no channel")]
    NoChannel,
    /// A level where a device name belongs is empty.
    #[error("the topic names an empty device")]
    EmptyDevice,
    /// More levels than the dialect knows.
    #[error("the topic has too many levels")]
    TooManyLevels,
}

/// Reads a topic name by the rules of the dialect.
///
/// # Errors
///
/// [`TopicError`]: the device is told 0x90 (topic name invalid).
pub fn destination<'t>(
    dialect: &DialectSpec,
    topic: &'t str,
) -> Result<Destination<'t>, TopicError> {
    match dialect {
        DialectSpec::DrogueV1 => drogue::destination(topic),
        DialectSpec::PlainTopic {
            device_prefix: false,
        } => plain::destination(topic),
        DialectSpec::PlainTopic {
            device_prefix: true,
        } => plain::prefixed_destination(topic),
    }
}
