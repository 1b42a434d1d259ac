//! Sends spans to a collector: OTLP 1 over HTTP, in its JSON encoding (opentelemetry-proto,
//! `trace/v1`; the specification's "JSON Protobuf Encoding": ids in hexadecimal).

use std::sync::Arc;
use std::time::Duration;

use landfall_events::sink::Refusal;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::{Message, Outcome, Part, Span, Tracer, hex};

/// Spans of one request.
const BATCH: usize = 512;
/// For spans to come together.
const PAUSE: Duration = Duration::from_millis(500);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends spans to the collector at this address until the process ends. A batch that cannot be sent
/// is dropped and counted: traces are worth less than the server's memory.
pub async fn run(tracer: Arc<Tracer>, address: String, instance: Arc<str>) {
    let Some(mut receiver) = tracer.take_receiver() else {
        return;
    };
    let client = match reqwest::Client::builder().timeout(TIMEOUT).build() {
        Ok(client) => client,
        Err(error) => {
            tracing::error!(%error, "traces cannot be sent");
            return;
        }
    };
    let mut works = true;
    while let Some((spans, flushed)) = gather(&mut receiver).await {
        if !spans.is_empty() {
            let sent = send(&client, &address, &body(&spans, &instance)).await;
            let outcome = if sent.is_ok() { "sent" } else { "failed" };
            tracer.count(outcome, spans.len() as u64);
            // One line for each outage.
            match sent {
                Err(error) if works => {
                    tracing::warn!(%error, "traces cannot be sent: they are dropped and counted");
                    works = false;
                }
                Ok(()) if !works => {
                    tracing::info!("traces are sent again");
                    works = true;
                }
                _ => {}
            }
        }
        if let Some(flushed) = flushed {
            let _ = flushed.send(());
        }
    }
}

/// The next spans; and whom to tell that all were sent. `None`: no more will come.
async fn gather(
    receiver: &mut mpsc::Receiver<Message>,
) -> Option<(Vec<Span>, Option<oneshot::Sender<()>>)> {
    let mut spans = Vec::new();
    let mut next = receiver.recv().await?;
    let end = tokio::time::Instant::now() + PAUSE;
    loop {
        match next {
            Message::Flush(done) => return Some((spans, Some(done))),
            Message::Span(span) => spans.push(*span),
        }
        if spans.len() >= BATCH {
            return Some((spans, None));
        }
        match tokio::time::timeout_at(end, receiver.recv()).await {
            Ok(Some(message)) => next = message,
            Ok(None) | Err(_) => return Some((spans, None)),
        }
    }
}

async fn send(client: &reqwest::Client, address: &str, body: &Value) -> Result<(), reqwest::Error> {
    let sent = client.post(address).json(body).send().await;
    match sent.and_then(reqwest::Response::error_for_status) {
        Ok(_) => Ok(()),
        // An address may hold a key.
        Err(error) => Err(error.without_url()),
    }
}

/// `ExportTraceServiceRequest`.
fn body(spans: &[Span], instance: &str) -> Value {
    json!({ "resourceSpans": [{
        "resource": { "attributes": [
            attribute("service.name", "landfall"),
            attribute("service.version", env!("CARGO_PKG_VERSION")),
            attribute("service.instance.id", instance),
        ] },
        "scopeSpans": [{
            "scope": { "name": "landfall", "version": env!("CARGO_PKG_VERSION") },
            "spans": spans.iter().map(described).collect::<Vec<_>>(),
        }],
    }] })
}

/// `SPAN_KIND_CLIENT`: the message that is sent has been created by another span.
const CLIENT: u8 = 3;
/// `SPAN_KIND_PRODUCER`: the event's consumers are its children.
const PRODUCER: u8 = 4;
const OK: u8 = 1;
const ERROR: u8 = 2;

/// By OpenTelemetry's semantic conventions for messaging: the publish creates the message, each sink
/// has it sent.
fn described(span: &Span) -> Value {
    let published = &span.published;
    // Timestamps are in microseconds.
    let nanoseconds = |micros: u64| micros.saturating_mul(1_000).to_string();
    let (name, kind, own) = match &span.part {
        Part::Publish => (
            "publish".to_owned(),
            PRODUCER,
            vec![
                attribute("messaging.system", "mqtt"),
                attribute("messaging.operation.name", "publish"),
                attribute("messaging.operation.type", "create"),
                attribute("messaging.destination.name", &published.channel),
            ],
        ),
        Part::Sink { name, system } => (
            format!("send {name}"),
            CLIENT,
            vec![
                attribute("messaging.system", system),
                attribute("messaging.operation.name", "send"),
                attribute("messaging.operation.type", "send"),
                attribute("landfall.sink", name),
                attribute("landfall.channel", &published.channel),
            ],
        ),
    };
    let mut attributes = own;
    attributes.push(attribute("landfall.application", &published.application));
    attributes.push(attribute("landfall.device", &published.device));
    attributes.extend(error_type(span.outcome).map(|error| attribute("error.type", error)));
    let mut described = json!({
        "traceId": hex(&published.trace),
        "spanId": hex(&span.id),
        "parentSpanId": hex(&span.parent),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": nanoseconds(span.start.0),
        "endTimeUnixNano": nanoseconds(span.end.0),
        "attributes": attributes,
        "status": status(span.outcome),
    });
    if let (Some(state), Some(object)) = (&published.trace_state, described.as_object_mut()) {
        object.insert("traceState".to_owned(), json!(state));
    }
    described
}

fn error_type(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Unknown | Outcome::Accepted => None,
        Outcome::Refused(Refusal::Rejected) => Some("rejected"),
        Outcome::Refused(Refusal::TooLarge) => Some("too_large"),
        Outcome::Unanswered => Some("connection_ended"),
    }
}

fn status(outcome: Outcome) -> Value {
    let error = |message| json!({ "code": ERROR, "message": message });
    match outcome {
        Outcome::Unknown => json!({}),
        Outcome::Accepted => json!({ "code": OK }),
        Outcome::Refused(Refusal::Rejected) => error("the sink does not take the event"),
        Outcome::Refused(Refusal::TooLarge) => error("the event is larger than the sink takes"),
        Outcome::Unanswered => error("not accepted before the connection ended"),
    }
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}
