//! The sink that publishes events to an MQTT broker (CloudEvents MQTT binding 1.0.2).
//!
//! Accepted means acknowledged by the broker (QoS 1): what the broker promises with that is its own,
//! and many keep messages in memory only. A publish whose acknowledgement is lost with its
//! connection is sent again, so that subscribers may see an event twice, with the same `id`.

mod connection;
mod message;
mod options;
#[cfg(test)]
mod tests;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;

use connection::{Broker, Connection};
use message::Message;
pub use options::{MqttError, MqttMode, MqttOptions, MqttTls, MqttVersion};
pub use tls::client_config;

use super::remote::{Courier, Outcome, Remote, RemoteOptions, Ticket};
use crate::record::Record;
use crate::sink::Refusal;

/// Lanes that want to connect after another has just failed are told the same.
const PAUSE: Duration = Duration::from_millis(500);

/// Starts a sink of the given name. It connects, and connects again, by itself.
///
/// # Errors
///
/// [`MqttError`]. A broker that is away is none.
pub fn start(name: &str, options: MqttOptions) -> Result<Remote, MqttError> {
    let broker = Broker::new(&options)?;
    let remote = RemoteOptions {
        queue_bytes: options.queue_bytes,
        lanes: 1,
        spill: options.spill.clone(),
    };
    let courier = move || MqttCourier {
        options,
        broker,
        connection: None,
        failures: 0,
        failed: None,
    };
    Ok(Remote::start(name, remote, courier)?)
}

struct MqttCourier {
    options: MqttOptions,
    broker: Broker,
    connection: Option<Connection>,
    /// Attempts to connect that have failed since the last success.
    failures: u32,
    /// When the last one did, and why.
    failed: Option<(Instant, String)>,
}

impl Courier for MqttCourier {
    /// One connection takes an application's publishes in their order.
    fn lanes(&self) -> u16 {
        1
    }

    fn window(&self) -> usize {
        self.options.window
    }

    fn most(&self) -> (usize, usize) {
        (1, usize::MAX)
    }

    async fn probe(&mut self) -> Result<(), String> {
        self.connection().await.map(|_| ())
    }

    async fn send(&mut self, _application: &str, events: Vec<Bytes>, ticket: Ticket) {
        let Some(record) = events.first().and_then(|event| Record::read(event)) else {
            return ticket.answer(Outcome::unreadable());
        };
        let message = Message::of(&record, &self.options);
        let timeout = self.options.timeout;
        let limit = self.options.maximum_packet_size;
        let connection = match self.connection().await {
            Ok(connection) => connection,
            Err(reason) => return ticket.answer(Outcome::retry(reason)),
        };
        let limit = [limit, connection.maximum_packet_size()];
        if let Err(reason) = message.check(limit.into_iter().flatten().min()) {
            return ticket.answer(Outcome::Refused(Refusal::TooLarge, reason));
        }
        match connection.publish(message).await {
            Err(reason) => ticket.answer(Outcome::retry(reason)),
            Ok(acknowledgement) => {
                let end = connection.end();
                tokio::spawn(async move {
                    match tokio::time::timeout(timeout, acknowledgement.outcome()).await {
                        Ok(outcome) => ticket.answer(outcome),
                        Err(_) => {
                            // What was sent behind it must not get in front of it.
                            end.abort();
                            ticket.answer(Outcome::retry("no acknowledgement in time"));
                        }
                    }
                });
            }
        }
    }
}

impl MqttCourier {
    /// The connection, or a new one when it was lost.
    async fn connection(&mut self) -> Result<&Connection, String> {
        self.connection.take_if(|connection| connection.is_lost());
        match &mut self.connection {
            Some(connection) => Ok(connection),
            none => {
                if let Some((when, reason)) = &self.failed {
                    let limit = self.options.reconnect_attempts;
                    if limit.is_some_and(|limit| self.failures > limit) {
                        let attempts = self.failures;
                        return Err(format!("given up after {attempts} attempts: {reason}"));
                    }
                    if when.elapsed() < PAUSE {
                        return Err(reason.clone());
                    }
                }
                match self.broker.connect().await {
                    Ok(connection) => {
                        self.failures = 0;
                        self.failed = None;
                        Ok(none.insert(connection))
                    }
                    Err(error) => {
                        let reason = format!("no connection to the MQTT broker: {error}");
                        self.failures += 1;
                        self.failed = Some((Instant::now(), reason.clone()));
                        Err(reason)
                    }
                }
            }
        }
    }
}
