//! Events of connections.

use std::time::Instant;

use landfall_protocol::ReasonCode;
use landfall_protocol::session::Close;

use super::Telemetry;
use crate::connection::Link;
use crate::listener::{Carrier, Peer};

/// How a log-in ended, for the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogInOutcome {
    /// Let in.
    Accepted,
    /// No CONNECT, or one that is not served.
    Protocol,
    /// Wrong or missing credentials.
    Credentials,
    /// Too many failed before.
    Throttled,
    /// The will's topic has no place.
    Will,
    /// A connection limit is reached.
    Limit,
    /// The address connects too often.
    Rate,
    /// Too many log-ins at once.
    Busy,
    /// The registry cannot be asked.
    Unavailable,
    /// The server stops.
    Stopping,
}

impl LogInOutcome {
    const fn label(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Protocol => "protocol",
            Self::Credentials => "credentials",
            Self::Throttled => "throttled",
            Self::Will => "will",
            Self::Limit => "limit",
            Self::Rate => "rate",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
            Self::Stopping => "stopping",
        }
    }
}

/// What a client logs in with, for the metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogInMethod {
    /// Nothing that could be read: there was no CONNECT, or none with a log-in.
    None,
    /// User name and password.
    Password,
    /// A signature with a shared key, in place of a password.
    Signature,
    /// A certificate.
    Certificate,
    /// A pre-shared key.
    PreSharedKey,
    /// No credentials, as its listener allows.
    Anonymous,
}

impl LogInMethod {
    const fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Password => "password",
            Self::Signature => "signature",
            Self::Certificate => "certificate",
            Self::PreSharedKey => "psk",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Where on its way to MQTT a connection failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The balancer's PROXY header.
    Proxy,
    /// Its address connects too often.
    Rate,
    /// The TLS handshake.
    Tls,
    /// The HTTP upgrade.
    WebSocket,
    /// Any of them, for lack of time.
    Timeout,
}

impl Stage {
    const fn label(self) -> &'static str {
        match self {
            Self::Proxy => "proxy",
            Self::Rate => "rate",
            Self::Tls => "tls",
            Self::WebSocket => "websocket",
            Self::Timeout => "timeout",
        }
    }
}

/// A connection did not get as far as MQTT.
pub struct HandshakeFailed {
    /// Where it comes from.
    pub peer: Peer,
    /// What its listener speaks.
    pub transport: Carrier,
    /// For the metric.
    pub stage: Stage,
    /// For the log.
    pub cause: String,
}

impl HandshakeFailed {
    /// Counts and logs.
    pub fn emit(self, telemetry: &Telemetry) {
        telemetry
            .handshakes_failed
            .with_label_values(&[self.transport.as_str(), self.stage.label()])
            .inc();
        if let Some(line) = telemetry.lines.handshakes.ask(Instant::now()) {
            tracing::info!(
                peer = %self.peer,
                transport = self.transport.as_str(),
                cause = self.cause,
                left_out = line.left_out(),
                "handshake failed"
            );
        }
    }
}

/// A client of a WebSocket, let in or not, broke its rules.
pub struct WebSocketBroken {
    /// Where it connects from.
    pub peer: Peer,
    /// Of the goodbye (RFC 6455, 7.4.1).
    pub code: u16,
    /// For the log.
    pub cause: &'static str,
}

impl WebSocketBroken {
    /// Logs.
    pub fn emit(self, telemetry: &Telemetry) {
        if let Some(line) = telemetry.lines.web_sockets.ask(Instant::now()) {
            tracing::info!(
                peer = %self.peer,
                code = self.code,
                cause = self.cause,
                left_out = line.left_out(),
                "WebSocket rules broken"
            );
        }
    }
}

/// A client was kept out.
pub struct ConnectRefused<'a> {
    /// Where it connects from.
    pub peer: Peer,
    /// Application and device that it says it is.
    pub who: Option<(&'a str, &'a str)>,
    /// For the metric.
    pub outcome: LogInOutcome,
    /// For the metric.
    pub method: LogInMethod,
    /// For the log.
    pub cause: String,
}

impl ConnectRefused<'_> {
    /// Counts and logs.
    pub fn emit(self, telemetry: &Telemetry) {
        telemetry
            .log_ins
            .with_label_values(&[self.outcome.label(), self.method.label()])
            .inc();
        if self.outcome == LogInOutcome::Throttled {
            // It has a line of its own, once in a while.
            return;
        }
        if let Some(line) = telemetry.lines.connects.ask(Instant::now()) {
            tracing::info!(
                peer = %self.peer,
                application = self.who.map(|(application, _)| application),
                device = self.who.map(|(_, device)| device),
                cause = self.cause,
                left_out = line.left_out(),
                "connect refused"
            );
        }
    }
}

/// A device was let in.
pub struct Connected<'a> {
    /// Its connection.
    pub link: &'a Link,
    /// For the metric.
    pub method: LogInMethod,
}

impl Connected<'_> {
    /// Counts and logs.
    pub fn emit(self, telemetry: &Telemetry) {
        let who = &self.link.identity;
        telemetry
            .log_ins
            .with_label_values(&[LogInOutcome::Accepted.label(), self.method.label()])
            .inc();
        telemetry
            .connections
            .with_label_values(&[who.transport.as_str(), who.version.as_str()])
            .inc();
        tracing::debug!(
            application = &*who.application,
            device = &*who.device,
            peer = %who.peer,
            client_id = &*who.client_id,
            version = who.version.as_str(),
            "connected"
        );
    }
}

/// A connection that was let in is over.
pub struct ConnectionEnded<'a> {
    /// The connection.
    pub link: &'a Link,
    /// Why; always known.
    pub cause: Option<Close>,
}

impl ConnectionEnded<'_> {
    /// Counts and logs: the one line of a connection's life.
    pub fn emit(self, telemetry: &Telemetry) {
        let who = &self.link.identity;
        telemetry
            .connections
            .with_label_values(&[who.transport.as_str(), who.version.as_str()])
            .dec();
        tracing::info!(
            application = &*who.application,
            device = &*who.device,
            peer = %who.peer,
            client_id = &*who.client_id,
            version = who.version.as_str(),
            seconds = who.age().as_secs(),
            cause = self.cause.map(tracing::field::display),
            "connection ended"
        );
    }
}

/// A filter was not granted.
pub struct SubscriptionRefused<'a> {
    /// The connection it was asked on.
    pub link: &'a Link,
    /// The first failure of the packet.
    pub reason: ReasonCode,
}

impl SubscriptionRefused<'_> {
    /// Counts and logs.
    pub fn emit(self, telemetry: &Telemetry) {
        telemetry.subscriptions_refused.inc();
        let Some(line) = telemetry.lines.subscriptions.ask(Instant::now()) else {
            return;
        };
        let who = &self.link.identity;
        tracing::info!(
            application = &*who.application,
            device = &*who.device,
            peer = %who.peer,
            cause = self.reason.text(),
            left_out = line.left_out(),
            "subscription refused"
        );
    }
}
