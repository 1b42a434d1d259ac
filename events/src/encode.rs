//! Events as CloudEvents JSON: structured mode and batches.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::attribute::{is_absolute_uri, is_free_extension, push_json};
use crate::event::{Data, Draft, Extension};

/// Most bytes that the fixed parts of an event take: braces, member names, id, type and time.
const FIXED_LEN: usize = 320;
/// Most bytes that one byte of an attribute becomes: a percent sign and two digits.
const ATTRIBUTE_GROWTH: usize = 3;

/// Appends the event in CloudEvents' JSON format (structured mode), on one line without line end.
///
/// JSON data stands as it came, except that line breaks in its white space become spaces; other
/// data stands as `data_base64`. Attributes keep to CloudEvents' rules whatever the draft holds:
/// see [`Draft`]'s fields. Does not allocate unless `out` has to grow, which is asked for at once.
pub fn write_structured_json(draft: &Draft<'_>, out: &mut Vec<u8>) {
    out.reserve(most_bytes(draft));

    out.extend_from_slice(br#"{"specversion":"1.0","id":""#);
    let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
    out.extend_from_slice(draft.id.hyphenated().encode_lower(&mut id).as_bytes());
    out.extend_from_slice(br#"","type":""#);
    push_json(out, draft.event_type.as_str());
    out.extend_from_slice(br#"","time":""#);
    out.extend_from_slice(&draft.time.rfc3339());
    out.push(b'"');
    out.extend_from_slice(draft.origin.json().as_bytes());

    push_member(out, br#","subject":""#, draft.subject);
    push_member(
        out,
        br#","datacontenttype":""#,
        draft.data_content_type.unwrap_or_default(),
    );
    if let Some(schema) = draft.data_schema.filter(|schema| is_absolute_uri(schema)) {
        push_member(out, br#","dataschema":""#, schema);
    }
    push_member(
        out,
        br#","traceparent":""#,
        draft.trace_parent.unwrap_or_default(),
    );
    push_member(
        out,
        br#","tracestate":""#,
        draft.trace_state.unwrap_or_default(),
    );
    if draft.retain {
        out.extend_from_slice(br#","mqttretain":true"#);
    }
    for (name, value) in draft.extensions {
        if is_free_extension(name) && !value.is_empty() {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            push_member(out, b"\":\"", value);
        }
    }
    push_data(out, draft.data);
    out.push(b'}');
}

/// Appends a JSON batch (`application/cloudevents-batch+json`) of events that are structured JSON.
pub fn write_batch_json<'a>(events: impl IntoIterator<Item = &'a [u8]>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, event) in events.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(event);
    }
    out.push(b']');
}

/// A string member, unless it is empty: CloudEvents has no empty attributes of these names.
fn push_member(out: &mut Vec<u8>, name: &[u8], value: &str) {
    if !value.is_empty() {
        out.extend_from_slice(name);
        push_json(out, value);
        out.push(b'"');
    }
}

pub(crate) fn push_data(out: &mut Vec<u8>, data: Data<'_>) {
    match data {
        Data::None => (),
        Data::Json(text) => {
            out.extend_from_slice(br#","data":"#);
            let start = out.len();
            out.extend_from_slice(text);
            // In a JSON text a line break is white space: in strings it must be escaped.
            for byte in out.get_mut(start..).unwrap_or_default() {
                if matches!(byte, b'\n' | b'\r') {
                    *byte = b' ';
                }
            }
        }
        Data::Binary(bytes) => {
            out.extend_from_slice(br#","data_base64":""#);
            let start = out.len();
            out.resize(start + base64_len(bytes.len()), 0);
            // The slice has the length that the encoding needs, so this cannot fail.
            let encoded = out.get_mut(start..).unwrap_or_default();
            let _written = STANDARD.encode_slice(bytes, encoded);
            out.push(b'"');
        }
    }
}

fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

fn most_bytes(draft: &Draft<'_>) -> usize {
    let attributes = draft.subject.len()
        + draft.data_content_type.map_or(0, str::len)
        + draft.data_schema.map_or(0, str::len)
        + draft.trace_parent.map_or(0, str::len)
        + draft.trace_state.map_or(0, str::len)
        + draft.event_type.as_str().len();
    let extension = |(name, value): &Extension<'_>| name.len() + value.len() + 6;
    let extensions: usize = draft.extensions.iter().map(extension).sum();
    let attributes = attributes + extensions;
    let data = match draft.data {
        Data::Binary(bytes) => base64_len(bytes.len()),
        Data::None | Data::Json(_) => draft.data.len(),
    };
    FIXED_LEN + draft.origin.json().len() + attributes * ATTRIBUTE_GROWTH + data
}
