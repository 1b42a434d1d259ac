//! An event as a Kafka message (CloudEvents Kafka binding 1.0.2).

use rdkafka::message::{Header, OwnedHeaders};

use super::KafkaMode;
use crate::record::Record;
use crate::template::push_escaped;

/// Kafka binding 3.2 and 3.3: headers, and the value if it is not the payload itself.
pub(super) fn message(record: &Record<'_>, mode: KafkaMode) -> (OwnedHeaders, Option<Vec<u8>>) {
    let mut headers = OwnedHeaders::new_with_capacity(20);
    let mut push = |key: &str, value: &str| {
        let header = Header {
            key,
            value: Some(value),
        };
        headers = std::mem::take(&mut headers).insert(header);
    };
    if mode == KafkaMode::Structured || record.looks_structured() {
        push("content-type", "application/cloudevents+json");
        let mut body = Vec::new();
        record.write_structured_json(&mut body);
        return (headers, Some(body));
    }
    push("ce_specversion", "1.0");
    let mut key = String::with_capacity(32);
    for (name, value) in record.attributes() {
        if name == "datacontenttype" {
            push("content-type", value);
            continue;
        }
        key.clear();
        key.push_str("ce_");
        key.push_str(name);
        push(&key, value);
    }
    (headers, None)
}

/// Topics have ASCII letters, digits, `.`, `_` and `-`. Everything else, and `_`, is escaped by it,
/// so that no two names become one topic.
pub(super) fn push_topic(out: &mut String, value: &str) {
    push_escaped(out, value, '_', |byte| {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')
    });
}
