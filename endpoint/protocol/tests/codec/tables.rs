//! The tables of the data folder, every combination of their rows.

use landfall_protocol::{PeerError, ProtocolError, Version, codec};

use crate::{
    case::{self, Paragraph, Sender, paragraphs},
    notation,
};

const ALL_VERSIONS: [Version; 3] = [Version::V31, Version::V311, Version::V5];

/// What came of a packet: nothing if it was decoded, else the text of the error. A packet that
/// decodes must encode to the same bytes, so that no field is read and forgotten.
fn refusal(bytes: &[u8], sender: Sender, version: Version) -> Option<String> {
    let packet = match case::decode(bytes, sender, version, u32::MAX) {
        Ok(packet) => packet,
        // These come only once all properties are read: the table has one property at a time.
        Err(PeerError::Protocol(
            ProtocolError::AuthenticationMethodMissing
            | ProtocolError::AuthenticationDataWithoutMethod,
        )) => return None,
        Err(error) => return Some(format!("{error:02X?}")),
    };
    let mut out = Vec::new();
    codec::encode(&packet, version, &mut out).unwrap();
    let same = case::decode(&out, sender, version, u32::MAX) == Ok(packet);
    assert!(same, "{bytes:02X?} became {out:02X?}");
    None
}

fn field<'p>(paragraph: &'p Paragraph, name: &str) -> &'p str {
    let value = paragraph.field(name);
    value.unwrap_or_else(|| panic!("{}: {name} is missing", paragraph.name))
}

fn sender(paragraph: &Paragraph) -> Sender {
    Sender::parse(field(paragraph, "sender"))
}

/// Puts raw bytes where `%` stands.
fn fill(template: &str, bytes: &[u8]) -> Vec<u8> {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
    notation::bytes(&template.replace('%', &digits), Version::V5, &[])
}

#[test]
fn each_packet_takes_its_own_reason_codes_and_no_other() {
    let rows = paragraphs(include_str!("../data/codec/reason_codes.txt"));
    assert_eq!(rows.len(), 12);
    for row in rows {
        let codes = notation::hex(&field(&row, "codes").replace(' ', ""));
        for code in 0..=u8::MAX {
            let packet = fill(field(&row, "bytes"), &[code]);
            let expected =
                (!codes.contains(&code)).then(|| format!("Malformed(ReasonCode({code:02X}))"));
            assert_eq!(
                refusal(&packet, sender(&row), Version::V5),
                expected,
                "{} with {code:02X}",
                row.name
            );
        }
    }
}

#[test]
fn each_block_takes_its_own_properties_and_no_other() {
    let rows = paragraphs(include_str!("../data/codec/properties.txt"));
    let (properties, blocks): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row.field("property").is_some());
    assert_eq!((blocks.len(), properties.len()), (17, 27));
    for block in blocks {
        for id in 0..=0x7F {
            let property = properties
                .iter()
                .map(|row| {
                    (
                        row,
                        notation::bytes(field(row, "property"), Version::V5, &[]),
                    )
                })
                .find(|(_, bytes)| bytes[0] == id);
            let lists = |name| {
                let list = property.as_ref().and_then(|(row, _)| row.field(name));
                list.is_some_and(|list| list.split_whitespace().any(|word| word == block.name))
            };
            let bytes = property
                .as_ref()
                .map_or_else(|| vec![id], |(_, bytes)| bytes.clone());
            let once = if lists("in") {
                None
            } else if lists("other-side") {
                Some(format!("Protocol(PropertyDirection({id:02X}))"))
            } else {
                Some(format!("Malformed(Property({id:02X}))"))
            };
            let twice = if lists("in") && !lists("repeats") {
                Some(format!("Protocol(DuplicateProperty({id:02X}))"))
            } else {
                once.clone()
            };
            let template = field(block, "bytes");
            let outcome = |bytes| refusal(&fill(template, bytes), sender(block), Version::V5);
            assert_eq!(outcome(&bytes), once, "{id:02X} in {}", block.name);
            let doubled = bytes.repeat(2);
            assert_eq!(outcome(&doubled), twice, "{id:02X} twice in {}", block.name);
        }
    }
}

/// Tries every value of a table in every field of it and returns how many that were.
fn try_values_in_fields(table: &str) -> usize {
    let rows = paragraphs(table);
    let (values, fields): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row.field("value").is_some());
    let mut tried = 0;
    for row in &fields {
        for version in row.versions() {
            for value in &values {
                let slot = notation::bytes(field(value, "value"), version, &[]);
                let packet = notation::bytes(field(row, "bytes"), version, &slot);
                let refused_in = value
                    .field("refused-in")
                    .map_or(ALL_VERSIONS.to_vec(), |versions| {
                        versions.split_whitespace().map(notation::version).collect()
                    });
                let expected = value
                    .field("refused")
                    .filter(|_| refused_in.contains(&version));
                assert_eq!(
                    refusal(&packet, sender(row), version).as_deref(),
                    expected,
                    "{} in {} ({})",
                    value.name,
                    row.name,
                    version.as_str()
                );
                tried += 1;
            }
        }
    }
    tried
}

#[test]
fn each_string_field_takes_well_formed_utf8_without_nul() {
    let tried = try_values_in_fields(include_str!("../data/codec/strings.txt"));
    assert!(tried > 1_000, "only {tried}");
}

#[test]
fn each_topic_name_field_refuses_wildcards() {
    let tried = try_values_in_fields(include_str!("../data/codec/topic_names.txt"));
    assert!(tried > 200, "only {tried}");
}

#[test]
fn each_topic_filter_field_takes_well_placed_wildcards() {
    let tried = try_values_in_fields(include_str!("../data/codec/topic_filters.txt"));
    assert!(tried > 300, "only {tried}");
}
