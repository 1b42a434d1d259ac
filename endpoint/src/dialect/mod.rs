//! Topic APIs: what a publish topic means, which filters are inboxes, and on which topics commands
//! go.
//!
//! Pure functions: no clock, no registry, no sockets. A dialect is one file here that implements
//! [`Dialect`], one line of [`of`], and one name in the registry's documents
//! (`registry/src/document/dialect.rs`).

mod azure;
mod bag;
mod destination;
mod drogue;
mod filter;
mod hono;
mod inbox;
mod log_in;
mod notice;
pub mod payload;
mod plain;
#[cfg(test)]
mod properties;
mod watson;

use std::fmt;

pub use destination::{Destination, Extension, TopicError};
pub use inbox::{Inbox, InboxDelivery, InboxFilter, Outgoing};
use landfall_registry::DialectSpec;
pub use log_in::{Claimed, ClaimedProof, LogInForm, NotAClaim, OfDialect, Signature, claimed};
pub use notice::{Cause, Message, Refused, Request};

/// Who is connected, as far as a topic may name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own<'a> {
    /// The application.
    pub application: &'a str,
    /// The connected device.
    pub device: &'a str,
}

/// A topic API.
pub trait Dialect: fmt::Debug + Sync {
    /// Reads a topic name.
    ///
    /// # Errors
    ///
    /// [`TopicError`]: the device is told 0x90 (topic name invalid).
    fn destination<'t>(&self, topic: &'t str, own: Own<'_>) -> Result<Destination<'t>, TopicError>;

    /// Reads a filter that commands can be subscribed with. `None`: it is no inbox.
    ///
    /// Left out, it is Drogue Cloud's: `command/inbox/…`.
    fn inbox(&self, filter: &str, own: Own<'_>) -> Option<InboxFilter> {
        let _ = own;
        drogue::inbox(filter)
    }

    /// Whether `command/response/…` is kept for answers to commands: then nothing that comes there
    /// is an event. Left out, only the correlation data of an open request makes a publish there an
    /// answer.
    fn reserves_answers(&self) -> bool {
        false
    }

    /// Largest payload in bytes, before any decoding. Left out, only the packet size is bounded.
    fn largest_payload(&self) -> usize {
        usize::MAX
    }

    /// Reads a log-in in the dialect's own form, which client id and user name show together.
    /// `None`: it is not of that form.
    ///
    /// Left out, devices log in as `<device>@<application>` only.
    fn log_in(&self, form: &LogInForm<'_>) -> Option<Result<Claimed, NotAClaim>> {
        let _ = form;
        None
    }

    /// What the server itself answers to a publish once it is accepted.
    fn answer(&self, topic: &str, payload: &[u8]) -> Option<Message> {
        let _ = (topic, payload);
        None
    }

    /// How a client is told of a refusal, beyond MQTT's own ways.
    fn notice(&self, refused: &Refused<'_>) -> Option<Message> {
        let _ = refused;
        None
    }
}

/// Whether a client of this id is a gateway that may have devices registered.
pub fn is_gateway(client_id: &str, own: Own<'_>) -> bool {
    watson::is_gateway(client_id, own)
}

/// The dialect that documents chose.
pub fn of(spec: &DialectSpec) -> &'static dyn Dialect {
    match spec {
        DialectSpec::DrogueV1 => &drogue::Drogue,
        DialectSpec::PlainTopic {
            device_prefix: false,
        } => &plain::Plain,
        DialectSpec::PlainTopic {
            device_prefix: true,
        } => &plain::DevicePrefix,
        DialectSpec::WatsonIot { .. } => &watson::Watson,
        DialectSpec::AzureIotHub => &azure::Azure,
        DialectSpec::Hono => &hono::Hono,
    }
}
