//! Frames as they may come: whole, cut anywhere, several at once, wrong.

use proptest::prelude::*;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig, WebSocketContext};
use tokio_tungstenite::tungstenite::{Error, Message};

use super::*;

const LARGEST: u64 = 70_000;
const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        length @ ..126 => bytes.push(0x80 | u8::try_from(length).unwrap()),
        length @ ..65_536 => {
            bytes.push(0xfe);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(0xff);
            bytes.extend(u64::try_from(length).unwrap().to_be_bytes());
        }
    }
    bytes.extend(MASK);
    let masked = payload.iter().zip(MASK.iter().cycle());
    bytes.extend(masked.map(|(byte, mask)| byte ^ mask));
    bytes
}

/// What comes out of bytes that come in pieces of a size, up to the last event.
fn decoded(bytes: &[u8], size: usize) -> (Vec<u8>, Vec<Event>) {
    let mut decoder = Decoder::new(LARGEST);
    let (mut data, mut events) = (Vec::new(), Vec::new());
    for piece in bytes.chunks(size) {
        let mut piece = piece.to_vec();
        let count = decoder.decode(&mut piece, |event| events.push(event));
        data.extend_from_slice(&piece[..count]);
        if matches!(events.last(), Some(Event::Goodbye(_) | Event::Broken(_))) {
            break;
        }
    }
    (data, events)
}

