//! An event as a Kafka message (CloudEvents Kafka binding 1.0.2).

use rdkafka::message::{Header, OwnedHeaders};

use super::KafkaMode;
use crate::record::Record;
use crate::template::push_escaped;

/// Kafka binding 3.2 and 3.3: headers, and the value if it is not the payload itself.
pub(super) fn message(record: &Record<'_>, mode: KafkaMode) -> (OwnedHeaders, Option<Vec<u8>>) {
    let headers = OwnedHeaders::new_with_capacity(20);
    if mode == KafkaMode::Structured || record.looks_structured() {
        let headers = with(headers, "content-type", b"application/cloudevents+json");
        let mut body = Vec::new();
        record.write_structured_json(&mut body);
        return (headers, Some(body));
    }
    let mut key = String::with_capacity(32);
    let headers = with(headers, "ce_specversion", b"1.0");
    let headers = record
        .named_bytes()
        .fold(headers, |headers, (name, value)| {
            if name == "datacontenttype" {
                return with(headers, "content-type", value);
            }
            key.clear();
            key.push_str("ce_");
            key.push_str(name);
            with(headers, &key, value)
        });
    (headers, None)
}

fn with(headers: OwnedHeaders, key: &str, value: &[u8]) -> OwnedHeaders {
    let value = Some(value);
    headers.insert(Header { key, value })
}

/// Topics have ASCII letters, digits, `.`, `_` and `-`. Everything else, and `_`, is escaped by it,
/// so that no two names become one topic.
pub(super) fn push_topic(out: &mut String, value: &str) {
    push_escaped(out, value, '_', |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
    });
}
