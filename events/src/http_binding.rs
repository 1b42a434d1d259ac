//! CloudEvents HTTP protocol binding 1.0.2: a record as headers and body.

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

use crate::attribute::push_header_text;
use crate::encode::write_batch_json;
use crate::record::Record;

const STRUCTURED: HeaderValue = HeaderValue::from_static("application/cloudevents+json");
const BATCH: HeaderValue = HeaderValue::from_static("application/cloudevents-batch+json");

/// Binary content mode (section 3.1): attributes in `ce-` headers, the payload as body.
pub(crate) fn binary(record: &Record<'_>) -> (HeaderMap, Vec<u8>) {
    if record.looks_structured() {
        return structured(record);
    }
    let mut headers = HeaderMap::with_capacity(24);
    headers.insert("ce-specversion", HeaderValue::from_static("1.0"));
    for (name, value) in record.attributes() {
        // Section 3.1.1: the content type is not encoded. One that no header can hold is left out.
        let header = if name == "datacontenttype" {
            let value = HeaderValue::from_str(value).ok();
            value.map(|value| (CONTENT_TYPE, value))
        } else {
            let name = HeaderName::try_from(format!("ce-{name}")).ok();
            name.zip(encoded(value))
        };
        if let Some((name, value)) = header {
            headers.insert(name, value);
        }
    }
    (headers, record.payload().to_vec())
}

/// Structured content mode (section 3.2).
pub(crate) fn structured(record: &Record<'_>) -> (HeaderMap, Vec<u8>) {
    let mut body = Vec::new();
    record.write_structured_json(&mut body);
    (HeaderMap::from_iter([(CONTENT_TYPE, STRUCTURED)]), body)
}

/// Batched content mode (section 3.3).
pub(crate) fn batch(records: &[Record<'_>]) -> (HeaderMap, Vec<u8>) {
    let json = |record: &Record<'_>| {
        let mut json = Vec::new();
        record.write_structured_json(&mut json);
        json
    };
    let events: Vec<Vec<u8>> = records.iter().map(json).collect();
    let mut body = Vec::new();
    write_batch_json(events.iter().map(Vec::as_slice), &mut body);
    (HeaderMap::from_iter([(CONTENT_TYPE, BATCH)]), body)
}

fn encoded(value: &str) -> Option<HeaderValue> {
    let mut text = String::with_capacity(value.len());
    push_header_text(&mut text, value);
    HeaderValue::from_str(&text).ok()
}
