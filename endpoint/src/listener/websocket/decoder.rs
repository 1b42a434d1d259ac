//! Frames of a client (RFC 6455, 5) into the bytes of their messages, in the buffer that they were
//! read into: nothing is copied elsewhere, and nothing is kept but what a frame's head says.

use std::io::Cursor;

use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

/// Longest head of a frame.
const MOST_HEAD: usize = 14;
/// Longest payload of a control frame (5.5).
const MOST_CONTROL: u64 = 125;

/// What of a client's frames stands between two reads.
pub(super) struct Decoder {
    /// Largest message.
    largest: u64,
    head: Vec<u8>,
    frame: Frame,
    /// Bytes of the message so far, if more of its frames are to come.
    message: Option<u64>,
    /// Payload of a control frame.
    control: Vec<u8>,
}

/// The frame whose payload is coming.
#[derive(Clone, Copy)]
struct Frame {
    kind: Kind,
    left: u64,
    mask: [u8; 4],
    /// How far the mask has been used.
    turn: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// There is none: a head comes next.
    None,
    Data,
    Control(Control),
}

/// What came beside the payload of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Event {
    /// To be answered by a pong with the same payload.
    Ping(Vec<u8>),
    /// A goodbye, to be answered by one with this code, if it has one. It is the last event.
    Goodbye(Option<CloseCode>),
    /// A rule is broken. It is the last event.
    Broken(Broken),
}

/// A rule is broken: the code of the goodbye, and the cause for the log. The client is to blame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) code: CloseCode,
    pub(super) cause: &'static str,
}

const fn broken<T>(cause: &'static str) -> Result<T, Broken> {
    let code = CloseCode::Protocol;
    Err(Broken { code, cause })
}

impl Decoder {
    /// No message may be larger than `largest` bytes.
    pub(super) fn new(largest: u64) -> Self {
        Self {
            largest,
            head: Vec::new(),
            frame: Frame {
                kind: Kind::None,
                left: 0,
                mask: [0; 4],
                turn: 0,
            },
            message: None,
            control: Vec::new(),
        }
    }

    /// Puts the payload of binary messages to the front of `bytes`, and says how much it is; `on`
    /// gets the rest. What stands behind the last event is not looked at.
    pub(super) fn decode(&mut self, bytes: &mut [u8], mut on: impl FnMut(Event)) -> usize {
        let (mut from, mut to) = (0, 0);
        while from < bytes.len() {
            let event = match self.step(bytes, &mut from, &mut to) {
                Ok(None) => continue,
                Ok(Some(event)) => event,
                Err(broken) => Event::Broken(broken),
            };
            let is_last = !matches!(event, Event::Ping(_));
            on(event);
            if is_last {
                break;
            }
        }
        to
    }

    /// Takes a head, or payload; moves `from` behind it, and `to` behind what is kept of it.
    fn step(
        &mut self,
        bytes: &mut [u8],
        from: &mut usize,
        to: &mut usize,
    ) -> Result<Option<Event>, Broken> {
        if self.frame.kind == Kind::None {
            *from += self.read_head(bytes.get(*from..).unwrap_or_default())?;
            return self.finish();
        }
        let left = usize::try_from(self.frame.left).unwrap_or(usize::MAX);
        let end = from.saturating_add(left).min(bytes.len());
        let count = end - *from;
        self.unmask(bytes.get_mut(*from..end).unwrap_or_default());
        if self.frame.kind == Kind::Data {
            bytes.copy_within(*from..end, *to);
            *to += count;
        } else {
            let payload = bytes.get(*from..end).unwrap_or_default();
            self.control.extend_from_slice(payload);
        }
        self.frame.left -= count as u64;
        *from = end;
        self.finish()
    }

    /// Takes bytes of a head, and says how many.
    fn read_head(&mut self, bytes: &[u8]) -> Result<usize, Broken> {
        let known = self.head.len();
        let taken = bytes.len().min(MOST_HEAD - known);
        self.head
            .extend_from_slice(bytes.get(..taken).unwrap_or_default());
        let mut cursor = Cursor::new(&self.head);
        let parsed = FrameHeader::parse(&mut cursor).or(broken("reserved opcode"))?;
        let Some((header, length)) = parsed else {
            return Ok(taken);
        };
        let size = usize::try_from(cursor.position()).unwrap_or(MOST_HEAD);
        // What stands behind the head is payload, and read as such.
        self.head = Vec::new();
        self.begin(&header, length)?;
        Ok(size.saturating_sub(known))
    }

