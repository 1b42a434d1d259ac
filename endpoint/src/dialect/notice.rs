//! What a dialect tells a client of its own accord.

use bytes::Bytes;

use super::Own;

/// A message of the server itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Topics that it can go on: the first that the client subscribes to is taken; without one, it
    /// is not sent.
    pub topics: Vec<String>,
    /// JSON.
    pub payload: Bytes,
}

/// A request that was refused.
#[derive(Clone, Copy, Debug)]
pub struct Refused<'r> {
    /// What was asked for.
    pub request: Request,
    /// The topic, or the filter.
    pub topic: &'r str,
    /// When: RFC 3339.
    pub time: &'r str,
    /// The client id.
    pub client_id: &'r str,
    /// Who is connected.
    pub own: Own<'r>,
    /// Why.
    pub cause: Cause,
}

/// What was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// PUBLISH.
    Publish,
    /// A filter of a SUBSCRIBE.
    Subscribe,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No topic, or no filter, of the dialect; or it names what cannot be a device.
    Topic,
    /// As many devices as may are active through this gateway.
    TooManyActive,
    /// The application has as many devices as may be registered.
    TooManyDevices,
    /// Registering the device failed, now or a moment ago.
    NotCreated,
    /// The gateway may not speak for the device, or read its commands.
    NotAuthorized,
    /// The payload is not of the format that the topic names.
    Format,
    /// The payload is larger than the dialect allows.
    TooLarge,
    /// The connection has as many subscriptions as it may.
    TooManySubscriptions,
}
