//! Events between the connection and a remote sink: every attribute by itself, then the data.
//!
//! A remote sink decides only when it sends which form an event takes (binary or structured, which
//! topic, which key), so its batches hold records: an in-memory form that never leaves the process.
//!
//! Layout: a length of the attributes in four bytes; per attribute a byte of name length, the name,
//! four bytes of value length, the value; then one byte for the kind of data, and the data.
//! Lengths are least significant byte first.

use crate::attribute::{is_absolute_uri, is_free_extension, push_json, push_text};
use crate::encode::push_data;
use crate::event::{Data, Draft};

const NO_DATA: u8 = 0;
const JSON_DATA: u8 = 1;
const BINARY_DATA: u8 = 2;

/// The one attribute that is a boolean; it is left out when false.
const RETAIN: &str = "mqttretain";

/// A read record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    attributes: &'a [u8],
    /// The payload.
    pub data: Data<'a>,
}

/// Appends the event as a record.
pub(crate) fn write_record(draft: &Draft<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);

    let mut id = [0; uuid::fmt::Hyphenated::LENGTH];
    push(out, "id", draft.id.hyphenated().encode_lower(&mut id));
    push_clean(out, "type", draft.event_type.as_str());
    let time = draft.time.rfc3339();
    push(out, "time", str::from_utf8(&time).unwrap_or_default());
    for (name, value) in draft.origin.attributes() {
        push(out, name, value);
    }
    push_clean(out, "subject", draft.subject);
    let content_type = draft.data_content_type.unwrap_or_default();
    push_clean(out, "datacontenttype", content_type);
    if let Some(schema) = draft.data_schema.filter(|schema| is_absolute_uri(schema)) {
        push(out, "dataschema", schema);
    }
    push_clean(out, "traceparent", draft.trace_parent.unwrap_or_default());
    push_clean(out, "tracestate", draft.trace_state.unwrap_or_default());
    if draft.retain {
        push(out, RETAIN, "true");
    }
    for (name, value) in draft.extensions {
        if is_free_extension(name) {
            push_clean(out, name, value);
        }
    }

    let length = length_bytes(out.len() - start - 4);
    if let Some(place) = out.get_mut(start..start + 4) {
        place.copy_from_slice(&length);
    }
    let (kind, bytes): (u8, &[u8]) = match draft.data {
        Data::None => (NO_DATA, &[]),
        Data::Json(bytes) => (JSON_DATA, bytes),
        Data::Binary(bytes) => (BINARY_DATA, bytes),
    };
    out.push(kind);
    out.extend_from_slice(bytes);
}

/// An attribute whose text comes from outside, unless it is empty.
fn push_clean(out: &mut Vec<u8>, name: &str, value: &str) {
    if !value.is_empty() {
        let mut clean = String::with_capacity(value.len());
        push_text(&mut clean, value);
        push(out, name, &clean);
    }
}

fn push(out: &mut Vec<u8>, name: &str, value: &str) {
    // Names are this crate's own, or checked: all are short.
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(&length_bytes(value.len()));
    out.extend_from_slice(value.as_bytes());
}

/// MQTT has no packet, and so no part of one, of 4 GiB.
fn length_bytes(length: usize) -> [u8; 4] {
    u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes()
}

impl<'a> Record<'a> {
    /// Reads what [`write_record`] wrote; `None` for anything else.
    pub(crate) fn read(bytes: &'a [u8]) -> Option<Self> {
        let (attributes, rest) = sized(bytes)?;
        let data = match rest.split_first()? {
            (&NO_DATA, []) => Data::None,
            (&JSON_DATA, bytes) => Data::Json(bytes),
            (&BINARY_DATA, bytes) => Data::Binary(bytes),
            _ => return None,
        };
        Some(Self { attributes, data })
    }

