//! Every conformance case, and what must hold of each packet however it arrives.

use landfall_protocol::{
    Malformed, Packet, PeerError, ProtocolError,
    codec::{self, AckKind, RawPacket},
    packet::Ack,
};

use crate::{
    case::{self, Case, Expected, Sender},
    describe::describe,
    notation::{self, with_variable_length},
};

/// Runs `check` on every case and reports all that fail, not only the first.
fn for_each_case(check: impl Fn(&Case) -> Result<(), String>) {
    let cases = case::all();
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            let failure = check(case).err()?;
            Some(format!("{}\n  {:02X?}\n  {failure}", case.name, case.bytes))
        })
        .collect();
    assert!(
        failures.is_empty(),
        "{} of {} cases fail:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
}

fn expect_eq<T: PartialEq + std::fmt::Debug>(what: &str, got: &T, want: &T) -> Result<(), String> {
    if got == want {
        return Ok(());
    }
    Err(format!("{what}:\n    got  {got:?}\n    want {want:?}"))
}

fn error_text(error: PeerError) -> String {
    format!("{error:02X?}")
}

fn outcome(case: &Case, bytes: &[u8]) -> String {
    match codec::split(bytes, case.maximum) {
        Ok(None) => "incomplete".to_owned(),
        Ok(Some(raw)) => case
            .sender
            .decode(&raw, case.version)
            .map_or_else(error_text, |packet| describe(&packet)),
        Err(error) => error_text(error),
    }
}

fn expected_outcome(case: &Case) -> String {
    match &case.expected {
        Expected::Decoded(description, _) => description.clone(),
        Expected::Refused(error) => error.clone(),
    }
}

#[test]
fn every_case_comes_out_as_its_clause_demands() {
    for_each_case(|case| {
        expect_eq(
            "outcome",
            &outcome(case, &case.bytes),
            &expected_outcome(case),
        )
    });
}

#[test]
fn what_follows_a_packet_changes_nothing() {
    for_each_case(|case| {
        for follower in [&[0x00][..], &[0xFF; 8], &[0xC0, 0x00], &case.bytes] {
            let bytes = [&case.bytes, follower].concat();
            // A case may be cut off in its header on purpose; then the follower completes it.
            if matches!(codec::split(&case.bytes, case.maximum), Ok(None)) {
                continue;
            }
            let what = format!("followed by {follower:02X?}");
            expect_eq(&what, &outcome(case, &bytes), &expected_outcome(case))?;
        }
        Ok(())
    });
}

#[test]
fn a_packet_split_at_any_byte_is_incomplete_until_its_end() {
    for_each_case(|case| {
        let whole = codec::split(&case.bytes, case.maximum);
        for end in 0..case.bytes.len() {
            match codec::split(&case.bytes[..end], case.maximum) {
                Ok(None) => {}
                // An error shows as soon as its bytes are there, and stays the same.
                Err(error) => expect_eq("early error", &Err(error), &whole)?,
                Ok(Some(_)) => return Err(format!("complete after {end} bytes")),
            }
        }
        Ok(())
    });
}

#[test]
fn a_decoded_packet_encodes_to_its_canonical_bytes() {
    for_each_case(|case| {
        let Expected::Decoded(_, canonical) = &case.expected else {
            return Ok(());
        };
        let packet = case::decode(&case.bytes, case.sender, case.version, case.maximum).unwrap();
        let mut out = vec![0xAA];
        let written = codec::encode(&packet, case.version, &mut out).map_err(|e| e.to_string())?;
        expect_eq("bytes", &&out[1..], &canonical.as_slice())?;
        expect_eq("what stood before", &out[0], &0xAA)?;
        expect_eq("count returned", &written, &canonical.len())?;
        let predicted = codec::encoded_len(&packet, case.version).map_err(|e| e.to_string())?;
        expect_eq("count predicted", &predicted, &canonical.len())?;
        let again = case::decode(canonical, case.sender, case.version, case.maximum);
        expect_eq("decoded again", &again, &Ok(packet))
    });
}

/// Takes bytes off the end of the body, with the remaining length set right.
fn cut(case: &Case, raw: &RawPacket<'_>, length: usize) -> Vec<u8> {
    let mut bytes = vec![case.bytes[0]];
    bytes.extend(with_variable_length(&raw.body[..length]));
    bytes
}

#[test]
fn a_packet_cut_short_is_truncated_or_a_shorter_packet() {
    for_each_case(|case| {
        if !matches!(case.expected, Expected::Decoded(..)) {
            return Ok(());
        }
        let raw = codec::split(&case.bytes, case.maximum).unwrap().unwrap();
        for length in 0..raw.body.len() {
            let bytes = cut(case, &raw, length);
            match case::decode(&bytes, case.sender, case.version, u32::MAX) {
                Err(
                    PeerError::Malformed(Malformed::Truncated)
                    // Nothing is left of the payload that a SUBSCRIBE or UNSUBSCRIBE needs, or of
                    // the property that AUTH needs.
                    | PeerError::Protocol(
                        ProtocolError::NoFilter | ProtocolError::AuthenticationMethodMissing,
                    ),
                ) => {}
                // AUTH of a client without its reason code.
                Err(PeerError::Malformed(Malformed::ReasonCode(0))) if case.bytes[0] == 0xF0 => {}
                Err(error) => return Err(format!("cut to {length}: {error}")),
                Ok(packet) => {
                    let mut out = Vec::new();
                    codec::encode(&packet, case.version, &mut out).unwrap();
                    if out.len() > case.bytes.len() {
                        return Err(format!("cut to {length}: grew to {packet:?}"));
                    }
                }
            }
        }
        Ok(())
    });
}

#[test]
fn the_short_form_of_an_acknowledgement_is_what_the_long_one_writes() {
    type Wrap = fn(Ack<'_>) -> Packet<'_>;
    const KINDS: [(AckKind, Wrap, Sender); 4] = [
        (AckKind::PubAck, |ack| Packet::PubAck(ack), Sender::Server),
        (AckKind::PubRec, |ack| Packet::PubRec(ack), Sender::Server),
        (AckKind::PubRel, |ack| Packet::PubRel(ack), Sender::Client),
        (AckKind::PubComp, |ack| Packet::PubComp(ack), Sender::Server),
    ];
    for version in ["3.1", "3.1.1", "5"].map(notation::version) {
        for (kind, wrap, sender) in KINDS {
            for reason in [0x00, 0x10, 0x87, 0x92].map(landfall_protocol::ReasonCode) {
                let packet = wrap(Ack {
                    packet_id: 0x1234.try_into().unwrap(),
                    reason,
                    properties: Default::default(),
                });
                let (mut short, mut long) = (vec![0xAA], vec![0xAA]);
                codec::encode_ack(
                    kind,
                    0x1234.try_into().unwrap(),
                    reason,
                    version,
                    &mut short,
                );
                codec::encode(&packet, version, &mut long).unwrap();
                assert_eq!(short, long);
                let fits = matches!(
                    (kind, reason.0),
                    (_, 0)
                        | (AckKind::PubAck | AckKind::PubRec, 0x10 | 0x87)
                        | (AckKind::PubRel | AckKind::PubComp, 0x92)
                );
                if fits && version == notation::version("5") {
                    assert_eq!(case::decode(&short[1..], sender, version, 5), Ok(packet));
                }
            }
        }
    }
}
