//! What a publish topic says.

use std::borrow::Cow;

/// Name and text of an extension attribute of the event.
pub type Extension<'t> = (Cow<'t, str>, Cow<'t, str>);

/// What a publish topic says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination<'t> {
    /// The channel: the event's subject. Never empty.
    pub channel: Cow<'t, str>,
    /// The device that is spoken for; `None` is the connected device itself.
    pub device: Option<Cow<'t, str>>,
    /// What the topic declares of the payload; the packet's own word counts more.
    pub content_type: Option<Cow<'t, str>>,
    /// Extensions of the event, each name once.
    pub extensions: Vec<Extension<'t>>,
}

impl<'t> Destination<'t> {
    /// A topic that says nothing but channel and device.
    pub fn new(channel: &'t str, device: Option<&'t str>) -> Self {
        Self {
            channel: Cow::Borrowed(channel),
            device: device.map(Cow::Borrowed),
            content_type: None,
            extensions: Vec::new(),
        }
    }
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
    /// None of the dialect's topics.
    #[error("the topic matches no rule of the dialect")]
    NoRule,
    /// A type of device that breaks the dialect's rules of names.
    #[error("the topic names an impossible type of device")]
    DeviceType,
    /// A device that breaks the dialect's rules of names.
    #[error("the topic names an impossible device")]
    DeviceId,
    /// Properties that cannot be decoded, or too many.
    #[error("the topic's properties cannot be read")]
    Properties,
    /// It names an application, and not the own one.
    #[error("the topic names another application")]
    OtherApplication,
}