fn code(bytes: &[u8]) -> CloseCode {
    let whole = decoded(bytes, bytes.len());
    assert_eq!(decoded(bytes, 1), whole, "byte by byte");
    match whole.1.last() {
        Some(Event::Broken(broken)) => broken.code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn payload_comes_out_however_it_is_cut() {
    let large: Vec<u8> = (0..66_000_u32).map(|n| n.to_le_bytes()[0]).collect();
    let bytes = [
        frame(0x82, b"one"),
        frame(0x82, b""),
        frame(0x89, b"there?"),
        // In fragments, with a ping between them.
        frame(0x02, &[7; 200]),
        frame(0x8a, b"unasked"),
        frame(0x00, b""),
        frame(0x89, b""),
        frame(0x80, b"end"),
        frame(0x82, &large),
        frame(0x88, b"\x03\xe8bye"),
        frame(0x82, b"after the goodbye"),
    ]
    .concat();
    let expected = [b"one", &[7; 200][..], b"end", &large].concat();
    let events = [
        Event::Ping(b"there?".to_vec()),
        Event::Ping(Vec::new()),
        Event::Goodbye(Some(CloseCode::Normal)),
    ];
    for size in [1, 2, 3, 5, 13, 1_000, bytes.len()] {
        let (data, found) = decoded(&bytes, size);
        assert!(data == expected, "in pieces of {size}");
        assert_eq!(found, events, "in pieces of {size}");
    }
}

#[test]
fn what_came_before_a_broken_rule_counts() {
    let bytes = [frame(0x82, b"before"), frame(0x81, b"text")].concat();
    let (data, events) = decoded(&bytes, bytes.len());
    assert_eq!(data, b"before");
    assert!(matches!(events[..], [Event::Broken(_)]), "{events:?}");
}

#[test]
fn rules_that_are_broken_have_their_code() {
    let protocol = CloseCode::Protocol;
    // A text, even within a message of fragments.
    assert_eq!(code(&frame(0x81, b"text")), CloseCode::Unsupported);
    assert_eq!(code(&frame(0xc2, b"reserved bit")), protocol);
    assert_eq!(code(&frame(0x83, b"reserved opcode")), protocol);
    assert_eq!(code(&frame(0x8b, b"reserved opcode")), protocol);
    assert_eq!(code(b"\x82\x01x"), protocol, "no mask");
    assert_eq!(code(&frame(0x09, b"a ping in fragments")), protocol);
    assert_eq!(code(&frame(0x89, &[0; 126])), protocol, "too long");
    assert_eq!(code(&frame(0x80, b"of nothing")), protocol);
    let within = [frame(0x02, b"a"), frame(0x82, b"b")].concat();
    assert_eq!(code(&within), protocol);
    assert_eq!(code(&frame(0x88, b"\x03")), protocol);
    assert_eq!(code(&frame(0x88, b"\x03\xed")), protocol, "1005");
    assert_eq!(code(&frame(0x88, b"\x03\xe8\xff")), CloseCode::Invalid);
}

#[test]
fn a_message_that_is_too_large_is_refused_by_its_head() {
    let promise = [0x82, 0xff, 0, 0, 0, 0, 0x40, 0, 0, 0, 1, 2, 3, 4];
    assert_eq!(code(&promise), CloseCode::Size);
    let endless = [0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(code(&[&endless[..], &MASK].concat()), CloseCode::Size);
    let parts = [frame(0x02, &[0; 40_000]), frame(0x00, &[0; 40_000])].concat();
    assert_eq!(code(&parts), CloseCode::Size, "together");
}

#[test]
fn a_goodbye_may_have_no_code() {
    let (_, events) = decoded(&frame(0x88, b""), 9);
    assert_eq!(events, [Event::Goodbye(None)]);
}

/// What the library makes of the same bytes: data and pings, or the error's code.
fn by_the_library(bytes: &[u8]) -> Result<(Vec<u8>, Vec<Event>), CloseCode> {
    let largest = usize::try_from(LARGEST).unwrap();
    let config = WebSocketConfig::default()
        .max_message_size(Some(largest))
        .max_frame_size(Some(largest));
    let mut context = WebSocketContext::new(Role::Server, Some(config));
    let mut stream = Duplex(Cursor::new(bytes));
    let (mut data, mut events) = (Vec::new(), Vec::new());
    loop {
        match context.read(&mut stream) {
            Ok(Message::Binary(bytes)) => data.extend_from_slice(&bytes),
            Ok(Message::Ping(payload)) => events.push(Event::Ping(payload.to_vec())),
            Ok(Message::Close(frame)) => {
                events.push(Event::Goodbye(frame.map(|frame| frame.code)));
                return Ok((data, events));
            }
            Ok(Message::Text(_)) => return Err(CloseCode::Unsupported),
            Ok(_) => {}
            Err(Error::Io(_)) => return Ok((data, events)),
            Err(Error::Capacity(_)) => return Err(CloseCode::Size),
            Err(Error::Utf8(_)) => return Err(CloseCode::Invalid),
            Err(_) => return Err(CloseCode::Protocol),
        }
    }
}

/// Bytes to be read, which then block; what is written is dropped.
struct Duplex<'a>(Cursor<&'a [u8]>);

impl std::io::Read for Duplex<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self.0.read(buffer)? {
            0 => Err(std::io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl std::io::Write for Duplex<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        6 => Just(0x82_u8),
        3 => Just(0x02),
        3 => Just(0x00),
        3 => Just(0x80),
        2 => Just(0x89),
        1 => Just(0x8a),
        1 => Just(0x88),
    ];
    (first, proptest::collection::vec(any::<u8>(), 0..300)).prop_map(|(first, payload)| match first
    {
        // What else a goodbye may say is judged more strictly than by the library.
        0x88 => frame(first, b"\x03\xe8"),
        first => frame(first, &payload),
    })
}

proptest! {
    /// Whole messages come out as from the library; where it refuses, so does this.
    #[test]
    fn agrees_with_the_library(
        frames in proptest::collection::vec(any_frame(), 0..12),
        size in 1_usize..400,
    ) {
        let bytes = frames.concat();
        let (data, mut events) = decoded(&bytes, size);
        match by_the_library(&bytes) {
            Ok((whole, expected)) => {
                // The library gives messages only when they are complete.
                prop_assert!(data.starts_with(&whole));
                prop_assert_eq!(events, expected);
            }
            Err(code) => match events.pop() {
                Some(Event::Broken(broken)) => prop_assert_eq!(broken.code, code),
                other => prop_assert!(false, "{:?}", other),
            },
        }
    }

    /// Whatever comes: no panic, and pieces are judged like the whole.
    #[test]
    fn any_bytes_are_judged_the_same_in_pieces(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let whole = decoded(&bytes, bytes.len().max(1));
        prop_assert_eq!(decoded(&bytes, 1), whole);
    }
}
