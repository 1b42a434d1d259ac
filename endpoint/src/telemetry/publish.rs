//! Publishes and wills that were not allowed.

use std::time::Instant;

use super::Telemetry;
use crate::connection::Link;

/// Why a publish or a will was not allowed, for log and metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalCause {
    /// The dialect has no place for the topic.
    BadTopic,
    /// It is not what its format says.
    BadPayload,
    /// The device spoken for is unknown, disabled, or does not select this gateway.
    GatewayNotSelected,
    /// Larger than the dialect allows.
    PayloadTooLarge,
    /// A rule of the application refuses it.
    RuleRejected,
    /// A required sink will never take it.
    SinkRejected,
    /// Larger than a required sink takes.
    SinkTooLarge,
    /// The gateway speaks for as many devices as it may.
    TooManyActiveDevices,
    /// The application has as many devices as may be registered.
    TooManyDevices,
    /// The device could not be registered, now or a moment ago.
    NotRegistered,
    /// A will alone: the client's later session has spoken.
    Superseded,
    /// A will alone: no sink had room for it in time, or no rule's endpoint a verdict.
    NoRoom,
    /// A will alone: the registry could not be asked about its device.
    RegistryUnavailable,
}

impl RefusalCause {
    const fn label(self) -> &'static str {
        match self {
            Self::BadTopic => "bad_topic",
            Self::BadPayload => "bad_payload",
            Self::GatewayNotSelected => "gateway_not_selected",
            Self::PayloadTooLarge => "payload_too_large",
            Self::RuleRejected => "rule_rejected",
            Self::SinkRejected => "sink_rejected",
            Self::SinkTooLarge => "sink_too_large",
            Self::TooManyActiveDevices => "too_many_active_devices",
            Self::TooManyDevices => "too_many_devices",
            Self::NotRegistered => "not_registered",
            Self::Superseded => "superseded",
            Self::NoRoom => "no_room",
            Self::RegistryUnavailable => "registry_unavailable",
        }
    }
}

/// A publish was not allowed.
pub struct PublishRefused<'a> {
    /// The connection it came on.
    pub link: &'a Link,
    /// For log and metric.
    pub cause: RefusalCause,
    /// The first of this connection; further ones are logged at debug level only.
    pub first: bool,
}

impl PublishRefused<'_> {
    /// Counts and logs.
    pub fn emit(self, telemetry: &Telemetry) {
        telemetry
            .publishes_refused
            .with_label_values(&[self.cause.label()])
            .inc();
        let who = &self.link.identity;
        let (application, device) = (&*who.application, &*who.device);
        let line = match self.first {
            true => telemetry.lines.publishes.ask(Instant::now()),
            false => None,
        };
        match line {
            Some(line) => tracing::warn!(
                application,
                device,
                peer = %who.peer,
                cause = self.cause.label(),
                left_out = line.left_out(),
                "publish refused"
            ),
            None => {
                tracing::debug!(application, device, peer = %who.peer, cause = self.cause.label(), "publish refused");
            }
        }
    }
}

/// A connection publishes faster than it may, and is read no further for a while.
pub struct PublishesHeldBack<'a> {
    /// The connection.
    pub link: &'a Link,
    /// The first time; further ones are only counted.
    pub first: bool,
}

impl PublishesHeldBack<'_> {
    /// Counts and logs.
    pub fn emit(self, telemetry: &Telemetry) {
        telemetry.publishes_held_back.inc();
        if !self.first {
            return;
        }
        if let Some(line) = telemetry.lines.publishes.ask(Instant::now()) {
            let who = &self.link.identity;
            tracing::warn!(
                application = &*who.application,
                device = &*who.device,
                peer = %who.peer,
                left_out = line.left_out(),
                "a client publishes faster than limits.publish_rate or publish_byte_rate allows: it is read \
                 no faster"
            );
        }
    }
}

/// A will could not be published.
pub struct WillDropped<'a> {
    /// The connection it belongs to.
    pub link: &'a Link,
    /// For log and metric.
    pub cause: RefusalCause,
}

impl WillDropped<'_> {
    /// Counts and logs.
    pub fn emit(self, telemetry: &Telemetry) {
        telemetry
            .publishes_refused
            .with_label_values(&[self.cause.label()])
            .inc();
        let Some(line) = telemetry.lines.wills.ask(Instant::now()) else {
            return;
        };
        let who = &self.link.identity;
        tracing::warn!(
            application = &*who.application,
            device = &*who.device,
            peer = %who.peer,
            cause = self.cause.label(),
            left_out = line.left_out(),
            "will dropped"
        );
    }
}
