//! Sends spans to a collector: OTLP 1 over HTTP, in its JSON encoding (opentelemetry-proto,
//! `trace/v1`; the specification's "JSON Protobuf Encoding": ids in hexadecimal).

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::{Message, Span, Tracer, hex};

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

/// `SPAN_KIND_PRODUCER`: the event's consumers are its children.
const PRODUCER: u8 = 4;
const OK: u8 = 1;
const ERROR: u8 = 2;

fn described(span: &Span) -> Value {
    // Timestamps are in microseconds.
    let nanoseconds = |micros: u64| micros.saturating_mul(1_000).to_string();
    let mut described = json!({
        "traceId": hex(&span.trace),
        "spanId": hex(&span.id),
        "parentSpanId": hex(&span.parent),
        "name": "publish",
        "kind": PRODUCER,
        "startTimeUnixNano": nanoseconds(span.start.0),
        "endTimeUnixNano": nanoseconds(span.end.0),
        "attributes": [
            attribute("messaging.system", "mqtt"),
            attribute("messaging.destination.name", &span.channel),
            attribute("landfall.application", &span.application),
            attribute("landfall.device", &span.device),
        ],
        "status": match span.accepted {
            None => json!({}),
            Some(true) => json!({ "code": OK }),
            Some(false) => json!({ "code": ERROR, "message": "not accepted before the connection ended" }),
        },
    });
    if let (Some(state), Some(object)) = (&span.trace_state, described.as_object_mut()) {
        object.insert("traceState".to_owned(), json!(state));
    }
    described
}

fn attribute(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}
