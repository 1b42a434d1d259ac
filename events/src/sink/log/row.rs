//! The events of one row: each with its length in front.

use crate::attribute::push_json;
use crate::encode::write_structured_json;
use crate::event::Draft;

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

/// Knows the events of one device.
pub(super) struct Whose {
    /// The device's name as an event has it, with the quote behind it.
    name: Vec<u8>,
}

/// In front of the device's name.
const DEVICE: &[u8] = br#","device":""#;

impl Whose {
    pub(super) fn device(name: &str) -> Self {
        let mut json = Vec::new();
        push_json(&mut json, name);
        json.push(b'"');
        Self { name: json }
    }

    /// Whether the event is from the device. The attributes of an event stand before its data, and a
    /// quote within a name is escaped: what is found first is the attribute.
    pub(super) fn wrote(&self, event: &[u8]) -> bool {
        let mut places = event.windows(DEVICE.len());
        let place = places.position(|part| part == DEVICE);
        let name = place.and_then(|place| event.get(place + DEVICE.len()..));
        name.is_some_and(|name| name.starts_with(&self.name))
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
    fn a_row_that_ends_within_an_event_is_torn() {
        for row in [&b"\x03\0\0\0ab"[..], b"\x01\0\0", b"\xff\xff\xff\xff{}"] {
            assert_eq!(Events::of(row).collect::<Vec<_>>(), [Err(Torn)]);
        }
    }
}