    /// All context attributes but `specversion`, by name and text. Booleans are `true`.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut entries = self.named_bytes();
        std::iter::from_fn(move || {
            let (name, value) = entries.next()?;
            Some((name, str::from_utf8(value).ok()?))
        })
    }

    /// The same for who only passes the texts on: as bytes, which are not looked at again.
    pub(crate) fn named_bytes(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        let mut entries = self.entries();
        std::iter::from_fn(move || {
            let (name, value) = entries.next()?;
            Some((str::from_utf8(name).ok()?, value))
        })
    }

    /// The attribute of that name, or an empty text.
    #[must_use]
    pub fn get(&self, name: &str) -> &'a str {
        let mut entries = self.entries();
        let found = entries.find(|(other, _)| *other == name.as_bytes());
        found.map_or("", |(_, value)| str::from_utf8(value).unwrap_or_default())
    }

    /// The attributes' bytes: not every look at one is worth a check of all.
    fn entries(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let mut rest = self.attributes;
        std::iter::from_fn(move || {
            let (&name_length, after) = rest.split_first()?;
            let (name, after) = after.split_at_checked(name_length.into())?;
            let (value, after) = sized(after)?;
            rest = after;
            Some((name, value))
        })
    }

    /// The payload's bytes as the device sent them.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        match self.data {
            Data::None => &[],
            Data::Json(bytes) | Data::Binary(bytes) => bytes,
        }
    }

    /// Whether the payload's own content type would make a reader take the message for an event in
    /// structured mode or a batch. Such an event must go in structured mode.
    #[must_use]
    pub fn looks_structured(&self) -> bool {
        const PREFIX: &str = "application/cloudevents";
        let content_type = self.get("datacontenttype").as_bytes();
        let start = content_type.get(..PREFIX.len());
        start.is_some_and(|start| start.eq_ignore_ascii_case(PREFIX.as_bytes()))
    }

    /// Appends the event in CloudEvents' JSON format, as [`crate::encode::write_structured_json`].
    pub fn write_structured_json(&self, out: &mut Vec<u8>) {
        out.reserve(self.attributes.len() * 2 + self.data.len() * 4 / 3 + 64);
        out.extend_from_slice(br#"{"specversion":"1.0""#);
        for (name, value) in self.attributes() {
            out.extend_from_slice(b",\"");
            out.extend_from_slice(name.as_bytes());
            if name == RETAIN {
                out.extend_from_slice(b"\":true");
                continue;
            }
            out.extend_from_slice(b"\":\"");
            push_json(out, value);
            out.push(b'"');
        }
        push_data(out, self.data);
        out.push(b'}');
    }
}

/// What stands behind a length of four bytes, and the rest.
fn sized(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    rest.split_at_checked(length)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::encode::write_structured_json;
    use crate::event::{EventType, Origin, OriginParts, Timestamp, next_id};
    use proptest::prelude::*;
    use serde_json::Value;

    pub(crate) fn with_draft(
        subject: &str,
        retain: bool,
        data: Data<'_>,
        test: impl FnOnce(&Draft<'_>),
    ) {
        let time = Timestamp(1_762_345_678_123_456);
        let origin = Origin::new(OriginParts {
            instance: "in\"stance",
            application: ("app", "app-uid"),
            device: ("de v", "dev-uid"),
            sender: ("gate", "gw-uid"),
        });
        test(&Draft {
            origin: &origin,
            event_type: EventType::Event,
            id: next_id(time),
            time,
            subject,
            data_content_type: Some("text/plain"),
            data_schema: Some("urn:schema:1"),
            trace_parent: Some("00-a-b-01"),
            trace_state: None,
            retain,
            extensions: &[],
            data,
        });
    }

    pub(crate) fn record_of(draft: &Draft<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        write_record(draft, &mut bytes);
        bytes
    }

    #[test]
    fn attributes_and_payload_read_back() {
        with_draft("te\nmp", true, Data::Binary(b"\x00\xff"), |draft| {
            let bytes = record_of(draft);
            let record = Record::read(&bytes).unwrap();
            assert_eq!(record.get("subject"), "te%0Amp");
            assert_eq!(record.get("source"), "drogue://app/de%20v");
            assert_eq!(record.get("mqttretain"), "true");
            assert_eq!(record.get("tracestate"), "");
            assert_eq!(record.get("id"), draft.id.to_string());
            assert_eq!(record.payload(), b"\x00\xff");
        });
    }

    #[test]
    fn bytes_that_are_no_record_are_not_read() {
        with_draft("temp", false, Data::None, |draft| {
            let bytes = record_of(draft);
            assert!(Record::read(&bytes).is_some());
            assert!(Record::read(&bytes[..bytes.len() - 1]).is_none());
            assert!(Record::read(&[]).is_none());
            assert!(Record::read(&[255; 40]).is_none());
        });
    }

    proptest! {
        #[test]
        fn its_structured_form_is_that_of_the_draft(
            subject in any::<String>(), retain: bool, payload: Vec<u8>, number: u32,
        ) {
            let number = number.to_string();
            for data in [Data::None, Data::Binary(&payload), Data::Json(number.as_bytes())] {
                with_draft(&subject, retain, data, |draft| {
                    let (mut direct, mut through) = (Vec::new(), Vec::new());
                    write_structured_json(draft, &mut direct);
                    Record::read(&record_of(draft)).unwrap().write_structured_json(&mut through);
                    let read = |json: &[u8]| serde_json::from_slice::<Value>(json).unwrap();
                    assert_eq!(read(&direct), read(&through));
                });
            }
        }
    }
}
