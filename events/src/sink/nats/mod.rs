//! The sink that publishes events to NATS JetStream (CloudEvents NATS binding 1.0.2).
//!
//! Accepted means acknowledged by the stream: stored as the stream's own storage and replicas
//! promise. A publish whose acknowledgement is lost is sent again with the same `Nats-Msg-Id`, so
//! that the stream drops the second copy within its duplicate window (2 minutes by default).

mod connection;
mod options;
#[cfg(test)]
mod tests;

use std::error::Error as _;

use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::{self, ErrorCode};
use async_nats::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use connection::Connection;
pub use options::{NatsCredentials, NatsError, NatsMode, NatsOptions, NatsTls};

use super::remote::{Courier, Outcome, Remote, RemoteOptions, Ticket};
use crate::attribute::push_header_text;
use crate::record::Record;
use crate::sink::Refusal;
use crate::template::push_escaped;

/// Starts a sink of the given name. It connects, and connects again, by itself.
///
/// # Errors
///
/// [`NatsError`]. A server that is away is none.
pub fn start(name: &str, options: NatsOptions) -> Result<Remote, NatsError> {
    // What is wrong with the credentials is said here, where somebody reads it.
    options.connect(name)?;
    let remote = RemoteOptions {
        queue_bytes: options.queue_bytes,
        lanes: 1,
        spill: options.spill.clone(),
    };
    let courier = {
        let name = name.to_owned();
        move || NatsCourier {
            name,
            options,
            connection: None,
        }
    };
    Ok(Remote::start(name, remote, courier)?)
}

struct NatsCourier {
    name: String,
    options: NatsOptions,
    connection: Option<Connection>,
}

impl Courier for NatsCourier {
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
        self.context().await.map(|_| ())
    }

    async fn send(&mut self, _application: &str, events: Vec<Bytes>, ticket: Ticket) {
        let Some(record) = events.first().and_then(|event| Record::read(event)) else {
            return ticket.answer(Outcome::unreadable());
        };
        let subject = self.options.subject.render(&record, push_subject);
        let (headers, payload) = message(&record, self.options.mode);
        let context = match self.context().await {
            Ok(context) => context,
            Err(reason) => return ticket.answer(Outcome::retry(reason)),
        };
        match context
            .publish_with_headers(subject, headers, payload)
            .await
        {
            Ok(acknowledgement) => {
                tokio::spawn(async move {
                    ticket.answer(match acknowledgement.await {
                        Ok(_) => Outcome::Accepted,
                        Err(error) => outcome(&error),
                    });
                });
            }
            Err(error) => ticket.answer(outcome(&error)),
        }
    }
}

impl NatsCourier {
    /// The connection, or a new one when it was lost.
    async fn context(&mut self) -> Result<&jetstream::Context, String> {
        let is_lost = |connection: &mut Connection| connection.context().is_none();
        self.connection.take_if(is_lost);
        if self.connection.is_none() {
            let connection = Connection::open(&self.name, &self.options).await;
            let connection =
                connection.map_err(|error| format!("no connection to a NATS server: {error}"))?;
            self.connection = Some(connection);
        }
        let connection = self.connection.as_ref();
        connection
            .and_then(Connection::context)
            .ok_or_else(|| "no connection to a NATS server".to_owned())
    }
}

fn outcome(error: &jetstream::context::PublishError) -> Outcome {
    let too_large = |reason: String| Outcome::Refused(Refusal::TooLarge, reason);
    match error.kind() {
        PublishErrorKind::MaxPayloadExceeded => too_large(error.to_string()),
        PublishErrorKind::StreamNotFound => {
            Outcome::retry("no stream takes events of this subject")
        }
        _ => {
            let source = error.source();
            let code = source
                .and_then(|source| source.downcast_ref::<jetstream::Error>())
                .map(jetstream::Error::error_code);
            if code == Some(ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM) {
                too_large(error.to_string())
            } else {
                Outcome::retry(error)
            }
        }
    }
}

/// NATS binding 3.1 and 3.2.
fn message(record: &Record<'_>, mode: NatsMode) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    headers.insert("Nats-Msg-Id", record.get("id"));
    if mode == NatsMode::Structured || record.looks_structured() {
        headers.insert("content-type", "application/cloudevents+json");
        let mut body = Vec::new();
        record.write_structured_json(&mut body);
        return (headers, body.into());
    }
    headers.insert("ce-specversion", "1.0");
    let mut text = String::new();
    for (name, value) in record.attributes() {
        let name = if name == "datacontenttype" {
            "content-type".to_owned()
        } else {
            format!("ce-{name}")
        };
        text.clear();
        if name == "content-type" && value.bytes().all(|byte| matches!(byte, 0x20..=0x7e)) {
            text.push_str(value);
        } else {
            push_header_text(&mut text, value);
        }
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), text.parse::<HeaderValue>()) {
            headers.insert(name, value);
        }
    }
    (headers, Bytes::copy_from_slice(record.payload()))
}

/// Levels become tokens; what no token may hold is percent-encoded, and an empty level is `%`.
fn push_subject(out: &mut String, value: &str) {
    for (index, level) in value.split('/').enumerate() {
        if index > 0 {
            out.push('.');
        }
        if level.is_empty() {
            out.push('%');
        }
        push_escaped(out, level, '%', |byte| {
            byte.is_ascii_graphic() && !matches!(byte, b'.' | b'*' | b'>' | b'%')
        });
    }
}
