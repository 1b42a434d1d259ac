//! The events of one row: each with its length in front.

use crate::attribute::push_json;
use crate::encode::write_structured_json;
use crate::event::Draft;

use super::reader::Filter;

/// A row takes events up to this many bytes; only a single larger event makes a larger row.
pub(super) const TARGET_BYTES: usize = 256 << 10;

/// Bytes of the length: 32 bits, the least significant byte first.
const LENGTH: usize = 4;

/// Appends an event: length and structured JSON.
pub(super) fn push_event(draft: &Draft<'_>, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH]);
    write_structured_json(draft, out);
    // An MQTT packet is less than 256 MiB, and its event less than twice that.
    let length = u32::try_from(out.len() - start - LENGTH).unwrap_or(u32::MAX);
    if let Some(head) = out.get_mut(start..start + LENGTH) {
        head.copy_from_slice(&length.to_le_bytes());
    }
}

/// Walks the events of a row.
pub(super) struct Events<'a> {
    rest: &'a [u8],
}

/// The row ends in the middle of an event.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Torn;

impl<'a> Events<'a> {
    pub(super) fn of(row: &'a [u8]) -> Self {
        Self { rest: row }
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<&'a [u8], Torn>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let event = self
            .rest
            .split_first_chunk::<LENGTH>()
            .and_then(|(head, rest)| {
                rest.split_at_checked(usize::try_from(u32::from_le_bytes(*head)).ok()?)
            });
        let Some((event, rest)) = event else {
            self.rest = &[];
            return Some(Err(Torn));
        };
        self.rest = rest;
        Some(Ok(event))
    }
}

/// Knows the events that a reader wants, by their attributes.
pub(super) struct Wanted(Vec<Attribute>);

/// A string attribute as an event has it.
struct Attribute {
    /// What stands in front of its value.
    name: &'static [u8],
    /// The value with the quote behind it.
    value: Vec<u8>,
}

impl Wanted {
    /// `None`: all events.
    pub(super) fn of(filter: Filter<'_>) -> Option<Self> {
        let device = filter
            .device
            .map(|name| Attribute::new(br#","device":""#, name));
        let event_type = filter
            .event_type
            .map(|name| Attribute::new(br#","type":""#, name));
        let attributes: Vec<_> = event_type.into_iter().chain(device).collect();
        (!attributes.is_empty()).then_some(Self(attributes))
    }

    /// Whether a reader wants this event.
    pub(super) fn has(&self, event: &[u8]) -> bool {
        self.0.iter().all(|attribute| attribute.is_in(event))
    }
}

impl Attribute {
    fn new(name: &'static [u8], value: &str) -> Self {
        let mut json = Vec::new();
        push_json(&mut json, value);
        json.push(b'"');
        Self { name, value: json }
    }

    /// The attributes of an event stand before its data, and a quote within one is escaped: what is
    /// found first is the attribute.
    fn is_in(&self, event: &[u8]) -> bool {
        let mut places = event.windows(self.name.len());
        let place = places.position(|part| part == self.name);
        let value = place.and_then(|place| event.get(place + self.name.len()..));
        value.is_some_and(|value| value.starts_with(&self.value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_events_by_their_lengths() {
        let row = b"\x02\0\0\0{}\0\0\0\0\x03\0\0\0abc";
        let events: Vec<_> = Events::of(row).collect();
        assert_eq!(events, [Ok(&b"{}"[..]), Ok(b""), Ok(b"abc")]);
    }

    #[test]
    fn events_are_known_by_their_attributes_and_not_by_their_data() {
        let event = br#"{"id":"1","type":"t.v1","device":"a\"b","data":[{"x":1,"type":"t.v2","device":"c"}]}"#;
        let wants = |event_type, device| {
            let filter = Filter { device, event_type };
            Wanted::of(filter).is_none_or(|wanted| wanted.has(event))
        };
        assert!(wants(None, None));
        assert!(wants(Some("t.v1"), None) && wants(Some("t.v1"), Some("a\"b")));
        assert!(!wants(Some("t.v1"), Some("c")) && !wants(Some("t.v2"), Some("a\"b")));
        for part in ["t", "t.v", "t.v1\"", "t.v11", ""] {
            assert!(!wants(Some(part), None), "{part}");
        }
    }

    #[test]
    fn a_row_that_ends_within_an_event_is_torn() {
        for row in [&b"\x03\0\0\0ab"[..], b"\x01\0\0", b"\xff\xff\xff\xff{}"] {
            assert_eq!(Events::of(row).collect::<Vec<_>>(), [Err(Torn)]);
        }
    }
}
