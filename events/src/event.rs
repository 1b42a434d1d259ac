//! One event, before it is encoded.

use std::sync::Arc;

use uuid::Uuid;

/// Names and server-made ids of the two devices an event is about, and where it entered.
#[derive(Clone, Copy, Debug)]
pub struct OriginParts<'a> {
    /// Configured name of this process.
    pub instance: &'a str,
    /// Application's name and uid.
    pub application: (&'a str, &'a str),
    /// The device the event is from: name and uid.
    pub device: (&'a str, &'a str),
    /// The device that was connected: name and uid.
    pub sender: (&'a str, &'a str),
}

/// The attributes that all events of one connection on behalf of one device share, encoded once.
#[derive(Debug)]
pub struct Origin {
    // fields are the events crate's own business
}

/// Microseconds since the Unix epoch, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(pub u64);

/// The kind of an event: its `type` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventType {
    /// `io.drogue.event.v1`
    Event,
    /// `io.drogue.connection.v1`
    Connection,
}

/// An event about to be encoded; borrows all it can.
#[derive(Clone, Copy, Debug)]
pub struct Draft<'a> {
    /// Shared attributes.
    pub origin: &'a Arc<Origin>,
    /// Kind.
    pub event_type: EventType,
    /// Unique, time-ordered.
    pub id: Uuid,
    /// When the packet arrived.
    pub time: Timestamp,
    /// The channel.
    pub subject: &'a str,
}