    fn begin(&mut self, header: &FrameHeader, length: u64) -> Result<(), Broken> {
        // RFC 6455, 5.2: no extension was agreed on.
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return broken("reserved bit");
        }
        // RFC 6455, 5.1
        let Some(mask) = header.mask else {
            return broken("frame without a mask");
        };
        let kind = match header.opcode {
            OpCode::Control(control) => {
                // RFC 6455, 5.5
                if !header.is_final || length > MOST_CONTROL {
                    return broken("control frame in fragments or too long");
                }
                Kind::Control(control)
            }
            OpCode::Data(data) => {
                self.begin_data(data, header.is_final, length)?;
                Kind::Data
            }
        };
        self.frame = Frame {
            kind,
            left: length,
            mask,
            turn: 0,
        };
        Ok(())
    }

    /// RFC 6455, 5.4: the frames of a message follow each other.
    fn begin_data(&mut self, data: Data, is_final: bool, length: u64) -> Result<(), Broken> {
        let before = match (data, self.message) {
            // [MQTT-6.0.0-1]
            (Data::Text, _) => {
                let code = CloseCode::Unsupported;
                let cause = "text message";
                return Err(Broken { code, cause });
            }
            (Data::Binary, None) => 0,
            (Data::Continue, Some(before)) => before,
            (Data::Continue, None) => return broken("continuation of nothing"),
            (Data::Binary, Some(_)) => return broken("a message within another"),
            (Data::Reserved(_), _) => return broken("reserved opcode"),
        };
        let size = length.saturating_add(before);
        if size > self.largest {
            let code = CloseCode::Size;
            let cause = "message too large";
            return Err(Broken { code, cause });
        }
        self.message = (!is_final).then_some(size);
        Ok(())
    }

    fn unmask(&mut self, bytes: &mut [u8]) {
        let mut mask = self.frame.mask;
        mask.rotate_left(self.frame.turn);
        let (fours, rest) = bytes.as_chunks_mut::<4>();
        for four in fours {
            *four = (u32::from_ne_bytes(*four) ^ u32::from_ne_bytes(mask)).to_ne_bytes();
        }
        for (byte, mask) in rest.iter_mut().zip(mask) {
            *byte ^= mask;
        }
        self.frame.turn = (self.frame.turn + bytes.len()) % 4;
    }

    /// Ends a frame that is complete.
    fn finish(&mut self) -> Result<Option<Event>, Broken> {
        let Frame { kind, left, .. } = self.frame;
        if kind == Kind::None || left > 0 {
            return Ok(None);
        }
        self.frame.kind = Kind::None;
        match kind {
            Kind::Control(Control::Ping) => {
                Ok(Some(Event::Ping(std::mem::take(&mut self.control))))
            }
            Kind::Control(Control::Close) => {
                goodbye(&std::mem::take(&mut self.control)).map(|code| Some(Event::Goodbye(code)))
            }
            Kind::Control(Control::Pong | Control::Reserved(_)) => {
                self.control = Vec::new();
                Ok(None)
            }
            Kind::Data | Kind::None => Ok(None),
        }
    }
}

/// RFC 6455, 5.5.1 and 7.4: a code, and a reason in UTF-8; or neither.
fn goodbye(payload: &[u8]) -> Result<Option<CloseCode>, Broken> {
    let Some((code, reason)) = payload.split_first_chunk::<2>() else {
        return match payload.is_empty() {
            true => Ok(None),
            false => broken("goodbye with half a code"),
        };
    };
    let code = CloseCode::from(u16::from_be_bytes(*code));
    if !code.is_allowed() {
        return broken("goodbye with a code that is not to be sent");
    }
    if std::str::from_utf8(reason).is_err() {
        let code = CloseCode::Invalid;
        let cause = "goodbye that is not UTF-8";
        return Err(Broken { code, cause });
    }
    Ok(Some(code))
}

#[cfg(test)]
mod tests;
